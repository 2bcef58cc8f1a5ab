"""A way to trip each limit, gate and switch, so that a made-up fill on the real decision path can show that it fires.

A drill leaves its mark: each is for a worker of its own, made for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from copytrade.domain.exposure import Result
from copytrade.domain.gates import GateName, Reading
from copytrade.domain.halts import BY_OPERATOR, HaltLevel
from copytrade.domain.risk import LimitName, Limits
from copytrade.domain.scopes import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from copytrade.engine.risk import Risk

    Trip = Callable[["DrillDesk"], Awaitable[None]]

SETTINGS_OF_OTHERS: Final = frozenset({LimitName.LOSS_STREAK_COOLDOWN_MS})
"""Names that are no limits by themselves."""
SWITCHES: Final = ("operator entries", "operator all", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDesk:
    """The rules that are drilled, and how their file is put in place, with a text."""

    risk: Risk
    throw_file: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """How one guard is tripped, and the code by which it then refuses an entry (and an exit, if it stops those)."""

    guard: str
    code: str
    trip: Trip
    stops_exits: bool = False


def guards() -> tuple[str, ...]:
    """Return the name of every limit, gate and switch there is."""
    limits = [f"limit {name}" for name in LimitName if name not in SETTINGS_OF_OTHERS]
    return (*limits, *(f"gate {name}" for name in GateName), *(f"switch {name}" for name in SWITCHES))


def drills() -> dict[str, Drill]:
    """Return the drills by the guard they trip."""
    found = [*_limit_drills(), *_gate_drills(), *_switch_drills()]
    return {drill.guard: drill for drill in found}


def _limit_drills() -> list[Drill]:
    special: dict[LimitName, tuple[str, Trip]] = {
        LimitName.DAILY_DRAWDOWN_USDC: ("HALTED", _lose_the_day),
        LimitName.LOSS_STREAK_MAX: ("RISK_LOSS_STREAK_MAX", _lose_once),
    }
    drilled = []
    for name in LimitName:
        if name not in SETTINGS_OF_OTHERS:
            code, trip = special.get(name, (f"RISK_{name}", partial(_allow_nothing, name)))
            drilled.append(Drill(guard=f"limit {name}", code=code, trip=trip))
    return drilled


def _gate_drills() -> list[Drill]:
    return [Drill(guard=f"gate {name}", code=f"GATE_{name}", trip=partial(_close, name)) for name in GateName]


def _switch_drills() -> list[Drill]:
    entries, everything = partial(_halt, HaltLevel.ENTRIES), partial(_halt, HaltLevel.ALL)
    return [
        Drill(guard="switch operator entries", code="HALTED", trip=entries),
        Drill(guard="switch operator all", code="HALTED", trip=everything, stops_exits=True),
        Drill(guard="switch file", code="HALTED", trip=_throw_file),
    ]


async def _allow_nothing(name: LimitName, desk: DrillDesk) -> None:
    desk.risk.limits.hold(Limits({(name, EVERYTHING): 0}))


async def _lose_once(desk: DrillDesk) -> None:
    desk.risk.limits.hold(Limits({(LimitName.LOSS_STREAK_MAX, EVERYTHING): 1}))
    desk.risk.exposure.results.append(Result(desk.risk.now_ms(), -1, (EVERYTHING,)))


async def _lose_the_day(desk: DrillDesk) -> None:
    desk.risk.limits.hold(Limits({(LimitName.DAILY_DRAWDOWN_USDC, EVERYTHING): 0}))
    await desk.risk.day.check()


async def _close(name: GateName, desk: DrillDesk) -> None:
    desk.risk.gates.trip({name: Reading(is_healthy=False, value="drill", limit="drill")})
    await desk.risk.gates.check()


async def _halt(level: HaltLevel, desk: DrillDesk) -> None:
    await desk.risk.halts.halt(BY_OPERATOR, level=level, why="drill")


async def _throw_file(desk: DrillDesk) -> None:
    desk.throw_file("drill")
    await desk.risk.halts.look_at_file()
