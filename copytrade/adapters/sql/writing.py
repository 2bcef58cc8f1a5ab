"""The one thread that writes to a SQLite file.

A thread pool would do, but hands over with locks and two rounds of the event loop, and a fill waits for that
twice.
"""

from __future__ import annotations

import asyncio
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class WriterThread:
    """Runs one job after the other, in the order given; started by the first."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    async def run(self, work: Callable[[], T]) -> T:
        """Wait for a job's result; one that runs when its waiter is cancelled still runs to its end."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(loop, answer, work))
        if self._thread.ident is None:
            self._thread.start()
        return await answer

    def stop(self) -> None:
        """Wait for the jobs given so far; call it from another thread, and only once nothing is given any more."""
        if self._thread.ident is not None:
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()


class _Job:
    """One job; leaving its block answers who asked, with the result or with what was raised."""

    __slots__ = ("_answer", "_loop", "_result", "_work")

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        self._loop = loop
        self._answer = answer
        self._work = work
        self._result: Any = None

    def run(self) -> None:
        """Do the work, unless nobody waits for it any more."""
        if not self._answer.cancelled():
            with self:
                self._result = self._work()

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> bool:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, failure)
        return True

    def _settle(self, failure: BaseException | None) -> None:
        if self._answer.cancelled():
            return
        if failure is None:
            self._answer.set_result(self._result)
        else:
            self._answer.set_exception(failure)
