"""Holding our books against what the venue's messages say of its own: best prices and the book's hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.adapters.clob.hashes import Terms, Verdict, verdict
from copytrade.adapters.clob.shelf import SETTLE_MS
from copytrade.adapters.clob.wire import best_price, last_changes

if TYPE_CHECKING:
    from copytrade.adapters.clob.shelf import Shelf
    from copytrade.adapters.clob.tracked import Tracked
    from copytrade.ports.clock import Clock

DOUBT_INTERVAL_MS: Final = 10_000
"""What messages carry costs a token its book no more often than this; meanwhile it is not fresh."""

CHECKED_MAX: Final = 200
"""Books compared in one go, some 1 ms; nobody else runs meanwhile."""
HASHED_MAX: Final = 2
"""Hashes made in one go; one of a deep book takes 0.2 ms."""
HASH_STRIKES_MAX: Final = 2
HASH_OVERDUE_MS: Final = 5_000
"""A book that never rests is hashed between two changes; the first of a pair may fail, two in a row do not."""


def has_other_prices(tracked: Tracked) -> bool:
    """Whether the best prices that the last change carried are not ours."""
    if tracked.carried is None or tracked.carried is tracked.prices_seen or tracked.book.is_pending:
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
        self._turn = 0

    def is_doubtful(self, tracked: Tracked) -> bool:
        """Whether the last change speaks against our book; one whose hash fails is asked for."""
        if has_other_prices(tracked) or tracked.is_struck:
            return True
        if tracked.snapshot_ts_ms < tracked.book.venue_ts_ms and tracked.book.has_two_ends:
            self._ask(tracked)
            return True
        if not tracked.has_matched_hash or tracked.book.is_pending:
            return False
        is_failed = self._verdict(tracked) is Verdict.FAILED
        if is_failed:
            self._ask(tracked)
        return is_failed

    def check_all(self) -> None:
        """Judge every book that moved since it was judged last, and some of them by their hash."""
        books = self._shelf.books.values()
        moved = [one for one in books if one.carried is not None and one.carried is not one.prices_seen]
        # The rest has its turn with the next tick; a fill that looks at one of them compares for itself.
        start = self._turn % len(moved) if len(moved) > CHECKED_MAX else 0
        self._turn += CHECKED_MAX
        for tracked in (moved[start:] + moved[:start])[:CHECKED_MAX]:
            self.check(tracked)
        self._check_hashes()

    def check(self, tracked: Tracked) -> None:
        """Compare our best prices with those the last change carried; a second mismatch in a row is the end."""
        if tracked.carried is None or tracked.book.is_pending or self._is_spared(tracked):
            return
        if has_other_prices(tracked):
            self._shelf.strike(tracked, "best prices", is_final=False)
        else:
            tracked.strikes = 0
            tracked.prices_seen = tracked.carried

    def _check_hashes(self) -> None:
        """Judge those longest not judged, suspects first."""
        unjudged = [one for one in self._shelf.books.values() if one.carried is not None and not one.is_hashed]
        ripe = [tracked for tracked in unjudged if self._is_ripe(tracked)]
        ripe.sort(key=lambda tracked: (-tracked.hash_strikes, tracked.hash_judged_at))
        for tracked in ripe[:HASHED_MAX]:
            tracked.hash_judged_at = self._clock.monotonic_ms()
            self._count(tracked, self._verdict(tracked))

    def _count(self, tracked: Tracked, found: Verdict) -> None:
        counters = self._shelf.counters
        if found is Verdict.OK:
            counters.hash_ok += 1
        elif found is Verdict.UNKNOWN or not tracked.has_matched_hash:
            counters.hash_unknown += 1
        else:
            counters.hash_failed += 1
            tracked.hash_strikes += 1
            self._ask(tracked)
            if tracked.hash_strikes >= HASH_STRIKES_MAX and not self._is_spared(tracked):
                tracked.hash_strikes = 0
                self._shelf.strike(tracked, "hash", is_final=True)

    def _ask(self, tracked: Tracked) -> None:
        """Let a snapshot say which of the two is wrong, the book or the recipe."""
        if tracked.ask_again_at is None:
            tracked.ask_again_at = self._clock.monotonic_ms()

    def _verdict(self, tracked: Tracked) -> Verdict:
        """Return what the hash that the last change carried says of our book; made once for each."""
        if tracked.carried is None:
            return Verdict.UNKNOWN
        if not tracked.is_hashed:
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
            tracked.hashed, tracked.hash_verdict = tracked.carried, found
            if found is Verdict.OK:
                tracked.hash_strikes = 0
                tracked.has_matched_hash = True
        return tracked.hash_verdict

    def _is_spared(self, tracked: Tracked) -> bool:
        return tracked.doubted_at is not None and self._clock.monotonic_ms() - tracked.doubted_at < DOUBT_INTERVAL_MS

    def _is_ripe(self, tracked: Tracked) -> bool:
        """Whether no more messages of the newest timestamp are to be expected, or there is always another."""
        if tracked.book.is_pending:
            return False
        has_rested = self._clock.now_ms() - tracked.book.changed_at_ms >= SETTLE_MS
        return has_rested or self._clock.monotonic_ms() - tracked.hash_judged_at >= HASH_OVERDUE_MS
