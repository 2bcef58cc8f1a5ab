"""How a source hands over what its tasks have found."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from copytrade.ports.leader_fills import SourceEvent


class Handover:
    """A bounded queue to one consumer; who asked first is served first, also when it is full."""

    def __init__(self, events_max: int) -> None:
        self._events_max: Final = events_max
        self._events: Final[deque[SourceEvent]] = deque()
        self._turn: Final = asyncio.Lock()
        self._room: Final = asyncio.Event()
        self._arrival: Final = asyncio.Event()

    async def put(self, event: SourceEvent) -> None:
        """Hand an event over, waiting while the consumer is behind."""
        async with self._turn:
            while len(self._events) >= self._events_max:
                self._room.clear()
                await self._room.wait()
            self._events.append(event)
            self._arrival.set()

    async def events(
        self, feeder: Callable[[Handover], Coroutine[Any, Any, None]], *, name: str
    ) -> AsyncIterator[SourceEvent]:
        """Run a feeder and yield what it puts here; it ends with the reader.

        Once the feeder has failed and nothing is left, what it failed of is raised; of a group of failures
        the first one, as itself.
        """
        feeding = asyncio.create_task(feeder(self), name=name)
        feeding.add_done_callback(lambda _: self._arrival.set())
        try:
            while True:
                while self._events:
                    event = self._events.popleft()
                    self._room.set()
                    yield event
                if feeding.done():
                    raise _failure_of(feeding)
                self._arrival.clear()
                await self._arrival.wait()
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


def _failure_of(feeding: asyncio.Task[None]) -> BaseException:
    failure = feeding.exception()
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure or AssertionError("the feeder ended without an error")
