"""What a run is played on: a world, a ledger that outlives the worker, and the way between them."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from copytrade import app
from copytrade.domain.happenings import Happening
from copytrade.ports.notifier import Notifier
from copytrade.ports.recording import Chronicle
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.rpc import RpcService
from copytrade.sandbox.server import serve_in_process
from copytrade.sandbox.world import World
from tests.simulation.circumstances import Circumstances, world_of
from tests.simulation.host import HostClock
from tests.simulation.life import Life
from tests.simulation.mortal import Disk, Stamps
from tests.simulation.network import Conditions, Journal, SecondNode
from tests.simulation.storage import Storage, open_storage

NewChronicle = Callable[[], Chronicle]


class Announcements(Notifier):
    """What the worker told in all its lives."""

    def __init__(self) -> None:
        self.told: list[Happening] = []
        self.say: Callable[[Happening], None] = lambda happening: None

    def tell(self, happening: Happening) -> None:
        self.told.append(happening)
        self.say(happening)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything a run consists of; the ledger and the world outlive the worker."""

    seed: int
    circumstances: Circumstances
    venue: LocalVenue
    second_node: SecondNode
    world: World
    storage: Storage
    clock: HostClock
    journal: Journal
    conditions: Conditions
    disk: Disk = field(default_factory=Disk)
    announced: Announcements = field(default_factory=Announcements)
    new_chronicle: NewChronicle | None = None
    stamps: Stamps = field(default_factory=Stamps)
    deaths: Counter[str] = field(default_factory=Counter)
    """What the worker was at with its ledger when it died."""

    def new_life(self, number: int) -> Life:
        """Return the worker as it starts for the `number`th time."""
        return Life(
            number=number,
            settings=self.circumstances.settings(),
            storage=self.storage,
            venue=self.venue,
            second_node=self.second_node,
            clock=self.clock,
            journal=self.journal,
            conditions=self.conditions,
            disk=self.disk,
            rng=random.Random(f"{self.seed}:life:{number}"),
            listener=self.announced,
            chronicle=None if self.new_chronicle is None else self.new_chronicle(),
            stamps=self.stamps,
            deaths=self.deaths,
        )

    async def follow(self, address: str, *, since_ms: int) -> None:
        """Follow a leader from a time on."""
        leader = app.new_leader(address, since_ms=since_ms, now_ms=self.clock.now_ms())
        await self.storage.ledger.add_leader(leader)


@asynccontextmanager
async def open_stage(
    seed: int, circumstances: Circumstances, *, unfollowed: int = 0, new_chronicle: NewChronicle | None = None
) -> AsyncIterator[Stage]:
    """Set up a run; all leaders of the world but the last `unfollowed` are followed; each life may be recorded."""
    clock = HostClock()
    async with serve_in_process(world_of(seed)) as (venue, world):
        with open_storage(is_sqlite=circumstances.is_sqlite) as storage:
            stage = Stage(
                seed=seed,
                circumstances=circumstances,
                venue=venue,
                second_node=SecondNode(functools.partial(_node_of, world)),
                world=world,
                storage=storage,
                clock=clock,
                journal=Journal(clock.true_ms),
                conditions=Conditions(page_rows_max=circumstances.page_rows_max),
                new_chronicle=new_chronicle,
            )
            for leader in world.leaders[: len(world.leaders) - unfollowed]:
                await stage.follow(leader.address, since_ms=clock.now_ms())
            yield stage


def _node_of(world: World, faults) -> RpcService:
    return RpcService(chain=world.chain, faults=faults)
