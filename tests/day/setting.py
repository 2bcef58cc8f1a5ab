"""The worker of a day and what it is played on: slower than in a seed's run, with limits near enough to be met."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from copytrade.domain.units import MICRO
from copytrade.sandbox.clock import LoopClock
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.rpc import RpcService
from copytrade.sandbox.venue import Venue
from copytrade.sandbox.world import World, WorldConfig
from copytrade.settings import Settings
from tests.day.bustle import Bustle, Plan
from tests.simulation.circumstances import Circumstances
from tests.simulation.host import HostClock
from tests.simulation.network import Conditions, Journal, SecondNode
from tests.simulation.stage import Stage
from tests.simulation.storage import SqliteStorage

BLOCK_MS = 12_000
DRAWDOWN_USDC = 150 * MICRO
OPEN_USDC = 2_000 * MICRO


def settings_at(path: Path, *, has_second_node: bool = False) -> Settings:
    """Return what the worker of a day runs with."""
    given = Circumstances(is_sqlite=True, has_second_node=has_second_node)
    changes: dict[str, object] = {
        "database_url": type(Circumstances().settings().database_url)(f"sqlite:///{path}"),
        "copy_ratio": 400_000,
        "data_api_poll_interval_ms": 60_000,
        "polygon_poll_interval_ms": 6_000,
        "quote_fresh_ms": 5_000,
        "quote_stale_ms": 15_000,
        "chain_lag_max_ms": 60_000,
        "equity_interval_ms": 300_000,
        "risk_daily_drawdown_usdc": DRAWDOWN_USDC,
        "risk_max_open_usdc": OPEN_USDC,
        "risk_max_usdc_per_leader": 300 * MICRO,
        "risk_max_usdc_per_market": 80 * MICRO,
        "risk_max_usdc_per_event": 150 * MICRO,
        "risk_max_open_positions": 150,
        "halt_file": path.with_suffix(".halt"),
    }
    return given.settings().model_copy(update=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting(Circumstances):
    path: Path

    def settings(self) -> Settings:
        return settings_at(self.path, has_second_node=self.has_second_node)


@asynccontextmanager
async def open_stage(
    path: Path, seed: int, start_ms: int, plan: Plan, *, has_second_node: bool
) -> AsyncIterator[tuple[Stage, Bustle, Venue]]:
    config = WorldConfig(
        start_ms=start_ms, seed=seed, block_ms=BLOCK_MS, history_blocks=20, filler_markets=0, invented_flow=False
    )
    world = World(config, listings=())
    bustle = Bustle(world, plan)
    clock = HostClock()
    loop_clock = LoopClock(start_ms=start_ms)
    venue = Venue(world=world, now_ms=loop_clock.now_ms, recording=None)
    storage = SqliteStorage(path)
    stage = Stage(
        seed=seed,
        circumstances=_Setting(is_sqlite=True, path=path, has_second_node=has_second_node),
        venue=LocalVenue(venue),
        second_node=SecondNode(lambda faults: RpcService(chain=world.chain, faults=faults)),
        world=world,
        storage=storage,
        clock=clock,
        journal=Journal(clock.true_ms),
        conditions=Conditions(),
    )
    for leader in world.leaders:
        await stage.follow(leader.address, since_ms=start_ms)
    driving = asyncio.create_task(_drive(world, loop_clock), name="world")
    try:
        yield stage, bustle, venue
    finally:
        await cancelled(driving)
        storage.close()


async def _drive(world: World, clock: LoopClock) -> None:
    """Let everything happen at its own time."""
    while True:
        world.advance(clock.now_ms())
        due_ms = world.timeline.next_ms
        wait_ms = 1_000 if due_ms is None else min(max(due_ms - clock.now_ms(), 1), 1_000)
        await asyncio.sleep(wait_ms / 1_000)


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    """End tasks, raising what else one may have ended of."""
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
