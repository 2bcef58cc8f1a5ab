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
"""A trade is printed within this time after the book shows it; recorded prints follow by 70 to 90 ms."""


class Place:
    """What is ahead of one resting order on its side of the book; in doubt it is more rather than less.

    The order joins behind everything displayed at its price. Whoever leaves the level leaves from behind us while
    anybody is there. A print is looked for among the changes of the book since we rest: it is the one from which
    its size, or the least above it, left prices up to its own. What it took there came to better prices first,
    then to those ahead of us, then to us.
    """

    def __init__(self, *, side: Side, limit: Price, ahead: Shares) -> None:
        self.ahead = ahead
        self._sign = 1 if side is Side.BUY else -1
        self._limit_rank = self._sign * limit
        self._changes: deque[_Change] = deque()

    def observe(self, gone: Iterable[Match], *, displayed: Shares, venue_ts_ms: Millis, at_ms: Millis) -> None:
        """Take note of a new state: what is gone from each price of our side, and what is left at ours.

        One trade may make several states; they carry one stamp of the venue.
        """
        self._forget(at_ms)
        if not self._changes or self._changes[-1].venue_ts_ms != venue_ts_ms:
            self._changes.append(_Change(venue_ts_ms, at_ms))
        change = self._changes[-1]
        left_ahead = min(self.ahead, displayed)
        change.off_ahead += self.ahead - left_ahead
        self.ahead = left_ahead
        for price, shares in gone:
            rank = self._sign * price
            change.gone[rank] = change.gone.get(rank, 0) + shares

    def reached(self, *, price: Price, shares: Shares, given: Shares, at_ms: Millis) -> Shares:
        """Return how many shares of a printed trade against our side come to us.

        `given` of them went to orders of ours that stand before this one.
        """
        self._forget(at_ms)
        rank = self._sign * price
        change = self._explained(rank, shares)
        if change is None:
            return 0
        passed = max(change.take(rank, shares, limit_rank=self._limit_rank) - given, 0)
        skipped = min(self.ahead, passed)
        self.ahead -= skipped
        return passed - skipped

    def _explained(self, rank: int, shares: Shares) -> _Change | None:
        """Return the change that a trade made: the closest in size from above, else from below, else none."""
        sizes = [(change.size_up_to(rank), change) for change in self._changes]
        found = [(size < shares, abs(size - shares), change.at_ms, change) for size, change in sizes if size > 0]
        return min(found, key=lambda one: one[:3])[3] if found else None

    def _forget(self, at_ms: Millis) -> None:
        while self._changes and self._changes[0].at_ms < at_ms - PRINT_LAG_MS_MAX:
            self._changes.popleft()


class _Change:
    """What left our side with one stamp of the venue and no print has explained; ranks grow with better prices."""

    __slots__ = ("at_ms", "gone", "off_ahead", "venue_ts_ms")

    def __init__(self, venue_ts_ms: Millis, at_ms: Millis) -> None:
        self.venue_ts_ms = venue_ts_ms
        self.at_ms = at_ms
        self.off_ahead = 0
        self.gone: dict[int, Shares] = {}

    def size_up_to(self, rank: int) -> Shares:
        return sum(shares for there, shares in self.gone.items() if there >= rank)

    def take(self, rank: int, shares: Shares, *, limit_rank: int) -> Shares:
        """Use up a trade's shares from the best price on; return those that came to our price or beyond.

        Those that are known to have left from ahead of us are not among them.
        """
        passed = 0
        for there in sorted(self.gone, reverse=True):
            if there < rank:
                break
            used = min(shares, self.gone[there])
            self.gone[there] -= used
            shares -= used
            if there == limit_rank:
                off_ahead = min(used, self.off_ahead)
                self.off_ahead -= off_ahead
                used -= off_ahead
            if there <= limit_rank:
                passed += used
        return passed
