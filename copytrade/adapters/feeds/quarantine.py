"""What made no sense is kept for a person to see, up to a rate that a hostile peer cannot push."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog

from copytrade.domain.fills import Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import SourceEvent, SourceNote

PAYLOAD_CHARS_MAX: Final = 4096
NOTES_PER_WINDOW: Final = 30
WINDOW_MS: Final = 60_000

Emit: TypeAlias = Callable[[SourceEvent], Awaitable[None]]

_log = structlog.get_logger()


class Quarantine:
    """Turns each refused thing into a QUARANTINED note; beyond the rate it only counts them."""

    def __init__(self, source: Source, emit: Emit, clock: Clock) -> None:
        self._source: Final = source
        self._emit: Final = emit
        self._clock: Final = clock
        self._window_start_ms: Millis | None = None
        self._in_window = 0
        self._total = 0
        self._untold = 0

    async def put(self, reason: str, payload: str) -> None:
        """Record one thing and why it was refused."""
        self._total += 1
        now_ms = self._clock.monotonic_ms()
        if self._window_start_ms is None or now_ms - self._window_start_ms >= WINDOW_MS:
            self._window_start_ms, self._in_window = now_ms, 0
        self._in_window += 1
        if self._in_window > NOTES_PER_WINDOW:
            self._untold += 1
            return
        _log.warning("source.quarantined", source=self._source, reason=reason, total=self._total)
        detail = {"reason": reason, "payload": payload[:PAYLOAD_CHARS_MAX], "total": self._total}
        if self._untold:
            detail["suppressed"] = self._untold
            self._untold = 0
        await self._emit(SourceNote(source=self._source, code="QUARANTINED", detail=detail))
