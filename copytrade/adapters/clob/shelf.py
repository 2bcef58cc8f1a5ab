"""The books of all tracked tokens, brought forward by socket messages; no network, no waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.clob.hashes import Terms
from copytrade.adapters.clob.tape import Tape
from copytrade.adapters.clob.tracked import BUFFERED_MESSAGES_MAX, Agreement, BookCounters, Tracked
from copytrade.adapters.clob.wire import (
    KNOWN_KINDS,
    PLAIN_ASKS,
    PLAIN_BIDS,
    PLAIN_SIZE_LIMIT,
    QUOTES_OF_SIDE,
    SIZES,
    MalformedFrameError,
    MarketMessage,
    WireBook,
    WireChange,
    decode_frame,
    decode_plain,
    levels_of,
    old_changes,
    timestamp_ms,
)
from copytrade.domain.market_events import MarketListed, MarketResolved, TickSizeChanged
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.adapters.clob.rest import FullBook
    from copytrade.domain.book_history import Quote
    from copytrade.domain.market_events import MarketEvent
    from copytrade.domain.units import Millis, Shares
    from copytrade.ports.clock import Clock

SETTLE_MS: Final = 50
"""A book that stays crossed this long without another message is really crossed."""
STRIKES_MAX: Final = 2
"""Disagreements in a row that cost a token its book."""
MARKETS_MAX: Final = 50_000
SAMPLES_MAX: Final = 20
"""Quarantined frames whose text is kept in a note; later ones are only counted."""

log = structlog.get_logger()


class Shelf:
    """Books by token.

    `on_doubt` is called with a token whose book was just thrown away and must be got anew; `forget` with
    tokens of a resolved market.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        history_ms: Millis,
        note: Callable[[str, Mapping[str, object]], None],
        on_event: Callable[[MarketEvent], None],
        on_doubt: Callable[[Tracked], None],
        forget: Callable[[str], None],
    ) -> None:
        """Start empty."""
        self.tokens: dict[str, Tracked] = {}
        self.counters = BookCounters()
        self.tape = Tape(history_ms=history_ms)
        self.terms: dict[str, Terms] = {}
        """By condition, of the markets whose books were seen."""
        self._clock = clock
        self._history_ms = history_ms
        self._note = note
        self._on_event = on_event
        self._on_doubt = on_doubt
        self._forget = forget
        self._revision_floor = 0
        self._last_at_ms: Millis = 0
        self._samples = 0

    def add(self, token_id: str) -> Tracked:
        """Make room for a token."""
        now = self._clock.monotonic_ms()
        tracked = Tracked(token_id, history_ms=self._history_ms, revision=self._revision_floor, now=now)
        self.tokens[token_id] = tracked
        return tracked

    def remove(self, token_id: str) -> Tracked | None:
        """Drop a token, its book and its past."""
        tracked = self.tokens.pop(token_id, None)
        if tracked is not None:
            self._revision_floor = max(self._revision_floor, tracked.book.revision)
            if tracked.settle_timer is not None:
                tracked.settle_timer.cancel()
            tracked.wake()
        return tracked

    def now_ms(self) -> Millis:
        """Return the wall clock, held where it would go back: the history is in its order."""
        at_ms = self._clock.now_ms()
        if at_ms < self._last_at_ms:
            return self._last_at_ms
        self._last_at_ms = at_ms
        return at_ms

    def apply_frame(self, frame: bytes) -> bool:
        """Apply every message of a frame; return whether any was about a token we keep.

        :raises MalformedFrameError: something of it was not readable; what was lost nobody knows.
        """
        # Nearly every frame is a plain one: what follows is written out, without a call that can be spared.
        message = decode_plain(frame)
        if message is None:
            return self._apply_any(frame)
        changes, venue_ts_ms, tokens, at_ms = message.price_changes, message.timestamp, self.tokens, self.now_ms()
        is_ours = False
        number, size = -1.0, 0
        for change in changes:
            tracked = tokens.get(change.asset_id)
            if tracked is None:
                continue
            try:
                quote = (PLAIN_BIDS if change.side == "BUY" else PLAIN_ASKS)[change.price]
                if change.size != number:
                    number = change.size
                    size = int(number * MICRO + 0.5)
            except (ValueError, OverflowError):
                return self._apply_any(frame)
            # The decimal was rounded once, to the nearest float; dividing back gives the same one only if exact.
            if size / MICRO != number or size >= PLAIN_SIZE_LIMIT:
                return self._apply_any(frame)
            is_ours, book = True, tracked.book
            if not book.try_change(quote, size, venue_ts_ms, at_ms):
                self._move(tracked, [(quote, size)], frame, venue_ts_ms, at_ms)
                continue
            tracked.carried = frame
            if book.is_pending:
                self._settle_later(tracked)
            elif tracked.waiters:
                tracked.wake()
        self.counters.plain_messages += 1
        return is_ours

    def _apply_any(self, frame: bytes) -> bool:
        """Apply a frame of any kind, read exactly; if half of it was applied already that does no harm."""
        self.counters.frames += 1
        try:
            messages, rejected = decode_frame(frame)
        except MalformedFrameError:
            self._quarantine("MALFORMED_FRAME", frame)
            raise
        at_ms = self.now_ms()
        self.counters.messages += len(messages)
        is_ours = False
        for message in messages:
            if self._apply(message, at_ms):
                is_ours = True
        if rejected:
            for part in rejected:
                self._quarantine("MALFORMED_MESSAGE", part)
            raise MalformedFrameError(f"{len(rejected)} parts of a frame are not of their kind's shape")
        return is_ours

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
        self._learn(full.wire)
        if not tracked.book.is_seeded:
            if full.venue_ts_ms < tracked.dropped_ts_ms:
                return Agreement.PAST
            self._seed(tracked, full, asked_at)
            return Agreement.SAME
        if tracked.socket is None and full.venue_ts_ms < tracked.book.venue_ts_ms:
            return Agreement.PAST
        agreement = tracked.compare(full)
        is_tie = agreement is Agreement.DIFFERENT and full.venue_ts_ms == tracked.book.venue_ts_ms
        if agreement in (Agreement.SAME, Agreement.AHEAD) or (is_tie and is_authority):
            tracked.strikes = tracked.seed_tries = 0
            tracked.carried = None
            tracked.known_true_at = max(tracked.known_true_at, asked_at)
            if full.venue_ts_ms >= tracked.book.venue_ts_ms:
                tracked.snapshot_ts_ms = full.venue_ts_ms
                self._replace(tracked, full.levels, full.venue_ts_ms)
        elif agreement is Agreement.DIFFERENT:
            self.strike(tracked, "snapshot", is_final=is_authority)
        return agreement

    def lose(self, tracked: Tracked) -> None:
        """Forget a token's book; what arrives from now on is kept for its next snapshot."""
        if tracked.book.is_seeded:
            self.counters.books_lost += 1
            tracked.book.clear(self.now_ms())
        tracked.carried = None
        tracked.strikes = tracked.known_true_at = tracked.snapshot_ts_ms = tracked.dropped_ts_ms = 0
        tracked.seed_tries = 0
        tracked.is_confirmed = False
        tracked.epoch += 1
        tracked.buffer.clear()
        tracked.wake()

    def doubt(self, tracked: Tracked, why: str) -> None:
        """Throw a book away that cannot be right, and have it got anew."""
        tracked.doubted_at = self._clock.monotonic_ms()
        log.warning("books.doubted", token_id=tracked.token_id, why=why)
        self._note("BOOK_DOUBTED", {"token_id": tracked.token_id, "why": why})
        self.lose(tracked)
        self._on_doubt(tracked)

    def strike(self, tracked: Tracked, what: str, *, is_final: bool) -> None:
        """Count a disagreement; the last one costs the token its book, one before it has the book asked for."""
        self.counters.mismatches += 1
        tracked.strikes += 1
        tracked.carried = None
        if is_final or tracked.strikes >= STRIKES_MAX:
            self._note("BOOK_MISMATCH", {"token_id": tracked.token_id, "what": what})
            self.doubt(tracked, what)
        else:
            tracked.ask_again_at = self._clock.monotonic_ms()

    def _apply(self, message: MarketMessage, at_ms: Millis) -> bool:
        kind = message.event_type
        try:
            if kind == "price_change":
                return self._change(message, at_ms)
            if kind == "book":
                return self._book(message)
            if kind in KNOWN_KINDS:
                self._announce(message)
                return message.asset_id in self.tokens
        except (KeyError, ValueError) as error:
            self._quarantine("MALFORMED_MESSAGE", f"{kind} of {message.asset_id}: {error}".encode())
            for token_id in {message.asset_id, *(change.asset_id for change in message.price_changes)}:
                if token_id in self.tokens:
                    self.doubt(self.tokens[token_id], "an unreadable message")
            return False
        self.counters.unknown_messages += 1
        self._sample("UNKNOWN_MESSAGE", kind)
        return False

    def _change(self, message: MarketMessage, at_ms: Millis) -> bool:
        venue_ts_ms = timestamp_ms(message.timestamp)
        groups: dict[str, list[WireChange]] = {}
        for change in message.price_changes or old_changes(message):
            groups.setdefault(change.asset_id or message.asset_id, []).append(change)
        ours = [(tracked, group) for token_id, group in groups.items() if (tracked := self.tokens.get(token_id))]
        for tracked, group in ours:
            try:
                changed = [(QUOTES_OF_SIDE[change.side][change.price], SIZES[change.size]) for change in group]
            except (KeyError, ValueError) as error:
                self._unreadable(tracked, error)
            else:
                self._move(tracked, changed, message, venue_ts_ms, at_ms)
        return bool(ours)

    def _move(
        self,
        tracked: Tracked,
        changed: list[tuple[Quote, Shares]],
        carried: bytes | MarketMessage,
        venue_ts_ms: Millis,
        at_ms: Millis,
    ) -> None:
        """Apply one message's changes to one token, or put them aside while it has no book."""
        if not tracked.book.is_seeded:
            self.counters.unseeded_messages += 1
            if len(tracked.buffer) >= BUFFERED_MESSAGES_MAX:
                tracked.dropped_ts_ms = tracked.buffer[-1][0]
                tracked.buffer.clear()
            tracked.buffer.append((venue_ts_ms, changed))
        elif venue_ts_ms < tracked.book.venue_ts_ms:
            self._late(tracked, venue_ts_ms)
        else:
            tracked.book.change_many(changed, venue_ts_ms, at_ms)
            tracked.carried = carried
            self._changed(tracked)

    def _learn(self, book: WireBook | MarketMessage) -> None:
        if len(self.terms) >= MARKETS_MAX and book.market not in self.terms:
            del self.terms[next(iter(self.terms))]
        self.terms.setdefault(book.market, Terms()).learn(book)

    def _late(self, tracked: Tracked, venue_ts_ms: Millis) -> None:
        """Drop a message older than the book: a snapshot may include it, otherwise the order is broken."""
        if venue_ts_ms < tracked.snapshot_ts_ms:
            return
        self.counters.late_messages += 1
        self.doubt(tracked, "messages out of order")

    def _book(self, message: MarketMessage) -> bool:
        tracked = self.tokens.get(message.asset_id)
        if tracked is None:
            return False
        self._learn(message)
        venue_ts_ms = timestamp_ms(message.timestamp)
        levels = levels_of(message.bids, message.asks)
        tracked.is_confirmed = True
        tracked.ask_again_at = None
        if not tracked.book.is_seeded:
            self.counters.seeds += 1
            tracked.buffer.clear()
        if venue_ts_ms >= tracked.book.venue_ts_ms:
            self._replace(tracked, levels, venue_ts_ms)
        return True

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
                tracked.book.change_many(changed, venue_ts_ms, at_ms)
        self._changed(tracked)

    def _replace(self, tracked: Tracked, levels: dict[Quote, Shares], venue_ts_ms: Millis) -> None:
        tracked.carried = None
        tracked.book.replace(levels, venue_ts_ms, self.now_ms())
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

    def _announce(self, message: MarketMessage) -> None:
        kind = message.event_type
        token_ids = tuple(message.assets_ids)
        if kind == "tick_size_change":
            tick_size = abs(QUOTES_OF_SIDE["BUY"][message.new_tick_size])
            if terms := self.terms.get(message.market):
                terms.tick_size = message.new_tick_size
            self._tell(TickSizeChanged(condition_id=message.market, token_id=message.asset_id, tick_size=tick_size))
        elif kind == "last_trade_price":
            if terms := self.terms.get(message.market):
                terms.note_trade(message.price)
                if not self.tape.note_print(message, self.now_ms()):
                    self._quarantine("MALFORMED_MESSAGE", f"print of {message.asset_id}".encode())
        elif kind == "new_market":
            self._on_event(MarketListed(condition_id=message.market, token_ids=token_ids))
        elif kind == "market_resolved":
            winner = message.winning_asset_id if message.winning_asset_id in token_ids else None
            self._tell(MarketResolved(condition_id=message.market, token_ids=token_ids, winning_token_id=winner))
            self.terms.pop(message.market, None)
            for token_id in token_ids:
                self._forget(token_id)

    def _tell(self, event: TickSizeChanged | MarketResolved) -> None:
        if event.condition_id in self.terms:
            self.tape.note(event.condition_id, event, self.now_ms())
        self._on_event(event)

    def _unreadable(self, tracked: Tracked, error: Exception) -> None:
        self._quarantine("MALFORMED_MESSAGE", f"price_change of {tracked.token_id}: {error}".encode())
        self.doubt(tracked, "an unreadable change")

    def _quarantine(self, code: str, payload: bytes) -> None:
        self.counters.malformed += 1
        self._sample(code, payload[:500].decode(errors="replace"))

    def _sample(self, what: str, payload: str) -> None:
        self._samples += 1
        if self._samples <= SAMPLES_MAX:
            log.warning("books.quarantined", what=what, payload=payload)
            self._note("QUARANTINED", {"what": what, "payload": payload})
