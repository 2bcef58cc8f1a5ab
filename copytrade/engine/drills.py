"""A way to trip each guard, limit, gate and switch: a made-up fill on the real decision path shows that it fires.

A drill leaves its mark: each is for a worker of its own, made for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Decision
from copytrade.domain.book import Level, QuoteTier
from copytrade.domain.exposure import Result
from copytrade.domain.fills import LeaderRole
from copytrade.domain.gates import GateName, Reading
from copytrade.domain.halts import BY_OPERATOR, HaltLevel
from copytrade.domain.risk import DAY_MS, HOUR_MS, LimitName, Limits
from copytrade.domain.scopes import EVERYTHING
from copytrade.domain.units import MICRO
from copytrade.engine.drill_world import BID, CENT, COMBO, LEVEL_SHARES, NOON_MS, PLAIN, Scene
from copytrade.strategies.copy import GUARDS
from copytrade.strategies.copy.guards import Applies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.engine.risk import Risk

    Trip = Callable[["DrillDesk"], Awaitable[None]]

SETTINGS_OF_OTHERS: Final = frozenset({LimitName.LOSS_STREAK_COOLDOWN_MS})
"""Names that are no limits by themselves."""
SWITCHES: Final = ("operator entries", "operator all", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDesk:
    """The rules that are drilled, how their file is put in place, with a text, and how the leader is let go."""

    risk: Risk
    throw_file: Callable[[str], None]
    unfollow: Callable[[], Awaitable[None]]


async def _as_it_is(_desk: DrillDesk) -> None:
    """Trip nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """How one guard is tripped, and the code by which it then refuses an entry (and an exit, if it stops those).

    `scene` is the world it needs; `trip` is done in it, once the fills are there and before they are decided.
    """

    guard: str
    code: str
    trip: Trip = _as_it_is
    scene: Scene = field(default_factory=Scene)
    stops_exits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What came of a drill: what was made of an entry and of an exit while the guard was tripped."""

    drill: Drill
    entry: ExecutionAttempt
    exit: ExecutionAttempt

    @property
    def has_fired(self) -> bool:
        """Whether the guard refused what it must refuse and let pass what it must let pass."""
        if not self.drill.code:
            return _is_made(self.entry) and _is_made(self.exit)
        is_exit_right = self._refuses(self.exit) if self.drill.stops_exits else _is_made(self.exit)
        return self._refuses(self.entry) and is_exit_right

    def _refuses(self, attempt: ExecutionAttempt) -> bool:
        return not _is_made(attempt) and self.drill.code in {one.code for one in attempt.reasons}


def _is_made(attempt: ExecutionAttempt) -> bool:
    return attempt.decision is Decision.TRADE


NOTHING: Final = Drill(guard="nothing", code="")
"""The check of the checks: in the same world, with nothing tripped, both the entry and the exit are made."""


def guards() -> tuple[str, ...]:
    """Return the name of everything that may refuse an entry: guards of the strategy, limits, gates and switches."""
    rules = [f"guard {code}" for guard in GUARDS for code in guard.codes]
    limits = [f"limit {name}" for name in LimitName if name not in SETTINGS_OF_OTHERS]
    return (*rules, *limits, *(f"gate {name}" for name in GateName), *(f"switch {name}" for name in SWITCHES))


def drills() -> dict[str, Drill]:
    """Return the drills by the guard they trip, in the order of `guards`."""
    found = [*_guard_drills(), *_limit_drills(), *_gate_drills(), *_switch_drills()]
    return {drill.guard: drill for drill in found}


def _guard_drills() -> list[Drill]:
    scenes = {**_SCENES_OF_RULES, **_SCENES_OF_THE_WORLD}
    return [
        Drill(
            guard=f"guard {code}",
            code=code,
            scene=scenes[code],
            trip=_let_go if code == "NOT_FOLLOWED" else _as_it_is,
            stops_exits=guard.applies is Applies.BOTH,
        )
        for guard in GUARDS
        for code in guard.codes
        if code in scenes
    ]


_SCENES_OF_RULES: Final[Mapping[str, Scene]] = {
    "MAKER_NOT_FOLLOWED": Scene(rules={"maker_leader_ratio": 0}, fill={"role": LeaderRole.MAKER}),
    "LEADER_COOLDOWN": Scene(rules={"leader_cooldown_ms": 60_000}),
    "CATEGORY_DENIED": Scene(rules={"categories_deny": ("drills",)}),
    "CATEGORY_NOT_ALLOWED": Scene(rules={"categories_allow": ("others",)}),
    "KEYWORD_DENIED": Scene(rules={"keywords_deny": ("drill",)}),
    "KEYWORD_NOT_ALLOWED": Scene(rules={"keywords_allow": ("others",)}),
    "ENDS_TOO_SOON": Scene(rules={"min_time_to_end_ms": DAY_MS}, market={"end_date_ms": NOON_MS + HOUR_MS}),
    "PRICE_OUT_OF_BAND": Scene(rules={"price_max": BID}),
    "TICK_ABOVE_PRICE": Scene(fill={"price": CENT // 10}),
    "SPREAD_TOO_WIDE": Scene(rules={"spread_max": CENT}),
    "DEPTH_TOO_THIN": Scene(rules={"depth_usdc_min": 1_000 * MICRO}),
}
_SCENES_OF_THE_WORLD: Final[Mapping[str, Scene]] = {
    "TOO_OLD": Scene(fill={"fill_ts_ms": NOON_MS - 31_000}),
    "NOT_FOLLOWED": PLAIN,
    "LEADER_PAUSED": Scene(leader={"paused": True}),
    "COMBO": Scene(fill={"token_id": COMBO}),
    "UNMAPPED": Scene(market=None, has_book=False),
    "MARKET_CLOSED": Scene(market={"closed": True}),
    "NO_ORDER_BOOK": Scene(market={"enable_order_book": False}, has_book=False),
    "NOT_ACCEPTING_ORDERS": Scene(market={"accepting_orders": False}),
    "NO_BOOK": Scene(has_book=False),
    "BOOK_STALE": Scene(tier=QuoteTier.HARD_STALE),
    "BOOK_CROSSED": Scene(asks=(Level(price=BID, size=LEVEL_SHARES),)),
    "LEADER_EXIT_ONLY": Scene(leader={"exit_only": True}),
}


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


async def _let_go(desk: DrillDesk) -> None:
    await desk.unfollow()


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
