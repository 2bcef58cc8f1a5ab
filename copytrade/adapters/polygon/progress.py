"""How far a long read has come, told now and then to whoever watches."""

from __future__ import annotations

from typing import Final

import structlog

from copytrade.adapters.feeds.quarantine import Emit
from copytrade.domain.fills import Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import SourceProgress

TELL_EVERY_MS: Final = 5_000

_log = structlog.get_logger()


class Progress:
    """The blocks of one read: done, left, and how long those may take at the speed so far."""

    def __init__(self, emit: Emit, clock: Clock, *, code: str, first: int, last: int, leaders: int) -> None:
        self._emit: Final = emit
        self._code: Final = code
        self._clock: Final = clock
        self._first: Final = first
        self._last: Final = last
        self._leaders: Final = leaders
        self._began_ms: Final = clock.monotonic_ms()
        self._told_ms: Millis = self._began_ms
        self._fills = 0

    async def tell(self, done: int, *, fills: int) -> None:
        """Note that blocks up to `done` are read; say so if that was not said for a while."""
        self._fills += fills
        now_ms = self._clock.monotonic_ms()
        if done >= self._last or now_ms - self._told_ms < TELL_EVERY_MS:
            return
        self._told_ms = now_ms
        blocks, left = done - self._first + 1, self._last - done
        detail = {
            "blocks_done": blocks,
            "blocks_left": left,
            "seconds_left": (now_ms - self._began_ms) * left // (1000 * blocks),
            "leaders": self._leaders,
            "fills": self._fills,
        }
        _log.info("polygon.progress", code=self._code, **detail)
        await self._emit(SourceProgress(source=Source.POLYGON, code=self._code, detail=detail))

    def summary(self) -> dict[str, object]:
        """Return what was read."""
        return {"first": self._first, "last": self._last, "leaders": self._leaders, "fills": self._fills}
