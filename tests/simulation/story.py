"""A run from its seed: a world, a worker that lives in it (more than once, if need be), and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from copytrade import app
from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import ExecutionAttempt
from copytrade.domain.fills import RecordedFill
from copytrade.domain.happenings import Happening
from copytrade.ports.notifier import Notifier
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.server import SandboxConfig, serve_in_process
from copytrade.sandbox.world import World
from tests.simulation.life import Life
from tests.simulation.mortal import Disk
from tests.simulation.network import Conditions, Journal
from tests.virtual_time import VirtualClock, run_virtual

START_MS = 1_795_000_000_000


class Announcements(Notifier):
    """What the worker told in all its lives."""

    def __init__(self) -> None:
        self.told: list[Happening] = []

    def tell(self, happening: Happening) -> None:
        self.told.append(happening)


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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is left of a run: the ledger's rows, as text too, and the hash of all that was said on the way."""

    tried: tuple[ExecutionAttempt, ...]
    stored: tuple[RecordedFill, ...]
    executions: tuple[str, ...]
    attempts: tuple[str, ...]
    notes: tuple[str, ...]
    fills: tuple[str, ...]
    journal: str

    def digest(self) -> str:
        """Return one hash of everything."""
        rows = (*self.executions, *self.attempts, *self.notes, *self.fills, self.journal)
        return hashlib.blake2b("\n".join(rows).encode(), digest_size=16).hexdigest()


def ending_of(stage: Stage) -> Ending:
    """Read the ledger as it is now."""
    ledger = stage.ledger
    tried = tuple(ledger._attempts.values())
    return Ending(
        tried=tried,
        stored=tuple(one.recorded for one in ledger.stored.values()),
        executions=tuple(map(repr, ledger.executions)),
        attempts=tuple(map(repr, tried)),
        notes=tuple(f"{event.at_ms} {event.code} {json.dumps(event.detail)}" for event in ledger.events),
        fills=tuple(repr((one.recorded, one.confirmed_at_ms, one.orphaned_at_ms)) for one in ledger.stored.values()),
        journal=stage.journal.digest(),
    )


async def open_stage(seed: int, venue: LocalVenue, world: World) -> Stage:
    """Set up a run; every leader of the world is followed from now on."""
    clock = VirtualClock()
    stage = Stage(seed=seed, venue=venue, world=world, ledger=MemoryLedger(), journal=Journal(clock.now_ms))
    for leader in world.leaders:
        await follow(stage, leader.address, since_ms=clock.now_ms())
    return stage


async def follow(stage: Stage, address: str, *, since_ms: int) -> None:
    """Follow a leader from a time on."""
    leader = app.new_leader(address, since_ms=since_ms, now_ms=stage.clock.now_ms())
    await stage.ledger.add_leader(leader)


def world_of(seed: int) -> SandboxConfig:
    """Return the world of a seed: small, so that a run is quick."""
    return SandboxConfig(seed=seed, start_ms=START_MS, history_blocks=12, filler_markets=2)


def quiet_day(seed: int, *, duration_ms: int) -> Ending:
    """Let a worker live for a while in a world where nothing breaks."""

    async def main() -> Ending:
        async with serve_in_process(world_of(seed)) as (venue, world):
            stage = await open_stage(seed, venue, world)
            life = stage.new_life(0)
            living = asyncio.create_task(life.live(), name="life")
            await asyncio.sleep(duration_ms / 1000)
            life.kill()
            died_of = await living
            if died_of:
                raise died_of[0]
            return ending_of(stage)

    with quiet_logs():
        return run_virtual(main, epoch_ms=START_MS, seed=seed)


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep log events below critical to ourselves: rendering them would take most of the time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
