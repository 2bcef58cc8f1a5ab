"""A day in which something breaks every minute or two: the faults of the simulation, one after the other."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.simulation.faults import Blow, Trouble, heal
from tests.simulation.stage import Stage
from tests.simulation.weather import FAULTS

LEFT_OUT = frozenset({"clock_set", "market_blind", "tick_change", "resolution", "new_leader"})
"""What the day measures its own money by: its clock, its markets, and who is followed."""
HASTE = 0.8
"""Faults come so much sooner than they need to, for those that strike nothing."""


@dataclass(slots=True, kw_only=True)
class Storm:
    """Strikes until so many faults had an effect; each class as often as any other, in an order of the seed's."""

    stage: Stage
    faults: int
    length_s: float
    kill: Callable[[], bool]
    life: Callable[[], int | None]
    amiss: Callable[[], AbstractContextManager[None]]
    struck: Counter[str] = field(default_factory=Counter)
    """By class: faults that had an effect."""

    async def rage(self) -> None:
        """Let all of it happen within the time given."""
        rng = random.Random(f"{self.stage.seed}:storm")
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self.length_s
        number = 0
        async with asyncio.TaskGroup() as strikes:
            while self.struck.total() < self.faults and loop.time() < end_s:
                for name in rng.sample(self._classes(), len(self._classes())):
                    pause_s = (end_s - loop.time()) / max(1, self.faults - self.struck.total())
                    await asyncio.sleep(max(0.0, pause_s) * HASTE * rng.uniform(0.4, 1.6))
                    strikes.create_task(self._strike(name, number), name=f"fault-{name}")
                    number += 1
                    if self.struck.total() >= self.faults:
                        break

    async def calm(self) -> None:
        """Take back whatever still lasts."""
        await heal(self._trouble())

    def _classes(self) -> list[str]:
        return [name for name, fault in FAULTS.items() if name not in LEFT_OUT and fault.applies(self.stage)]

    async def _strike(self, name: str, number: int) -> None:
        trouble = self._trouble()
        rng = random.Random(f"{self.stage.seed}:storm:{number}")
        with self.amiss():
            await FAULTS[name].strike(Blow(name=name, trouble=trouble, rng=rng))
        self.struck[name] += bool(trouble.hits.total())

    def _trouble(self) -> Trouble:
        return Trouble(stage=self.stage, kill=self.kill, life=self.life)
