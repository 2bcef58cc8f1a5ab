"""Serve a world on one loopback port: chain RPC, Gamma, Data API, CLOB and the control."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import structlog

from copytrade.sandbox import frames, quotes
from copytrade.sandbox.clob import ClobService
from copytrade.sandbox.clock import LoopClock, wall_ms
from copytrade.sandbox.control import ControlService
from copytrade.sandbox.data_api import DataApiService
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.gamma import GammaService
from copytrade.sandbox.happening import Happening
from copytrade.sandbox.http_message import Request, Response, json_response
from copytrade.sandbox.http_server import HttpServer
from copytrade.sandbox.leading import Leader
from copytrade.sandbox.market import Market
from copytrade.sandbox.market_socket import MarketFeed, MarketSession
from copytrade.sandbox.replay import Recording, Replay, read_recording
from copytrade.sandbox.rpc import RpcService
from copytrade.sandbox.rpc_socket import RpcSession
from copytrade.sandbox.sessions import Outlet, Sessions
from copytrade.sandbox.websocket import WebSocket
from copytrade.sandbox.world import World, WorldConfig

STEP_MS = 25
"""How often at least the world is moved; what happens in it has its own, exact times."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """How to run the sandbox.

    `start_ms` is the wall time (Unix ms) that the event loop's clock at start stands for; None
    reads the system clock once. Time then passes with the loop, real or virtual.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    manual: bool = False
    recorded: Path | None = None
    speed: float = 1.0
    block_ms: int = 1_500
    index_delay_ms: int = 2_000
    history_blocks: int = 120
    filler_markets: int = 110
    start_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox: where it is and whom to follow."""

    urls: dict[str, str]
    leaders: tuple[Leader, ...]
    world: World
    faults: Faults


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
        self._control = ControlService(world=world, faults=self.faults, sessions=self._sessions, data_api=self._data)
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
        services: dict[str, Service] = {"gamma": self._gamma, "data": self._data, "clob": self._clob}
        service = services.get(prefix)
        if service is None:
            return json_response({"error": "not found"}, status=404)
        return service.respond(inner)

    def gate(self, request: Request) -> Response | None:
        """Refuse an upgrade on an unknown path, or where a fault says so."""
        kind = _socket_kind(request.path)
        if kind is None:
            return json_response({"error": "not found"}, status=404)
        status = self.faults.refused_sockets.get(kind)
        return None if status is None else json_response({"error": "refused"}, status=status)

    async def converse(self, request: Request, socket: WebSocket) -> None:
        """Serve an accepted socket until it ends."""
        kind = _socket_kind(request.path) or ""
        outlet = Outlet(socket, kind=kind, faults=self.faults)
        self._sockets += 1
        session = (
            RpcSession(outlet=outlet, service=self._rpc, faults=self.faults, name=str(self._sockets))
            if kind == "chain"
            else MarketSession(outlet=outlet, exchange=self._world.exchange, snapshot=self._snapshot)
        )
        self._sessions.add(session)
        try:
            async for text in socket.messages():
                self._world.advance(self._now_ms())
                session.receive(text)
        finally:
            self._sessions.discard(session)

    def _respond_rpc(self, request: Request) -> Response:
        if request.method != "POST":
            return json_response({"error": "method not allowed"}, status=405)
        answer = self._rpc.answer_text(request.body.decode(errors="replace"))
        return Response(status=200, body=(answer or "").encode())

    def _snapshot(self, market: Market, outcome: int) -> frames.Frame:
        return frames.book(self._world.exchange, market, outcome)

    def _market_sessions(self) -> list[MarketSession]:
        return [session for session in self._sessions.of_kind("market") if isinstance(session, MarketSession)]

    def _tell(self, happening: Happening) -> None:
        for session in self._sessions.of_kind("chain"):
            if isinstance(session, RpcSession):
                session.tell(happening)
        self._feed.tell(happening)


@contextlib.asynccontextmanager
async def serve(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    """Run a sandbox until the context ends."""
    start_ms = wall_ms() if config.start_ms is None else config.start_ms
    world, recording = _build(config, start_ms=start_ms)
    clock = LoopClock(start_ms=start_ms)
    venue = Venue(world=world, now_ms=clock.now_ms, recording=recording)
    server = HttpServer(on_request=venue.respond, on_socket=venue.converse, gate=venue.gate)
    port = await server.start(config.host, config.port)
    driver = asyncio.create_task(_drive(world, clock), name="sandbox-world")
    log.debug("sandbox.listening", port=port, seed=config.seed)
    try:
        yield Sandbox(
            urls=urls_of(config.host, port),
            leaders=tuple(world.leaders),
            world=world,
            faults=venue.faults,
        )
    finally:
        driver.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await driver
        await server.stop()


def _build(config: SandboxConfig, *, start_ms: int) -> tuple[World, Recording | None]:
    settings = world_config(config, start_ms=start_ms)
    if config.recorded is None:
        return World(settings), None
    recording = read_recording(config.recorded, now_ms=start_ms)
    log.info("sandbox.recording_read", files=len(recording.used), used=recording.used)
    world = World(replace(settings, invented_flow=False), listings=recording.listings, past=recording.past)
    Replay(world=world, recording=recording, speed=config.speed).begin()
    return world, recording


def world_config(config: SandboxConfig, *, start_ms: int) -> WorldConfig:
    """Return the world that a sandbox configuration asks for."""
    return WorldConfig(
        start_ms=start_ms,
        seed=config.seed,
        block_ms=config.block_ms,
        history_blocks=config.history_blocks,
        index_delay_ms=config.index_delay_ms,
        filler_markets=config.filler_markets,
        invented_flow=not config.manual,
    )


def urls_of(host: str, port: int) -> dict[str, str]:
    """Return every URL by the name of the variable that takes it, and the control's."""
    http, socket = f"http://{host}:{port}", f"ws://{host}:{port}"
    return {
        "POLYGON_WS_URL": f"{socket}/rpc",
        "POLYGON_HTTP_URL": f"{http}/rpc",
        "CLOB_HTTP_URL": f"{http}/clob",
        "CLOB_MARKET_WS_URL": f"{socket}/ws/market",
        "GAMMA_HTTP_URL": f"{http}/gamma",
        "DATA_API_HTTP_URL": f"{http}/data",
        "CONTROL_URL": f"{http}/control",
    }


async def _drive(world: World, clock: LoopClock) -> None:
    while True:
        world.advance(clock.now_ms())
        due_ms = world.timeline.next_ms
        wait_ms = STEP_MS if due_ms is None else min(max(due_ms - clock.now_ms(), 1), STEP_MS)
        await asyncio.sleep(wait_ms / 1_000)


def announcement(sandbox: Sandbox) -> str:
    """Return the one line that tells another process where everything is."""
    leaders = [{"address": one.address, "label": one.label} for one in sandbox.leaders]
    return json.dumps({"urls": sandbox.urls, "leaders": leaders})


def _split_prefix(path: str) -> tuple[str, str]:
    prefix, _, rest = path.lstrip("/").partition("/")
    return prefix, f"/{rest}"


def _socket_kind(path: str) -> str | None:
    return {"/rpc": "chain", "/ws/market": "market"}.get(path.rstrip("/"))
