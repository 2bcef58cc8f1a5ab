"""The CLOB user socket: an account's own orders and trades, for whoever shows its credentials."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from copytrade.sandbox.sessions import Outlet
from copytrade.sandbox.trading.conditions import Conditions
from copytrade.sandbox.trading.credentials import ApiKey, KeyRing
from copytrade.sandbox.trading.desk import Desk
from copytrade.sandbox.trading.feed import OrderEvent
from copytrade.sandbox.trading.orders import PlacedOrder
from copytrade.sandbox.trading.shapes import Spelling
from copytrade.sandbox.trading.trades import Trade


class UserSession:
    """One user connection; it is cut when its first frame shows no good credentials, and when they are revoked."""

    def __init__(self, *, outlet: Outlet, keys: KeyRing) -> None:
        """Start as nobody's."""
        self.outlet = outlet
        self._keys = keys
        self._api_key: ApiKey | None = None
        self._markets: set[str] | None = None

    @property
    def key(self) -> str:
        """The API key it was opened with, "" before."""
        return "" if self._api_key is None else self._api_key.key

    def receive(self, text: str) -> None:
        """Handle a keep-alive, the first frame with its credentials, or a later change of markets."""
        if text == "PING":
            self.outlet.answer_ping("PONG")
            return
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.outlet.send("INVALID OPERATION")
        elif self._api_key is None:
            self._authenticate(message)
        else:
            self._change(message)

    def wants(self, address: str, condition: str) -> bool:
        """Say whether it is told of an address's doings in a market."""
        if self._api_key is None or self._api_key.address != address:
            return False
        return self._markets is None or condition in self._markets

    def _authenticate(self, message: dict[str, Any]) -> None:
        shown = message.get("auth")
        if str(message.get("type", "")).lower() != "user" or not isinstance(shown, dict):
            self.outlet.abort()
            return
        self._api_key = self._keys.admits(
            key=shown.get("apiKey"), secret=shown.get("secret"), passphrase=shown.get("passphrase")
        )
        if self._api_key is None:
            self.outlet.abort()
            return
        markets = message.get("markets")
        self._markets = set(_conditions(markets)) if markets else None

    def _change(self, message: dict[str, Any]) -> None:
        markets = _conditions(message.get("markets"))
        if message.get("operation") == "subscribe":
            self._markets = (self._markets or set()) | markets
        elif message.get("operation") == "unsubscribe":
            self._markets = (self._markets or set()) - markets or None
        else:
            self.outlet.send("INVALID OPERATION")


class UserFeed:
    """Spells what happens to orders and trades for each session that may hear of it."""

    def __init__(
        self, *, sessions: Callable[[], Sequence[UserSession]], conditions: Conditions, now_ms: Callable[[], int]
    ) -> None:
        """Send to whatever `sessions` returns at the time."""
        self._sessions = sessions
        self._conditions = conditions
        self._now_ms = now_ms
        self._desk: Desk | None = None
        self._spelling: Spelling | None = None

    def connect(self, desk: Desk, spelling: Spelling) -> None:
        """Tell it whose orders and trades these are; it is silent before."""
        self._desk = desk
        self._spelling = spelling

    def order_changed(self, order: PlacedOrder, event: OrderEvent, *, status: str) -> None:
        """Tell the order's address."""
        sessions = self._listening(order.address, order.market.condition)
        if sessions and self._spelling is not None:
            self._send(sessions, self._spelling.order_message(order, event, status=status, at_ms=self._now_ms()))

    def trade_changed(self, trade: Trade) -> None:
        """Tell every address that takes part, as taker or as maker."""
        if self._desk is None or self._spelling is None or not self._sessions():
            return
        found = [self._desk.orders.find(fill.order_hash) for fill in trade.fills]
        for address in {order.address: None for order in found if order is not None}:
            sessions = self._listening(address, trade.market.condition)
            if sessions:
                own = self._desk.parts_of(trade, address)
                self._send(sessions, self._spelling.trade_message(trade, own=own, at_ms=self._now_ms()))

    def _send(self, sessions: Sequence[UserSession], message: dict[str, Any]) -> None:
        text = json.dumps(message, separators=(",", ":"))
        for session in list(sessions) * self._conditions.pushes:
            session.outlet.send(text)

    def _listening(self, address: str, condition: str) -> list[UserSession]:
        return [session for session in self._sessions() if session.wants(address, condition)]


def _conditions(value: object) -> set[str]:
    return {str(one).lower() for one in value} if isinstance(value, list) else set()
