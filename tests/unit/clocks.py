"""A machine's clock that somebody sets, and that goes on while the process stands still."""

from __future__ import annotations

from tests.virtual_time import VirtualClock


class MovedClock(VirtualClock):
    """The virtual clock with its wall set by `set_ms`, and `stood_ms` that nothing of the loop took part in."""

    set_ms = 0
    stood_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.set_ms + self.stood_ms

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.stood_ms
