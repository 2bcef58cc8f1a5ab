"""A database whose writes are timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from copytrade.adapters.sql.engine import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

T = TypeVar("T")


class MeasuredDatabase(Database):
    """Tells of each write that succeeded how long it took, from asking to durable, waiting for its turn included."""

    def __init__(self, database: Database, clock: Clock, committed: Callable[[str, Millis], None]) -> None:
        self._database = database
        self._clock = clock
        self._committed = committed

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._database.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        started_ms = self._clock.monotonic_ms()
        result = await self._database.write(work)
        self._committed("write", self._clock.monotonic_ms() - started_ms)
        return result

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        started_ms = self._clock.monotonic_ms()
        result = await self._database.write_alone(work)
        self._committed("write_alone", self._clock.monotonic_ms() - started_ms)
        return result

    async def close(self) -> None:
        await self._database.close()
