"""Serve a world on one loopback port: chain RPC, Gamma, Data API, CLOB and the control."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from copytrade.sandbox.clock import LoopClock, wall_ms
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.http_server import HttpServer
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.leading import Leader
from copytrade.sandbox.replay import Recording, Replay, read_recording
from copytrade.sandbox.venue import Venue
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
    crossing_chance: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A running sandbox: where it is and whom to follow."""

    urls: dict[str, str]
    leaders: tuple[Leader, ...]
    world: World
    faults: Faults
    driver: asyncio.Task[None]
    """Moves the world; it only ends by failing."""


@contextlib.asynccontextmanager
async def serve(config: SandboxConfig) -> AsyncIterator[Sandbox]:
    """Run a sandbox on a port until the context ends.

    Raises OSError when the port cannot be taken, NotADirectoryError for a bad recording.
    """
    async with _running(config) as (world, venue, driver):
        server = HttpServer(on_request=venue.respond, on_socket=venue.converse, gate=venue.gate)
        port = await server.start(config.host, config.port)
        log.debug("sandbox.listening", port=port, seed=config.seed)
        try:
            yield Sandbox(
                urls=urls_of(config.host, port),
                leaders=tuple(world.leaders),
                world=world,
                faults=venue.faults,
                driver=driver,
            )
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def serve_in_process(config: SandboxConfig) -> AsyncIterator[tuple[LocalVenue, World]]:
    """Run the same venue without any socket, so that it can live on a virtual-time loop.

    Give `start_ms`, or the run depends on the system clock.
    """
    async with _running(config) as (world, venue, _):
        yield LocalVenue(venue), world


@contextlib.asynccontextmanager
async def _running(config: SandboxConfig) -> AsyncIterator[tuple[World, Venue, asyncio.Task[None]]]:
    start_ms = wall_ms() if config.start_ms is None else config.start_ms
    world, recording = _build(config, start_ms=start_ms)
    clock = LoopClock(start_ms=start_ms)
    venue = Venue(world=world, now_ms=clock.now_ms, recording=recording)
    driver = asyncio.create_task(_drive(world, clock), name="sandbox-world")
    try:
        yield world, venue, driver
    finally:
        driver.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await driver


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
        crossing_chance=config.crossing_chance,
    )


def urls_of(host: str, port: int) -> dict[str, str]:
    """Return every URL by the name of the variable that takes it, and the control's."""
    reachable = _reachable(host)
    place = f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"
    http, socket = f"http://{place}", f"ws://{place}"
    return {
        "POLYGON_WS_URL": f"{socket}/rpc",
        "POLYGON_HTTP_URL": f"{http}/rpc",
        "CLOB_HTTP_URL": f"{http}/clob",
        "CLOB_MARKET_WS_URL": f"{socket}/ws/market",
        "CLOB_USER_WS_URL": f"{socket}/ws/user",
        "RTDS_WS_URL": f"{socket}/ws/rtds",
        "GAMMA_HTTP_URL": f"{http}/gamma",
        "DATA_API_HTTP_URL": f"{http}/data",
        "GEOBLOCK_URL": f"{http}/site/api/geoblock",
        "RELAYER_URL": f"{http}/relayer",
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


def _reachable(host: str) -> str:
    """Return where a client on this machine reaches a server that listens on `host`."""
    try:
        return "127.0.0.1" if ipaddress.ip_address(host).is_unspecified else host
    except ValueError:
        return host
