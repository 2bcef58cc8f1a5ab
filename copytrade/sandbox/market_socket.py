"""The CLOB market socket: who is subscribed to what, and what they are sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from copytrade.sandbox import frames, quotes
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.happening import (
    BookChanged,
    BookPublished,
    FrameReplayed,
    Happening,
    MarketOpened,
    MarketResolved,
    TickChanged,
    TradePrinted,
)
from copytrade.sandbox.market import Market
from copytrade.sandbox.sessions import Outlet

IDS_PER_FRAME_MAX = 1_000
"""A subscribe frame with thousands of ids gets the connection closed."""
CLOSE_POLICY = 1008


class MarketSession:
    """One market connection."""

    def __init__(self, *, outlet: Outlet, exchange: Exchange, snapshot: Callable[[Market, int], frames.Frame]) -> None:
        """Start unsubscribed; `snapshot` makes the `book` sent on subscribing."""
        self.outlet = outlet
        self._exchange = exchange
        self._snapshot = snapshot
        self._tokens: dict[int, str] = {}
        self._custom = False

    def receive(self, text: str) -> None:
        """Handle a keep-alive, a first subscription or a later change."""
        if text == "PING":
            self.outlet.answer_ping("PONG")
            return
        try:
            message = json.loads(text)
        except ValueError:
            self.outlet.send("INVALID OPERATION")
            return
        if not isinstance(message, dict) or not self._accepts(message):
            self.outlet.send("INVALID OPERATION")
            return
        if "custom_feature_enabled" in message:
            self._custom = message["custom_feature_enabled"] is True
        tokens = message.get("assets_ids") or message.get("asset_ids") or []
        if len(tokens) > IDS_PER_FRAME_MAX:
            self.outlet.close(code=CLOSE_POLICY, reason="too many assets")
        elif message.get("operation") == "unsubscribe":
            self._unsubscribe(tokens)
        else:
            self._subscribe(tokens, dump=message.get("initial_dump", True) is not False)

    def wants(self, market: Market) -> bool:
        """Say whether one of the market's tokens is subscribed."""
        return any(token in self._tokens for token in market.tokens)

    @property
    def wants_announcements(self) -> bool:
        """Whether `new_market` and `market_resolved` are asked for."""
        return self._custom

    def wants_token(self, token: object) -> bool:
        """Say whether exactly this token is subscribed."""
        return str(token) in self._tokens.values()

    @staticmethod
    def _accepts(message: dict[str, Any]) -> bool:
        operation = message.get("operation")
        if operation is not None:
            return operation in ("subscribe", "unsubscribe")
        return str(message.get("type", "")).lower() == "market"

    def _subscribe(self, tokens: Sequence[object], *, dump: bool) -> None:
        books = []
        for text in tokens:
            market = self._exchange.catalogue.by_token_text(str(text))
            if market is None or not market.has_book or int(str(text)) in self._tokens:
                continue
            token = int(str(text))
            self._tokens[token] = str(text)
            books.append(self._snapshot(market, market.outcome_of(token)))
        if dump and books:
            self.outlet.send(json.dumps(books, separators=(",", ":")))

    def _unsubscribe(self, tokens: Sequence[object]) -> None:
        wanted = {str(text) for text in tokens}
        self._tokens = {token: text for token, text in self._tokens.items() if text not in wanted}


class MarketFeed:
    """Encodes happenings once and sends them to the sessions that want them."""

    def __init__(self, *, exchange: Exchange, sessions: Callable[[], Sequence[MarketSession]]) -> None:
        """Send to whatever `sessions` returns at the time."""
        self._exchange = exchange
        self._sessions = sessions
        self._touches: dict[int, tuple[str, str]] = {}

    def tell(self, happening: Happening) -> None:
        """Send what the market sockets carry of a happening."""
        sessions = self._sessions()
        if not sessions:
            return
        if isinstance(happening, MarketOpened):
            _send([one for one in sessions if one.wants_announcements], [frames.new_market(happening)])
        elif isinstance(happening, MarketResolved):
            announced = [one for one in sessions if one.wants_announcements or one.wants(happening.market)]
            _send(announced, [frames.resolved(happening)])
        elif isinstance(happening, BookPublished | FrameReplayed):
            self._tell_per_asset(sessions, happening)
        elif isinstance(happening, BookChanged | TradePrinted | TickChanged):
            interested = [one for one in sessions if one.wants(happening.market)]
            if interested:
                _send(interested, self._encode(happening))
            if interested and isinstance(happening, BookChanged):
                self._tell_touches([one for one in interested if one.wants_announcements], happening)

    def _tell_touches(self, sessions: Sequence[MarketSession], happening: BookChanged) -> None:
        market = happening.market
        for outcome, token in enumerate(market.tokens):
            touch = quotes.touch(self._exchange, market, outcome)
            chosen = [one for one in sessions if one.wants_token(token)]
            if chosen and self._touches.get(token) != touch:
                _send(chosen, [frames.best_bid_ask(self._exchange, market, outcome, at_ms=happening.at_ms)])
            self._touches[token] = touch

    def _encode(self, happening: BookChanged | TradePrinted | TickChanged) -> list[frames.Frame]:
        if isinstance(happening, BookChanged):
            return frames.price_changes(self._exchange, happening)
        if isinstance(happening, TradePrinted):
            return [frames.last_trade(happening)]
        return frames.tick_change(happening)

    def _tell_per_asset(self, sessions: Sequence[MarketSession], happening: BookPublished | FrameReplayed) -> None:
        market = happening.market
        interested = [one for one in sessions if one.wants(market)]
        if isinstance(happening, FrameReplayed):
            token = happening.frame.get("asset_id")
            chosen = [one for one in interested if token is None or one.wants_token(token)]
            _send(chosen, [happening.frame])
            return
        for outcome, token in enumerate(market.tokens):
            chosen = [one for one in interested if one.wants_token(token)]
            if chosen:
                at_ms = max(happening.at_ms, self._exchange.changed_ms(market))
                frame = frames.book_after_trade(self._exchange, market, outcome, at_ms=at_ms)
                _send(chosen, [frame])


def _send(sessions: Sequence[MarketSession], payloads: Sequence[frames.Frame]) -> None:
    if not sessions:
        return
    for payload in payloads:
        text = json.dumps(payload, separators=(",", ":"))
        for session in sessions:
            session.outlet.send(text)
