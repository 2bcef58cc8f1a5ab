"""The one thread that writes to a SQLite file.

A thread pool would do, but hands over with locks and two rounds of the event loop, and a fill waits for that
twice. What waits for the disk is the commit: jobs that came while one was under way share the next.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from copytrade.adapters.sql import prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    Transaction = Callable[[Callable[[Connection], None]], None]

T = TypeVar("T")

GROUP_MAX: Final = 32
"""Jobs that share a commit, at most: the first of them waits for the work of all."""


class WriterThread:
    """Runs one job after the other, in the order given; started by the first.

    `transaction` does work in one: it begins it, commits what was done, and undoes that when something is raised.
    """

    def __init__(self, name: str, transaction: Transaction) -> None:
        self._transaction = transaction
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._is_stopping = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Wait until a job is committed; one that runs when its waiter is cancelled still runs to its end."""
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
        while not self._is_stopping:
            group = self._next_group()
            with _Answers(group):
                if group:
                    self._transaction(partial(_do, group))

    def _next_group(self) -> list[_Job]:
        """Wait for a job; return it with those that have come meanwhile and are still waited for."""
        group = [self._jobs.get()]
        while group[-1] is not None and len(group) < GROUP_MAX and not self._jobs.empty():
            group.append(self._jobs.get())
        self._is_stopping = group[-1] is None
        return [job for job in group if job is not None and job.is_wanted]


class _Job:
    """One job, and who asked for it."""

    __slots__ = ("_answer", "_loop", "_result", "_work", "failure")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], work: Callable[[Connection], Any]
    ) -> None:
        self._loop = loop
        self._answer = answer
        self._work = work
        self._result: Any = None
        self.failure: BaseException | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        return not self._answer.cancelled()

    def run(self, connection: Connection) -> None:
        self._result = self._work(connection)

    @contextmanager
    def apart(self, connection: Connection) -> Iterator[None]:
        """Undo this job alone if it raises; if the database gave up the whole transaction, raise for all."""
        prepared.execute(connection, "SAVEPOINT job")
        try:
            yield
        except Exception as failure:
            if not _is_open(connection):
                raise
            prepared.execute(connection, "ROLLBACK TO job")
            self.failure = failure
        prepared.execute(connection, "RELEASE job")

    def answer(self, failure: BaseException | None) -> None:
        """Tell who asked how it ended; from the writer's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, failure or self.failure)

    def _settle(self, failure: BaseException | None) -> None:
        if self._answer.cancelled():
            return
        if failure is None:
            self._answer.set_result(self._result)
        else:
            self._answer.set_exception(failure)


def _do(group: list[_Job], connection: Connection) -> None:
    if len(group) == 1:
        group[0].run(connection)
        return
    for job in group:
        with job.apart(connection):
            job.run(connection)


def _is_open(connection: Connection) -> bool:
    """Tell whether the transaction is still there: SQLite gives it up by itself on a full disk, say."""
    raw: Any = connection.connection.driver_connection
    return bool(raw.in_transaction)


class _Answers:
    """Leaving the block answers whoever asked for the jobs, with the results or with what was raised for all."""

    def __init__(self, group: list[_Job]) -> None:
        self._group = group

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, failure: BaseException | None, _trace: object) -> bool:
        for job in self._group:
            job.answer(failure)
        return True
