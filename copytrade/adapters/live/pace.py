"""How fast we may ask, and when the venue takes no orders: what would have to wait is not sent at all."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

ORDERS_PER_S: Final = 20
ORDERS_BURST: Final = 30
"""Half of what the lowest tier has for each signer (docs.polymarket.com, rate limits); so are the next two."""
CANCELS_PER_S: Final = 40
CANCELS_BURST: Final = 60
READS_PER_S: Final = 25
READS_BURST: Final = 50
"""Half of 500 in 10 s for /data/orders and /data/trades."""
CLOSED_MS: Final[Millis] = 5_000
"""How long no order is sent where the venue does not say how long it takes none."""
CLOSED_MS_MAX: Final[Millis] = 600_000
BASELINE: Final = 50
RECENT: Final = 3
SLOW_FACTOR: Final = 2
SLOW_MS_MIN: Final[Millis] = 1_000
"""Below this an answer is never slow, whatever the baseline."""
SLOW_MS_MAX: Final[Millis] = 2_000
"""Above this it always is: a venue that was slow from the start is no baseline."""


class Bucket:
    """A token bucket."""

    def __init__(self, *, per_s: int, burst: int, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = burst * 1_000
        self._clock = clock
        self._milli = self._burst
        self._at_ms = clock.monotonic_ms()

    def take(self) -> bool:
        """Take one if there is one."""
        self._refill()
        if self._milli < 1_000:
            return False
        self._milli -= 1_000
        return True

    async def wait(self) -> None:
        """Take one, waiting for it."""
        while not self.take():
            await self._clock.sleep_ms(-(-(1_000 - self._milli) // self._per_s))

    def drain(self, wait_ms: Millis) -> None:
        """Have nothing for so long: the venue counts otherwise than we do."""
        self._refill()
        self._milli = min(self._milli, -wait_ms * self._per_s)

    def _refill(self) -> None:
        now_ms = self._clock.monotonic_ms()
        self._milli = min(self._burst, self._milli + (now_ms - self._at_ms) * self._per_s)
        self._at_ms = now_ms


class Door:
    """Whether orders may be sent now. It opens again by itself; the order after that is the probe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed_until_ms: Millis = 0
        self._why = ""
        self._lets_post_only = False

    def close(self, why: str, *, for_ms: Millis | None, lets_post_only: bool = False) -> None:
        """Send no order for a while; one that may only rest is let through where that is said."""
        lasting_ms = CLOSED_MS if for_ms is None else min(max(for_ms, 0), CLOSED_MS_MAX)
        self._closed_until_ms = max(self._closed_until_ms, self._clock.monotonic_ms() + lasting_ms)
        self._why = why
        self._lets_post_only = lets_post_only

    def closed(self, *, post_only: bool) -> str | None:
        """Return why no order is sent now, None if one may be."""
        if self._clock.monotonic_ms() >= self._closed_until_ms or (post_only and self._lets_post_only):
            return None
        return self._why


class Latencies:
    """Whether the venue answers as fast as it usually does: an order that is queued is sent too late."""

    def __init__(self) -> None:
        self._known: deque[Millis] = deque(maxlen=BASELINE)

    def note(self, took_ms: Millis) -> bool:
        """Count an answer; True if the latest ones are slow."""
        usual = sorted(self._known)[len(self._known) // 2] if self._known else took_ms
        self._known.append(took_ms)
        recent = list(self._known)[-RECENT:]
        limit = min(SLOW_MS_MAX, max(SLOW_MS_MIN, usual * SLOW_FACTOR))
        return len(recent) == RECENT and all(one > limit for one in recent)
