"""What the market socket says, applied to the books it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from copytrade.adapters.clob.announcements import announced
from copytrade.adapters.clob.wire import (
    KNOWN_KINDS,
    PLAIN_BYTES_MAX,
    SIZES,
    UNREADABLE,
    MalformedFrameError,
    decode_frame,
    decode_head,
    decode_plain,
    levels_of,
    old_changes,
    timestamp_ms,
)
from copytrade.domain.market_events import MarketListed, MarketResolved
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.adapters.clob.shelf import Shelf
    from copytrade.adapters.clob.socket import MarketSocket
    from copytrade.adapters.clob.tracked import Outcome, Tracked
    from copytrade.adapters.clob.wire import MarketMessage, WireChange
    from copytrade.domain.book_history import Quote
    from copytrade.domain.market_events import MarketEvent
    from copytrade.domain.units import Millis, Shares

PAYLOAD_CHARS_MAX: Final = 500
SAMPLES_MAX: Final = 20
"""Quarantined frames whose text is kept in a note; later ones are only counted."""

log = structlog.get_logger()


class Feed:
    """Reads frames. `forget` is called with the tokens of a resolved market."""

    def __init__(
        self,
        *,
        shelf: Shelf,
        note: Callable[[str, Mapping[str, object]], None],
        on_event: Callable[[MarketEvent], None],
        forget: Callable[[str], None],
    ) -> None:
        """Apply frames to the books of a shelf."""
        self._shelf = shelf
        self._wall_ms = shelf.clock.now_ms
        self._outcomes = shelf.outcomes
        self._counters = shelf.counters
        self._note = note
        self._on_event = on_event
        self._forget = forget
        self._samples = 0

    def apply_frame(self, frame: bytes, source: MarketSocket | None = None) -> bool:
        """Apply every message of a frame to the books that come from `source`; return whether there was any.

        :raises MalformedFrameError: something of it was not readable; what was lost nobody knows.
        """
        # Nearly every frame is a plain one: what follows is written out, without a call that can be spared.
        if len(frame) > PLAIN_BYTES_MAX:
            return self._says_the_same(frame, source) or self._apply_any(frame, source)
        try:
            message = decode_plain(frame)
            if message.price_changes is None:
                return self._apply_any(frame, source)
            change, told_twin = message.price_changes
            outcome = self._outcomes[change.asset_id]
            quote = outcome.quotes[change.side][change.price]
            size = int(change.size * MICRO + 0.5)
            is_mirrored = outcome.quotes_of_twin[told_twin.side][told_twin.price] == quote
        except (*UNREADABLE, LookupError, ValueError):
            return self._apply_any(frame, source)
        tracked = outcome.tracked
        if (
            not is_mirrored
            or told_twin.size != change.size
            or told_twin.asset_id != outcome.twin_id
            # The decimal was rounded once, to the nearest float; dividing back gives the same one only if exact.
            or size / MICRO != change.size
            or tracked.socket is not source
        ):
            return self._apply_any(frame, source)
        shelf, at_ms = self._shelf, self._wall_ms()
        if at_ms >= shelf.last_at_ms:
            shelf.last_at_ms = at_ms
        else:
            at_ms = shelf.now_ms()
        if tracked.book.try_change(quote, size, message.timestamp, at_ms):
            tracked.carried = frame
            if tracked.waiters:
                tracked.wake()
        else:
            shelf.move(tracked, {quote: size}, frame, message.timestamp, at_ms)
        return True

    def _says_the_same(self, frame: bytes, source: MarketSocket | None) -> bool:
        """Whether a frame is the book of the other outcome, after a trade of which the first was just taken in."""
        try:
            head = decode_head(frame)
            outcome = self._heard(head.asset_id, source)
            return (
                outcome is not None
                and head.event_type == "book"
                and outcome.tracked.shown == (outcome.twin_id, timestamp_ms(head.timestamp))
            )
        except (*UNREADABLE, ValueError):
            return False

    def _apply_any(self, frame: bytes, source: MarketSocket | None) -> bool:
        """Apply a frame of any kind, read exactly."""
        try:
            messages, rejected = decode_frame(frame)
        except MalformedFrameError:
            self._quarantine("MALFORMED_FRAME", frame)
            raise
        at_ms = self._shelf.now_ms()
        self._counters.messages += len(messages)
        is_ours = False
        for message in messages:
            if self._apply(message, source, at_ms):
                is_ours = True
        if rejected:
            for part in rejected:
                self._quarantine("MALFORMED_MESSAGE", part)
            raise MalformedFrameError(f"{len(rejected)} parts of a frame are not of their kind's shape")
        return is_ours

    def _apply(self, message: MarketMessage, source: MarketSocket | None, at_ms: Millis) -> bool:
        kind = message.event_type
        try:
            if kind == "price_change":
                return self._change(message, source, at_ms)
            if kind == "book":
                return self._book(message, source)
            if kind in KNOWN_KINDS:
                self._announce(message)
                return self._heard(message.asset_id, source) is not None
        except (KeyError, ValueError) as error:
            self._quarantine("MALFORMED_MESSAGE", f"{kind} of {message.asset_id}: {error}".encode())
            named = {message.asset_id, *(change.asset_id for change in message.price_changes)}
            heard = (self._heard(token_id, source) for token_id in sorted(named))
            for tracked in dict.fromkeys(outcome.tracked for outcome in heard if outcome is not None):
                self._shelf.doubt(tracked, "an unreadable message")
            return False
        self._counters.unknown_messages += 1
        self._sample("UNKNOWN_MESSAGE", kind[:PAYLOAD_CHARS_MAX])
        return False

    def _heard(self, token_id: str, source: MarketSocket | None) -> Outcome | None:
        """Return a token's outcome if its book comes from this socket: one without its twin is told of on two."""
        outcome = self._outcomes.get(token_id)
        return outcome if outcome is not None and outcome.tracked.socket is source else None

    def _change(self, message: MarketMessage, source: MarketSocket | None, at_ms: Millis) -> bool:
        venue_ts_ms = timestamp_ms(message.timestamp)
        said: dict[Outcome, list[WireChange]] = {}
        for change in message.price_changes or old_changes(message):
            outcome = self._heard(change.asset_id or message.asset_id, source)
            if outcome is not None:
                said.setdefault(outcome, []).append(change)
        moved: dict[Tracked, dict[Quote, Shares]] = {}
        for outcome, group in said.items():
            tracked, quotes = outcome.tracked, outcome.quotes
            try:
                changed = {quotes[change.side][change.price]: SIZES[change.size] for change in group}
            except (KeyError, ValueError) as error:
                self._unreadable(tracked, error)
                continue
            if moved.setdefault(tracked, changed) != changed:
                self._shelf.part(tracked)
                del moved[tracked]
        for tracked, changed in moved.items():
            self._shelf.move(tracked, changed, message, venue_ts_ms, at_ms)
        return bool(said)

    def _book(self, message: MarketMessage, source: MarketSocket | None) -> bool:
        outcome = self._heard(message.asset_id, source)
        if outcome is None:
            return False
        tracked = outcome.tracked
        self._shelf.learn(message)
        venue_ts_ms = timestamp_ms(message.timestamp)
        levels = outcome.levels(levels_of(message.bids, message.asks))
        tracked.shown = (message.asset_id, venue_ts_ms)
        tracked.is_confirmed = True
        tracked.ask_again_at = None
        if not tracked.book.is_seeded:
            self._counters.seeds += 1
            tracked.buffer.clear()
        if venue_ts_ms >= tracked.book.venue_ts_ms:
            self._shelf.replace(tracked, levels, venue_ts_ms)
        return True

    def _announce(self, message: MarketMessage) -> None:
        shelf = self._shelf
        event = announced(message)
        if terms := shelf.terms.get(message.market):
            terms.hear(message)
            if event is not None and not isinstance(event, MarketListed):
                shelf.tape.note(message.market, event, shelf.now_ms())
            elif message.event_type == "last_trade_price" and not shelf.tape.note_print(message, shelf.now_ms()):
                self._quarantine("MALFORMED_MESSAGE", f"print of {message.asset_id}".encode())
        if event is not None:
            self._on_event(event)
        if isinstance(event, MarketResolved):
            shelf.terms.pop(message.market, None)
            for token_id in event.token_ids:
                self._forget(token_id)

    def _unreadable(self, tracked: Tracked, error: Exception) -> None:
        self._quarantine("MALFORMED_MESSAGE", f"price_change of {tracked.token_id}: {error}".encode())
        self._shelf.doubt(tracked, "an unreadable change")

    def _quarantine(self, code: str, payload: bytes) -> None:
        self._counters.malformed += 1
        self._sample(code, payload[:PAYLOAD_CHARS_MAX].decode(errors="replace"))

    def _sample(self, what: str, payload: str) -> None:
        self._samples += 1
        if self._samples <= SAMPLES_MAX:
            log.warning("books.quarantined", what=what, payload=payload)
            self._note("QUARANTINED", {"what": what, "payload": payload})
