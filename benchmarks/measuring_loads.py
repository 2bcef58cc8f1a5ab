"""What a load came to, beside its bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

LOOK_EVERY_S = 0.01
PATIENCE_S = 60.0


async def until(holds: Callable[[], bool], *, seconds: float = PATIENCE_S) -> None:
    """Wait until something holds, or so long."""
    for _ in range(int(seconds / LOOK_EVERY_S)):
        if holds():
            return
        await asyncio.sleep(LOOK_EVERY_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One figure; without a bound it is told and judged by nobody. `is_least`: it must be at least the bound."""

    what: str
    figure: float
    unit: str
    bound: float | None = None
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Tell whether the bound holds."""
        if self.bound is None:
            return True
        return self.figure >= self.bound if self.is_least else self.figure <= self.bound

    def __str__(self) -> str:
        measured = f"{self.figure:,.2f} {self.unit}" if self.figure < 100 else f"{self.figure:,.0f} {self.unit}"
        if self.bound is None:
            return f"{self.what:<52} {measured:>22}"
        sign = ">=" if self.is_least else "<="
        verdict = "" if self.is_met else "  MISSED"
        return f"{self.what:<52} {measured:>22}  {f'{sign} {self.bound:,g} {self.unit}':>16}{verdict}"
