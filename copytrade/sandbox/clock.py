"""The sandbox's time: wall time read once, then passing with the event loop."""

from __future__ import annotations

import asyncio
import time


def wall_ms() -> int:
    """Read the system clock, Unix ms."""
    return time.time_ns() // 1_000_000


class LoopClock:
    """Wall time that passes with the running event loop."""

    def __init__(self, *, start_ms: int) -> None:
        """Tie `start_ms` to the loop's present time."""
        self._loop = asyncio.get_running_loop()
        self._offset_ms = start_ms - self._loop.time() * 1_000

    def now_ms(self) -> int:
        """Return the time in Unix ms."""
        return int(self._loop.time() * 1_000 + self._offset_ms)
