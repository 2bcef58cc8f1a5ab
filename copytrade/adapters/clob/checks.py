"""Holding our books against what the venue's messages say of its own: best prices and, sampled, the book's hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.adapters.clob.hashes import Terms, Verdict, verdict
from copytrade.adapters.clob.shelf import SETTLE_MS
from copytrade.adapters.clob.wire import best_price, last_changes

if TYPE_CHECKING:
    from copytrade.adapters.clob.shelf import Shelf
    from copytrade.adapters.clob.tracked import Tracked
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

DOUBT_INTERVAL_MS: Final = 10_000
"""What messages carry costs a token its book no more often than this; meanwhile it is not fresh."""

CHECKED_MAX: Final = 500
"""Books compared in one go, some 3 ms; nobody else runs meanwhile."""
HASH_INTERVAL_MS: Final = 1_000
HASH_STRIKES_MAX: Final = 2


def is_doubtful(tracked: Tracked) -> bool:
    """Whether the best prices that the last change carried are not ours."""
    if tracked.carried is None or tracked.book.is_pending:
        return False
    _, carried = last_changes(tracked.carried)
    change = carried.get(tracked.token_id)
    if change is None or not (change.best_bid and change.best_ask):
        return False
    book = tracked.book
    try:
        return best_price(change.best_bid) != book.best_bid or best_price(change.best_ask) != book.best_ask
    except ValueError:
        return True


class Checks:
    """Judges after the last message of a timestamp, never between."""

    def __init__(self, *, shelf: Shelf, clock: Clock) -> None:
        """Judge the books of a shelf."""
        self._shelf = shelf
        self._clock = clock
        self._hash_at: Millis = 0
        self._turn = 0

    def check_all(self) -> None:
        """Judge every book that moved since it was judged last, and one of them, once a second, by its hash."""
        moved = [tracked for tracked in self._shelf.books.values() if tracked.carried is not None]
        now = self._clock.monotonic_ms()
        if now >= self._hash_at and (ripe := [tracked for tracked in moved if self._is_ripe(tracked)]):
            self._hash_at = now + HASH_INTERVAL_MS
            self._check_hash(min(ripe, key=lambda tracked: (-tracked.hash_strikes, tracked.hash_judged_at)), now)
        # The rest has its turn with the next tick; a fill that looks at one of them compares for itself.
        start = self._turn % len(moved) if len(moved) > CHECKED_MAX else 0
        self._turn += CHECKED_MAX
        for tracked in (moved[start:] + moved[:start])[:CHECKED_MAX]:
            self.check(tracked)

    def check(self, tracked: Tracked) -> None:
        """Compare our best prices with those the last change carried; a second mismatch in a row is the end."""
        if tracked.carried is None or tracked.book.is_pending or self._is_spared(tracked):
            return
        if is_doubtful(tracked):
            self._shelf.strike(tracked, "best prices", is_final=False)
        else:
            tracked.strikes = 0
            tracked.carried = None

    def _is_spared(self, tracked: Tracked) -> bool:
        return tracked.doubted_at is not None and self._clock.monotonic_ms() - tracked.doubted_at < DOUBT_INTERVAL_MS

    def _is_ripe(self, tracked: Tracked) -> bool:
        """Whether no more messages of the newest timestamp are to be expected."""
        return not tracked.book.is_pending and self._clock.now_ms() - tracked.book.changed_at_ms >= SETTLE_MS

    def _check_hash(self, tracked: Tracked, now: Millis) -> None:
        if tracked.carried is None:
            return
        tracked.hash_judged_at = now
        message, carried = last_changes(tracked.carried)
        change = carried.get(tracked.token_id)
        found = verdict(
            tracked.book.levels,
            self._shelf.terms.get(message.market, Terms()),
            market=message.market,
            token_id=tracked.token_id,
            timestamp=message.timestamp,
            expected="" if change is None else change.hash,
        )
        counters = self._shelf.counters
        if found is Verdict.OK:
            counters.hash_ok += 1
            tracked.hash_strikes = 0
            tracked.has_matched_hash = True
        elif found is Verdict.UNKNOWN or not tracked.has_matched_hash:
            counters.hash_unknown += 1
        else:
            counters.hash_failed += 1
            tracked.hash_strikes += 1
            if tracked.hash_strikes >= HASH_STRIKES_MAX and not self._is_spared(tracked):
                tracked.hash_strikes = 0
                self._shelf.strike(tracked, "hash", is_final=True)
