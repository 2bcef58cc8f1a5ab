"""Everything behind the one port: routes requests and sockets to the services of a world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from copytrade.sandbox import frames, quotes
from copytrade.sandbox.clob import ClobService
from copytrade.sandbox.control import ControlService
from copytrade.sandbox.data_api import DataApiService
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.gamma import GammaService
from copytrade.sandbox.happening import Happening, SettlementSent
from copytrade.sandbox.http_message import Request, Response, json_response
from copytrade.sandbox.market import Market
from copytrade.sandbox.market_socket import MarketFeed, MarketSession
from copytrade.sandbox.replay import Recording
from copytrade.sandbox.rpc import RpcService
from copytrade.sandbox.rpc_socket import RpcSession
from copytrade.sandbox.rtds import RtdsFeed, RtdsSession
from copytrade.sandbox.sessions import Outlet, Sessions, Wire
from copytrade.sandbox.trading.control import TradingControl
from copytrade.sandbox.trading.floor import TradingFloor
from copytrade.sandbox.trading.user_socket import UserSession
from copytrade.sandbox.websocket import WebSocket
from copytrade.sandbox.world import World

AnySession = MarketSession | RpcSession | RtdsSession | UserSession


class Service(Protocol):
    """Answers requests of one host of the venue."""

    def respond(self, request: Request) -> Response:
        """Answer a request whose path has no prefix any more."""
        ...


class Venue:
    """Routes requests and sockets of the one port to the services."""

    def __init__(self, *, world: World, now_ms: Callable[[], int], recording: Recording | None) -> None:
        """Wire the services over one world; a recording lends Gamma and the Data API its answers."""
        self._world = world
        self._now_ms = now_ms
        self.faults = Faults()
        self._sessions = Sessions()
        self._sockets = 0
        exchange = world.exchange
        self._rpc = RpcService(chain=world.chain, faults=self.faults)
        self._clob = ClobService(
            exchange=exchange,
            summary=lambda market, outcome: quotes.summary(exchange, market, outcome),
            now_ms=now_ms,
        )
        self._gamma = GammaService(exchange=exchange, records={} if recording is None else recording.records)
        self._data = DataApiService(
            exchange=exchange,
            ledger=world.ledger,
            now_ms=now_ms,
            delay_ms=world.config.index_delay_ms,
            leaders=[(leader.address, leader.label) for leader in world.leaders],
            recorded=() if recording is None else recording.rows,
        )
        self._feed = MarketFeed(exchange=exchange, sessions=self._market_sessions)
        self._stream = RtdsFeed(
            exchange=exchange,
            timeline=world.timeline,
            faults=self.faults,
            sessions=self._rtds_sessions,
            seed=world.config.seed,
        )
        self._floor = TradingFloor(world=world, now_ms=now_ms, sessions=self._user_sessions)
        self._control = ControlService(
            world=world,
            faults=self.faults,
            sessions=self._sessions,
            data_api=self._data,
            trading=TradingControl(floor=self._floor, world=world),
        )
        world.listen(self._tell)

    async def respond(self, request: Request) -> Response:
        """Answer an HTTP request, after whatever faults ask for."""
        self._world.advance(self._now_ms())
        prefix, path = _split_prefix(request.path)
        inner = replace(request, path=path)
        if prefix == "control":
            return self._control.respond(inner)
        delay_ms = self.faults.delay_ms(request.path)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1_000)
            self._world.advance(self._now_ms())
        rule = self.faults.path_error(request.path)
        if rule is not None:
            return json_response(rule.body, status=rule.status)
        if prefix == "rpc":
            return self._respond_rpc(inner)
        if prefix == "clob" and self._floor.serves(inner):
            return await self._floor.respond(inner)
        if request.path in ("/site/api/geoblock", "/relayer/deployed"):
            return self._floor.geoblock() if prefix == "site" else self._floor.deployed(inner)
        services: dict[str, Service] = {"gamma": self._gamma, "data": self._data, "clob": self._clob}
        service = services.get(prefix)
        if service is None:
            return json_response({"error": "not found"}, status=404)
        return service.respond(inner)

    def gate(self, request: Request) -> Response | None:
        """Refuse an upgrade on an unknown path, or where a fault says so."""
        kind = socket_kind(request.path)
        if kind is None:
            return json_response({"error": "not found"}, status=404)
        status = self.faults.refused_sockets.get(kind)
        return None if status is None else json_response({"error": "refused"}, status=status)

    async def converse(self, request: Request, socket: WebSocket) -> None:
        """Serve an accepted socket until it ends."""
        session = self.attach(socket_kind(request.path) or "", socket)
        try:
            async for text in socket.messages():
                self.hear(session, text)
        finally:
            self.detach(session)

    def attach(self, kind: str, wire: Wire) -> AnySession:
        """Open a session of the kind `chain`, `market`, `rtds` or `user` that sends through `wire`."""
        outlet = Outlet(wire, kind=kind, faults=self.faults)
        self._sockets += 1
        session = self._session(outlet, name=str(self._sockets))
        self._sessions.add(session)
        return session

    def _session(self, outlet: Outlet, *, name: str) -> AnySession:
        if outlet.kind == "chain":
            return RpcSession(outlet=outlet, service=self._rpc, faults=self.faults, name=name)
        if outlet.kind == "rtds":
            return RtdsSession(outlet=outlet, faults=self.faults, now_ms=lambda: self._world.now_ms, name=name)
        if outlet.kind == "user":
            return self._floor.open_session(outlet)
        return MarketSession(outlet=outlet, exchange=self._world.exchange, snapshot=self._snapshot)

    def hear(self, session: AnySession, text: str) -> None:
        """Hand a session a message of its client."""
        self._world.advance(self._now_ms())
        session.receive(text)

    def detach(self, session: AnySession) -> None:
        """Forget a session whose client is gone."""
        self._sessions.discard(session)

    def _respond_rpc(self, request: Request) -> Response:
        if request.method != "POST":
            return json_response({"error": "method not allowed"}, status=405)
        rule = self.faults.transport_error(_methods(request.body))
        if rule is not None:
            return json_response(rule.body, status=rule.status)
        answer = self._rpc.answer_text(request.body.decode(errors="replace"))
        return Response(status=200, body=(answer or "").encode())

    def _snapshot(self, market: Market, outcome: int) -> frames.Frame:
        return frames.book(self._world.exchange, market, outcome)

    def _market_sessions(self) -> list[MarketSession]:
        return [session for session in self._sessions.of_kind("market") if isinstance(session, MarketSession)]

    def _rtds_sessions(self) -> list[RtdsSession]:
        return [session for session in self._sessions.of_kind("rtds") if isinstance(session, RtdsSession)]

    def _user_sessions(self) -> list[UserSession]:
        return [session for session in self._sessions.of_kind("user") if isinstance(session, UserSession)]

    def _tell(self, happening: Happening) -> None:
        if isinstance(happening, SettlementSent):
            self._stream.tell(happening)
            return
        for session in self._sessions.of_kind("chain"):
            if isinstance(session, RpcSession):
                session.tell(happening)
        self._feed.tell(happening)


def _methods(body: bytes) -> set[str]:
    """Return the RPC methods a request asks for; none when it is no JSON."""
    try:
        message = json.loads(body)
    except ValueError:
        return set()
    items = message if isinstance(message, list) else [message]
    return {str(item.get("method")) for item in items if isinstance(item, dict)}


def _split_prefix(path: str) -> tuple[str, str]:
    prefix, _, rest = path.lstrip("/").partition("/")
    return prefix, f"/{rest}"


def socket_kind(path: str) -> str | None:
    """Return which feed a socket on this path is, None for an unknown path."""
    return {"/rpc": "chain", "/ws/market": "market", "/ws/rtds": "rtds", "/ws/user": "user"}.get(path.rstrip("/"))
