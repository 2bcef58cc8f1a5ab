"""What can go wrong around a worker: which faults a seed draws, when they strike, and how all are taken back."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from copytrade.sandbox.faults import Faults
from tests.simulation.stage import Stage

ON_CHANCE = 0.7
FAMILY_OFF_CHANCE = 0.12
INTENSITIES = (1, 2, 3, 5)
"""A seed strikes up to so many times with each class that is on."""


@dataclass(slots=True, kw_only=True)
class Trouble:
    """The faults of one run: what they strike, and how often they did."""

    stage: Stage
    kill: Callable[[], bool]
    life: Callable[[], int | None]
    """The number of the worker that lives."""
    hits: Counter[str] = field(default_factory=Counter)
    say: Callable[[str], None] = lambda text: None

    @property
    def faults(self) -> Faults:
        """Return the venue's switches."""
        return self.stage.venue._venue.faults

    async def control(self, command: str, **body: Any) -> dict[str, Any]:
        """Ask the venue's own control."""
        answer = await self.stage.venue.request("POST", f"/control/{command}", json.dumps(body).encode())
        if answer.status != 200:
            raise RuntimeError(f"{command} {body}: {answer.body!r}")
        return json.loads(answer.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """One strike of a fault, with draws of its own: leaving another fault out changes nothing here."""

    name: str
    trouble: Trouble
    rng: random.Random

    @property
    def stage(self) -> Stage:
        """Return what is struck."""
        return self.trouble.stage

    @property
    def faults(self) -> Faults:
        """Return the venue's switches."""
        return self.trouble.faults

    async def control(self, command: str, **body: Any) -> dict[str, Any]:
        """Ask the venue's own control."""
        return await self.trouble.control(command, **body)

    def struck(self, times: int = 1, *, what: str = "", kind: str = "") -> None:
        """Count what had an effect."""
        if times:
            name = f"{self.name}_{kind}" if kind else self.name
            self.trouble.hits[name] += times
            self.trouble.say(f"fault {name} {what}")

    async def last(self, most_s: float) -> None:
        """Let the fault last for a while."""
        await asyncio.sleep(self.rng.uniform(0.05, 1) * most_s)


Strike = Callable[[Blow], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A class of faults: its family, and in which circumstances it can strike at all."""

    strike: Strike
    family: str
    applies: Callable[[Stage], bool] = lambda stage: True
    kinds: tuple[str, ...] = ("",)
    """What is counted apart."""

    def counted(self, name: str) -> list[str]:
        """Return the names under which its strikes are counted."""
        return [f"{name}_{kind}" if kind else name for kind in self.kinds]


Faultlist = Mapping[str, Fault]


def drawn(faults: Faultlist, stage: Stage, *, without: Collection[str] = ()) -> dict[str, int]:
    """Return the classes that are on in this seed, and how often each strikes."""
    rng = random.Random(f"{stage.seed}:weather")
    most = rng.choice(INTENSITIES)
    families_off = {
        family for family in sorted({one.family for one in faults.values()}) if rng.random() < FAMILY_OFF_CHANCE
    }
    chosen = {}
    for name, fault in faults.items():
        own = random.Random(f"{stage.seed}:on:{name}")
        is_on = own.random() < ON_CHANCE and fault.family not in families_off
        if is_on and name not in without and fault.applies(stage):
            chosen[name] = own.randint(1, most)
    return chosen


async def strike(
    trouble: Trouble, faults: Faultlist, *, times: Mapping[str, int], within_s: float, round_: int = 0
) -> None:
    """Let the drawn faults happen; return when all are over."""
    async with asyncio.TaskGroup() as strikes:
        for name, count in times.items():
            for number in range(count):
                rng = random.Random(f"{trouble.stage.seed}:{name}:{round_}:{number}")
                blow = Blow(name=name, trouble=trouble, rng=rng)
                at_s = rng.uniform(0.5, within_s)
                strikes.create_task(_strike_at(blow, faults[name].strike, at_s), name=f"fault-{name}")


async def _strike_at(blow: Blow, fault: Strike, at_s: float) -> None:
    await asyncio.sleep(at_s)
    await fault(blow)


async def heal(trouble: Trouble) -> None:
    """Switch everything off; a socket that froze stays frozen until the worker gives it up."""
    stage = trouble.stage
    for switches in (trouble.faults, stage.second_node.faults):
        healthy = Faults()
        for name in Faults.__slots__:
            setattr(switches, name, getattr(healthy, name))
    await trouble.control("finality", stalled=False)
    await trouble.control("lag", data_api_ms=stage.world.config.index_delay_ms)
    conditions = stage.conditions
    conditions.interferences.clear()
    conditions.disorder.clear()
    conditions.lies.clear()
    conditions.lost_rows = 0.0
    conditions.socket_ms = 0
    stage.disk.slow_ms = stage.disk.failures = 0
    stage.disk.deaths_due.clear()
    stage.clock.set_off(0)
