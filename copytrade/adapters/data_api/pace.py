"""How often each leader is really polled: the limits of the API decide it once there are many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from copytrade.domain.units import Millis

TELL_EVERY_MS: Final = 60_000
LEADERS_TOLD: Final = 20
"""The slowest ones; with no more leaders than this, all."""


class Pace:
    """The time from the beginning of each leader's last sweep but one to that of the last one."""

    def __init__(self, *, wanted_ms: Millis) -> None:
        self._wanted_ms: Final = wanted_ms
        self._began_ms: Final[dict[str, Millis]] = {}
        self._interval_ms: Final[dict[str, Millis]] = {}
        self._told_ms: Millis | None = None

    def begin(self, leader: str, now_ms: Millis) -> None:
        """Note that a sweep begins; times are monotonic."""
        before_ms = self._began_ms.get(leader)
        if before_ms is not None:
            self._interval_ms[leader] = now_ms - before_ms
        self._began_ms[leader] = now_ms

    def forget(self, leader: str) -> None:
        """Note that a leader is polled no more."""
        self._began_ms.pop(leader, None)
        self._interval_ms.pop(leader, None)

    def figures(self, now_ms: Millis) -> Mapping[str, object] | None:
        """Return what there is to tell, None when it is not time yet.

        A leader who waits for longer than his last interval counts with what he has waited.
        """
        if not self._began_ms or (self._told_ms is not None and now_ms - self._told_ms < TELL_EVERY_MS):
            return None
        if self._told_ms is None and not self._interval_ms:
            return None
        self._told_ms = now_ms
        waiting = {leader: now_ms - began_ms for leader, began_ms in self._began_ms.items()}
        real = {leader: max(waited_ms, self._interval_ms.get(leader, 0)) for leader, waited_ms in waiting.items()}
        slowest = sorted(real, key=lambda leader: (-real[leader], leader))
        ordered = [real[leader] for leader in reversed(slowest)]
        return {
            "leaders": len(real),
            "wanted_ms": self._wanted_ms,
            "interval_p50_ms": ordered[math.ceil(len(ordered) / 2) - 1],
            "interval_max_ms": ordered[-1],
            "slowest": {leader: real[leader] for leader in slowest[:LEADERS_TOLD]},
        }
