"""Time, as a dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.units import Millis


class Clock(Protocol):
    """Wall time for facts, monotonic time for ages."""

    def now_ms(self) -> Millis:
        """Return UTC Unix time in milliseconds; may jump when the host's clock is set."""

    def monotonic_ms(self) -> Millis:
        """Return milliseconds that never go back, from an arbitrary start."""

    async def sleep_ms(self, duration_ms: Millis) -> None:
        """Wait that long by the monotonic clock; at once for zero or less."""
