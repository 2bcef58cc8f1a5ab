"""Rate limits (docs.polymarket.com "Rate limits"): windows of ten seconds, and a bucket per signer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_MS = 10_000
WINDOWS: dict[tuple[str, str], int] = {
    ("POST", "/order"): 5_000,
    ("DELETE", "/order"): 5_000,
    ("POST", "/orders"): 2_000,
    ("DELETE", "/orders"): 2_000,
    ("DELETE", "/cancel-all"): 250,
    ("DELETE", "/cancel-market-orders"): 1_500,
    ("GET", "/data/orders"): 500,
    ("GET", "/data/trades"): 500,
    ("GET", "/balance-allowance"): 200,
    ("GET", "/balance-allowance/update"): 50,
    ("POST", "/auth/api-key"): 100,
    ("GET", "/auth/derive-api-key"): 100,
    ("GET", "/auth/api-keys"): 100,
}
TIER = "standard"

Headers = tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True)
class Allowance:
    """How much a signer may send; a bucket of `burst` that fills by `per_second`."""

    per_second: int
    burst: int


@dataclass(slots=True, kw_only=True)
class Bucket:
    """What is left of an allowance, in thousandths of a request."""

    millis: int
    filled_ms: int


@dataclass(slots=True, kw_only=True)
class Limits:
    """What is enforced. A bucket that would refuse only warns unless `enforced`, as since 2026-07-24."""

    orders: Allowance = field(default_factory=lambda: Allowance(per_second=40, burst=60))
    cancels: Allowance = field(default_factory=lambda: Allowance(per_second=80, burst=120))
    enforced: bool = False
    windows: dict[tuple[str, str], int] = field(default_factory=lambda: dict(WINDOWS))
    queue_ms: int = 1_000
    """Requests beyond a window wait up to so long for a place in it; longer is 429."""
    _buckets: dict[tuple[str, str], Bucket] = field(default_factory=dict)
    _seen: dict[tuple[str, str], deque[int]] = field(default_factory=dict)

    def wait_ms(self, method: str, path: str, *, now_ms: int) -> int:
        """Count a request of a route; return how long it waits for its place in the window."""
        most = self.windows.get((method, path))
        if most is None:
            return 0
        times = self._seen.setdefault((method, path), deque())
        while times and times[0] <= now_ms - WINDOW_MS:
            times.popleft()
        if len(times) < most:
            times.append(now_ms)
            return 0
        wait_ms = times[len(times) - most] + WINDOW_MS - now_ms
        if wait_ms <= self.queue_ms:
            times.append(now_ms + wait_ms)
        return wait_ms

    def spend(self, signer: str, kind: str, count: int, *, now_ms: int) -> tuple[bool, Headers]:
        """Take `count` from a signer's bucket of "orders" or "cancels", all or nothing.

        Returns whether it is allowed, and the headers that say how things stand.
        """
        allowance = self.orders if kind == "orders" else self.cancels
        bucket = self._buckets.setdefault((signer, kind), Bucket(millis=allowance.burst * 1_000, filled_ms=now_ms))
        gained = (now_ms - bucket.filled_ms) * allowance.per_second
        bucket.millis = min(allowance.burst * 1_000, bucket.millis + gained)
        bucket.filled_ms = now_ms
        suffices = bucket.millis >= count * 1_000
        if suffices:
            bucket.millis -= count * 1_000
        missing = allowance.burst * 1_000 - bucket.millis
        reset_s = -(-(now_ms + missing // allowance.per_second) // 1_000)
        headers: list[tuple[str, str]] = [
            ("Poly-RateLimit-Remaining", str(bucket.millis // 1_000)),
            ("Poly-RateLimit-Reset", str(reset_s)),
            ("Poly-RateLimit-Tier", TIER),
        ]
        if not suffices and not self.enforced:
            headers.append(("Poly-RateLimit-Warning", "true"))
        return suffices or not self.enforced, tuple(headers)
