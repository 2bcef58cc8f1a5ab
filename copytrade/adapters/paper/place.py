"""Where a resting order stands in the queue at its price, told from public messages alone."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.matching import Match
    from copytrade.domain.units import Millis, Price, Shares

PRINT_LAG_MS_MAX: Final[Millis] = 1_000
"""A trade is printed within this time after the book shows it; what goes unexplained longer was cancelled."""


class Place:
    """What is ahead of one resting order on its side of the book; in doubt it is more rather than less.

    The order joins behind everything displayed at its price. Whoever leaves the level leaves from behind us while
    anybody is there; a print tells that some of it was traded, from the front. A print counts only as far as the
    book shows shares gone since we rest: better prices first, then our own, then worse ones if it went through.
    """

    def __init__(self, *, side: Side, limit: Price, ahead: Shares) -> None:
        self.ahead = ahead
        self._sign = 1 if side is Side.BUY else -1
        self._limit_rank = self._sign * limit
        self._better = _Unexplained()
        self._taken_off_ahead = _Unexplained()
        self._behind = _Unexplained()
        self._worse = _Unexplained()

    def observe(self, gone: Iterable[Match], *, displayed: Shares, at_ms: Millis) -> None:
        """Take note of a new state: what is gone from each price of our side, and what is left at ours."""
        left_ahead = min(self.ahead, displayed)
        off_ahead = self.ahead - left_ahead
        self.ahead = left_ahead
        self._taken_off_ahead.add(off_ahead, at_ms)
        for price, shares in gone:
            rank = self._sign * price
            if rank > self._limit_rank:
                self._better.add(shares, at_ms)
            elif rank < self._limit_rank:
                self._worse.add(shares, at_ms)
            else:
                self._behind.add(shares - off_ahead, at_ms)

    def reached(self, *, price: Price, shares: Shares, at_ms: Millis) -> Shares:
        """Return how many shares of a trade against our side come to us, when it is printed."""
        rank = self._sign * price
        shares -= self._better.explain(shares, at_ms)
        if rank > self._limit_rank:
            return 0
        shares -= self._taken_off_ahead.explain(shares, at_ms)
        passed = self._behind.explain(shares, at_ms)
        if rank < self._limit_rank:
            passed += self._worse.explain(shares - passed, at_ms)
        skipped = min(self.ahead, passed)
        self.ahead -= skipped
        return passed - skipped


class _Unexplained:
    """Shares that states took off and no print has explained, for as long as one may come."""

    def __init__(self) -> None:
        self._parts: deque[tuple[Millis, Shares]] = deque()

    def add(self, shares: Shares, at_ms: Millis) -> None:
        if shares > 0:
            self._forget(at_ms)
            self._parts.append((at_ms, shares))

    def explain(self, shares: Shares, at_ms: Millis) -> Shares:
        """Use up to so many, oldest first; return how many there were."""
        self._forget(at_ms)
        wanted = shares
        while wanted > 0 and self._parts:
            since_ms, there = self._parts.popleft()
            if there > wanted:
                self._parts.appendleft((since_ms, there - wanted))
            wanted -= min(there, wanted)
        return shares - wanted

    def _forget(self, at_ms: Millis) -> None:
        while self._parts and self._parts[0][0] < at_ms - PRINT_LAG_MS_MAX:
            self._parts.popleft()
