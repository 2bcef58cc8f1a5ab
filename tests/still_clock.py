"""A clock that stands."""

from __future__ import annotations

from copytrade.ports.clock import Clock


class StillClock(Clock):
    """Stands at one time."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ms(self) -> int:
        return self._now_ms

    async def sleep_ms(self, duration_ms: int) -> None:
        raise AssertionError(f"nobody waits {duration_ms} ms here")
