"""Holding our books against what the venue's messages say of its own: best prices and, sampled, the book's hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.adapters.clob.wire import best_price, last_change

if TYPE_CHECKING:
    from copytrade.adapters.clob.shelf import Shelf
    from copytrade.adapters.clob.tracked import Tracked
    from copytrade.ports.clock import Clock

DOUBT_INTERVAL_MS: Final = 10_000
"""What messages carry costs a token its book no more often than this; meanwhile it is not fresh."""


def is_doubtful(tracked: Tracked) -> bool:
    """Whether the best prices that the last change carried are not ours."""
    if tracked.carried is None or tracked.book.is_pending:
        return False
    _, change = last_change(tracked.carried, tracked.token_id)
    if not (change.best_bid and change.best_ask):
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

    def check_all(self) -> None:
        """Judge every book that moved since it was judged last."""
        for tracked in [one for one in self._shelf.tokens.values() if one.carried is not None]:
            self.check(tracked)

    def check(self, tracked: Tracked) -> None:
        """Compare our best prices with those the last change carried; a second mismatch in a row is the end."""
        if tracked.carried is None or tracked.book.is_pending:
            return
        now = self._clock.monotonic_ms()
        if tracked.doubted_at is not None and now - tracked.doubted_at < DOUBT_INTERVAL_MS:
            return
        if is_doubtful(tracked):
            self._shelf.strike(tracked, "best prices", is_final=False)
        else:
            tracked.strikes = 0
            tracked.carried = None
