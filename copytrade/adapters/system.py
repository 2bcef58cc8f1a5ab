"""The host's clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from copytrade.ports.clock import Clock

if TYPE_CHECKING:
    from copytrade.domain.units import Millis


class SystemClock(Clock):
    """Wall and monotonic time of this machine."""

    def now_ms(self) -> Millis:
        """Return UTC Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> Millis:
        """Return milliseconds since an arbitrary start."""
        return time.monotonic_ns() // 1_000_000

    async def sleep_ms(self, duration_ms: Millis) -> None:
        """Wait on the running loop."""
        await asyncio.sleep(max(0, duration_ms) / 1000)
