"""The trading floor: the desk, its keys, its requests and its user sockets, wired over one world."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from copytrade.sandbox.http_message import Request, Response, json_response
from copytrade.sandbox.sessions import Outlet
from copytrade.sandbox.trading.conditions import Conditions
from copytrade.sandbox.trading.credentials import KeyRing
from copytrade.sandbox.trading.desk import Desk
from copytrade.sandbox.trading.heartbeats import Heartbeats
from copytrade.sandbox.trading.limits import Limits
from copytrade.sandbox.trading.orders import OrderStatus
from copytrade.sandbox.trading.posting import Posting
from copytrade.sandbox.trading.record import Record
from copytrade.sandbox.trading.service import TradingService
from copytrade.sandbox.trading.shapes import Spelling
from copytrade.sandbox.trading.transport import carry
from copytrade.sandbox.trading.user_socket import UserFeed, UserSession
from copytrade.sandbox.world import World


class TradingFloor:
    """Everything of the venue that knows who is asking."""

    def __init__(
        self, *, world: World, now_ms: Callable[[], int], sessions: Callable[[], Sequence[UserSession]]
    ) -> None:
        """Open over a world; `sessions` returns the user sockets that are connected at the time."""
        seed = world.config.seed
        self.conditions = Conditions(seed=seed)
        self.limits = Limits()
        self.keys = KeyRing(seed=seed)
        self.record = Record()
        self.sessions = sessions
        feed = UserFeed(sessions=sessions, conditions=self.conditions, now_ms=lambda: world.now_ms)
        self.desk = Desk(world=world, conditions=self.conditions, listener=feed)
        spelling = Spelling(orders=self.desk.orders, conditions=self.conditions)
        feed.connect(self.desk, spelling)
        posting = Posting(
            world=world,
            desk=self.desk,
            record=self.record,
            spelling=spelling,
            conditions=self.conditions,
            now_ms=now_ms,
        )
        self._service = TradingService(
            world=world,
            desk=self.desk,
            keys=self.keys,
            posting=posting,
            spelling=spelling,
            limits=self.limits,
            heartbeats=Heartbeats(timeline=world.timeline, seed=seed, expire=self._heartbeat_missed),
            conditions=self.conditions,
        )

    def serves(self, request: Request) -> bool:
        """Say whether a CLOB request is for this half of it."""
        return self._service.serves(request)

    async def respond(self, request: Request) -> Response:
        """Answer a request, through whatever trouble was asked for."""
        rule = self.conditions.take_trouble(request.method, request.path)
        if rule is None:
            return await self._service.respond(request)
        return await carry(rule, request, self._service.respond, lose=self._service.lose)

    def open_session(self, outlet: Outlet) -> UserSession:
        """Begin a user socket."""
        return UserSession(outlet=outlet, keys=self.keys)

    def revoke(self, address: str | None) -> list[str]:
        """Revoke the keys of an address, or all, and cut their sockets; return the keys."""
        gone = self.keys.revoke(address=address)
        for session in list(self.sessions()):
            if session.key in gone:
                session.outlet.abort()
        return gone

    def geoblock(self) -> Response:
        """Answer polymarket.com's question where somebody is."""
        where = {"blocked": self.conditions.blocked, "ip": "127.0.0.1", "country": self.conditions.country}
        return json_response({**where, "region": ""})

    def deployed(self, request: Request) -> Response:
        """Answer the relayer's question whether a wallet exists: when it is an account here."""
        found = self.desk.accounts.find(request.first("address") or "")
        return json_response({"deployed": found is not None})

    def _heartbeat_missed(self, key: str) -> None:
        for order in self.desk.orders.active():
            if order.signed.owner == key and order.is_open:
                self.desk.end(order, OrderStatus.CANCELED)
