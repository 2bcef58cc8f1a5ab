"""What a run is played on: a world, a ledger that outlives the worker, and the way between them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from copytrade import app
from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.happenings import Happening
from copytrade.ports.notifier import Notifier
from copytrade.ports.recording import Chronicle
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.server import SandboxConfig
from copytrade.sandbox.world import World
from tests.simulation.life import Life
from tests.simulation.mortal import Disk
from tests.simulation.network import Conditions, Journal
from tests.virtual_time import VirtualClock

START_MS = 1_795_000_000_000


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
    venue: LocalVenue
    world: World
    ledger: MemoryLedger
    journal: Journal
    clock: VirtualClock = field(default_factory=VirtualClock)
    conditions: Conditions = field(default_factory=Conditions)
    disk: Disk = field(default_factory=Disk)
    announced: Announcements = field(default_factory=Announcements)
    new_chronicle: Callable[[], Chronicle] | None = None

    def new_life(self, number: int) -> Life:
        """Return the worker as it starts for the `number`th time."""
        return Life(
            ledger=self.ledger,
            venue=self.venue,
            journal=self.journal,
            conditions=self.conditions,
            disk=self.disk,
            rng=random.Random(f"{self.seed}:life:{number}"),
            listener=self.announced,
            chronicle=None if self.new_chronicle is None else self.new_chronicle(),
        )


async def open_stage(
    seed: int,
    venue: LocalVenue,
    world: World,
    *,
    followed: int | None = None,
    new_chronicle: Callable[[], Chronicle] | None = None,
) -> Stage:
    """Set up a run; so many leaders of the world, or all, are followed from now on; each life may be recorded."""
    clock = VirtualClock()
    stage = Stage(
        seed=seed,
        venue=venue,
        world=world,
        ledger=MemoryLedger(),
        journal=Journal(clock.now_ms),
        new_chronicle=new_chronicle,
    )
    for leader in world.leaders[:followed]:
        await follow(stage, leader.address, since_ms=clock.now_ms())
    return stage


async def follow(stage: Stage, address: str, *, since_ms: int) -> None:
    """Follow a leader from a time on."""
    leader = app.new_leader(address, since_ms=since_ms, now_ms=stage.clock.now_ms())
    await stage.ledger.add_leader(leader)


def world_of(seed: int) -> SandboxConfig:
    """Return the world of a seed: small, so that a run is quick, with a past that is longer than a run looks back."""
    return SandboxConfig(seed=seed, start_ms=START_MS, history_blocks=150, filler_markets=2)
