"""The books of all tracked tokens: what becomes of each when the venue shows or changes it; no network, no waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.clob.hashes import Terms, Verdict
from copytrade.adapters.clob.tape import Tape
from copytrade.adapters.clob.tracked import BUFFERED_MESSAGES_MAX, Agreement, BookCounters, Outcome, Tracked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.adapters.clob.rest import FullBook
    from copytrade.adapters.clob.wire import MarketMessage, WireBook
    from copytrade.domain.book_history import Quote
    from copytrade.domain.units import Millis, Shares
    from copytrade.ports.clock import Clock

SETTLE_MS: Final = 50
"""A book that stays crossed this long without another message is really crossed."""
HELD_MS_MAX: Final = 1_000
"""So far the wall clock may go back and is only held; the checks of it that NTP makes are far smaller."""
STRIKES_MAX: Final = 2
"""Disagreements in a row that cost a token its book."""
MARKETS_MAX: Final = 50_000
PARTED_MAX: Final = 1_000
"""Pairs of outcomes remembered as no mirrors of each other."""

log = structlog.get_logger()


class Shelf:
    """Books by token; the two outcomes of a market share one.

    `on_doubt` is called with a book that was just thrown away and must be got anew, `on_parted` with a token
    whose own book turned out not to be the mirror of its twin's.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        history_ms: Millis,
        note: Callable[[str, Mapping[str, object]], None],
        on_doubt: Callable[[Tracked], None],
        on_parted: Callable[[str], None],
    ) -> None:
        """Start empty."""
        self.books: dict[str, Tracked] = {}
        """By the token that the venue is asked for."""
        self.outcomes: dict[str, Outcome] = {}
        """By token: every one whose book is among them."""
        self.counters = BookCounters()
        self.tape = Tape(history_ms=history_ms)
        self.terms: dict[str, Terms] = {}
        """By condition, of the markets whose books were seen."""
        self.clock = clock
        self._history_ms = history_ms
        self._note = note
        self._on_doubt = on_doubt
        self._on_parted = on_parted
        self._parted: set[str] = set()
        self._revision_floor = 0
        self.last_at_ms: Millis = 0
        """The newest instant that was given to a state."""

    def add(self, token_id: str, twin_id: str | None = None) -> Outcome:
        """Make room for a token: on the book of its twin if there is one, else on a new one for both."""
        if twin_id is not None and (token_id in self._parted or twin_id in self._parted):
            twin_id = None
        held = None if twin_id is None else self.outcomes.get(twin_id)
        if held is not None and not held.twin_id:
            outcome = self.outcomes[token_id] = held.tracked.pair_with(token_id)
            return outcome
        now = self.clock.monotonic_ms()
        tracked = Tracked(token_id, history_ms=self._history_ms, revision=self._revision_floor, now=now)
        if twin_id is not None and held is None:
            tracked.pair_with(twin_id)
        self.books[token_id] = tracked
        self.outcomes |= {outcome.token_id: outcome for outcome in tracked.outcomes}
        return self.outcomes[token_id]

    def remove(self, token_id: str) -> Tracked | None:
        """Drop the book of a token and its past, also for its twin."""
        outcome = self.outcomes.get(token_id)
        if outcome is None:
            return None
        tracked = outcome.tracked
        del self.books[tracked.token_id]
        for one in tracked.outcomes:
            del self.outcomes[one.token_id]
        self._revision_floor = max(self._revision_floor, tracked.book.revision)
        if tracked.settle_timer is not None:
            tracked.settle_timer.cancel()
        tracked.wake()
        return tracked

    def now_ms(self) -> Millis:
        """Return the wall clock, held where it goes back a little: the history is in its order.

        A clock that was set back costs the history: for as long, no book could be found by its instant.
        """
        at_ms = self.clock.now_ms()
        back_ms = self.last_at_ms - at_ms
        if 0 < back_ms <= HELD_MS_MAX:
            return self.last_at_ms
        self.last_at_ms = at_ms
        if back_ms > 0:
            log.warning("books.clock_set_back", back_ms=back_ms, books=len(self.books))
            self._note("CLOCK_SET_BACK", {"back_ms": back_ms})
            self._restart(at_ms)
        return at_ms

    def absorb(
        self, tracked: Tracked, full: FullBook, *, asked_at: Millis, epoch: int, is_authority: bool
    ) -> Agreement:
        """Take a REST book that was asked for at `asked_at` (monotonic) for what it is worth.

        It seeds a token without a book. A newer one replaces ours, one that agrees proves ours, an older one
        proves nothing. One that contradicts ours is a strike and costs us our book at the second; if it
        `is_authority`, it replaces ours when it is of the same instant, or costs us our book at once.
        Ignored while the token's connection is down, or if it was asked for in another `epoch`: between the
        two, changes may have been lost.
        """
        if not tracked.is_listening or epoch != tracked.epoch:
            return Agreement.PAST
        self.learn(full.wire)
        if not tracked.book.is_seeded:
            if full.venue_ts_ms < tracked.dropped_ts_ms:
                return Agreement.PAST
            self._seed(tracked, full, asked_at)
            return Agreement.SAME
        if tracked.socket is None and full.venue_ts_ms < tracked.book.venue_ts_ms:
            return Agreement.PAST
        agreement = tracked.compare(full)
        is_tie = agreement is Agreement.DIFFERENT and full.venue_ts_ms == tracked.book.venue_ts_ms
        if agreement is Agreement.SAME and tracked.hash_verdict is Verdict.FAILED:
            # The recipe is at fault, not the book: its hashes say nothing until one is right again.
            tracked.has_matched_hash = False
        if agreement in (Agreement.SAME, Agreement.AHEAD) or (is_tie and is_authority):
            tracked.strikes = tracked.seed_tries = 0
            tracked.carried = None
            tracked.known_true_at = max(tracked.known_true_at, asked_at)
            if full.venue_ts_ms >= tracked.book.venue_ts_ms:
                tracked.snapshot_ts_ms = full.venue_ts_ms
                self.replace(tracked, full.levels, full.venue_ts_ms)
        elif agreement is Agreement.DIFFERENT:
            self.strike(tracked, "snapshot", is_final=is_authority)
        return agreement

    def move(
        self,
        tracked: Tracked,
        changed: dict[Quote, Shares],
        carried: bytes | MarketMessage,
        venue_ts_ms: Millis,
        at_ms: Millis,
    ) -> None:
        """Apply one message's changes to one book, or put them aside until there is one."""
        if not tracked.book.is_seeded:
            self.counters.unseeded_messages += 1
            if len(tracked.buffer) >= BUFFERED_MESSAGES_MAX:
                tracked.dropped_ts_ms = tracked.buffer[-1][0]
                tracked.buffer.clear()
            tracked.buffer.append((venue_ts_ms, changed))
        elif venue_ts_ms < tracked.book.venue_ts_ms:
            self._late(tracked, venue_ts_ms)
        else:
            tracked.book.change_many(changed.items(), venue_ts_ms, at_ms)
            tracked.carried = carried
            self._changed(tracked)

    def learn(self, book: WireBook | MarketMessage) -> None:
        if len(self.terms) >= MARKETS_MAX and book.market not in self.terms:
            del self.terms[next(iter(self.terms))]
        self.terms.setdefault(book.market, Terms()).learn(book)

    def replace(self, tracked: Tracked, levels: dict[Quote, Shares], venue_ts_ms: Millis) -> None:
        """Take a full book that is not older than ours."""
        tracked.carried = None
        tracked.strikes = 0
        tracked.book.replace(levels, venue_ts_ms, self.now_ms())
        self._changed(tracked)

    def lose(self, tracked: Tracked) -> None:
        """Forget a token's book; what arrives from now on is kept for its next snapshot."""
        if tracked.book.is_seeded:
            self.counters.books_lost += 1
            tracked.book.clear(self.now_ms())
        tracked.carried = None
        tracked.strikes = tracked.known_true_at = tracked.snapshot_ts_ms = tracked.dropped_ts_ms = 0
        tracked.seed_tries = 0
        tracked.is_confirmed = False
        tracked.shown = ("", 0)
        tracked.epoch += 1
        tracked.buffer.clear()
        tracked.wake()

    def doubt(self, tracked: Tracked, why: str) -> None:
        """Throw a book away that cannot be right, and have it got anew."""
        tracked.doubted_at = self.clock.monotonic_ms()
        log.warning("books.doubted", token_id=tracked.token_id, why=why)
        self._note("BOOK_DOUBTED", {"token_id": tracked.token_id, "why": why})
        self.lose(tracked)
        self._on_doubt(tracked)

    def part(self, tracked: Tracked) -> None:
        """Give the outcomes of a market, which are no mirrors of each other, a book each."""
        self.counters.mismatches += 1
        self._note("BOOK_MISMATCH", {"token_id": tracked.token_id, "what": "its outcomes are no mirrors"})
        twin_id = tracked.part()
        del self.outcomes[twin_id]
        if len(self._parted) >= PARTED_MAX:
            self._parted.clear()
        self._parted.add(twin_id)
        self.doubt(tracked, "its outcomes are no mirrors")
        self._on_parted(twin_id)

    def strike(self, tracked: Tracked, what: str, *, is_final: bool) -> None:
        """Count a disagreement; the last one costs the token its book, one before it has the book asked for."""
        self.counters.mismatches += 1
        tracked.strikes += 1
        tracked.carried = None
        if is_final or tracked.strikes >= STRIKES_MAX:
            self._note("BOOK_MISMATCH", {"token_id": tracked.token_id, "what": what})
            self.doubt(tracked, what)
        else:
            tracked.ask_again_at = self.clock.monotonic_ms()

    def _restart(self, at_ms: Millis) -> None:
        """Begin the past of everything at that instant."""
        self.tape.clear()
        for tracked in self.books.values():
            tracked.book.restart(at_ms)
            self._changed(tracked)

    def _late(self, tracked: Tracked, venue_ts_ms: Millis) -> None:
        """Drop a message older than the book: a snapshot may include it, otherwise the order is broken."""
        if venue_ts_ms < tracked.snapshot_ts_ms:
            return
        self.counters.late_messages += 1
        self.doubt(tracked, "messages out of order")

    def _seed(self, tracked: Tracked, full: FullBook, asked_at: Millis) -> None:
        """Give a token its first book and apply what arrived meanwhile; same stamps again do no harm."""
        self.counters.seeds += 1
        tracked.seed_tries = 0
        tracked.known_true_at = asked_at
        tracked.snapshot_ts_ms = full.venue_ts_ms
        buffered, tracked.buffer = tracked.buffer, []
        at_ms = self.now_ms()
        tracked.book.replace(full.levels, full.venue_ts_ms, at_ms)
        for venue_ts_ms, changed in buffered:
            if venue_ts_ms >= tracked.book.venue_ts_ms:
                tracked.book.change_many(changed.items(), venue_ts_ms, at_ms)
        self._changed(tracked)

    def _changed(self, tracked: Tracked) -> None:
        if tracked.book.is_pending:
            self._settle_later(tracked)
        tracked.wake()

    def _settle_later(self, tracked: Tracked) -> None:
        if tracked.settle_timer is None:
            loop, stamp = asyncio.get_running_loop(), tracked.book.venue_ts_ms
            tracked.settle_timer = loop.call_later(SETTLE_MS / 1000, self._settle, tracked, stamp)

    def _settle(self, tracked: Tracked, stamp: Millis) -> None:
        tracked.settle_timer = None
        if not tracked.book.is_pending:
            return
        if tracked.book.venue_ts_ms != stamp:
            self._settle_later(tracked)
            return
        tracked.book.settle(self.now_ms())
        tracked.wake()
