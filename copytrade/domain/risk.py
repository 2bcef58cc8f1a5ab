"""Limits on entries: how much may be at stake, how often, and when to stop. Exits are never limited.

An order that would pass a limit in USDC is cut to what still fits, and skipped if that is below what the venue
takes; one that would pass a count is skipped. Every scope's limit holds at once, so the tightest decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from copytrade.domain.attempts import Reason, reason
from copytrade.domain.scopes import EVERYTHING, Group, Line, Scope, Subject, scope_name
from copytrade.domain.units import MICRO, format_micro, notional_down, parse_micro
from copytrade.domain.worst_case import affordable, worst_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from copytrade.domain.exposure import Exposure, Result
    from copytrade.domain.market import FeeSchedule
    from copytrade.domain.units import Millis, Price, Shares, Usdc

COOLDOWN_DEFAULT_MS: Final[Millis] = 3_600_000
COOLDOWN_MAX_MS: Final[Millis] = 86_400_000
"""Exits are remembered this long for the losses in a row."""
COUNT_MAX: Final = 1_000_000
USDC_MAX: Final[Usdc] = 1_000_000_000 * MICRO
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


LIMIT_SET: Final = "LIMIT_SET"
"""The code under which a change of a limit is kept and told."""


class LimitName(StrEnum):
    """What can be limited; RISK_ before it is the environment variable of its start value."""

    MAX_USDC_PER_TRADE = "MAX_USDC_PER_TRADE"
    MAX_USDC_PER_LEADER = "MAX_USDC_PER_LEADER"
    LEADER_BUDGET_USDC = "LEADER_BUDGET_USDC"
    MAX_USDC_PER_MARKET = "MAX_USDC_PER_MARKET"
    MAX_USDC_PER_EVENT = "MAX_USDC_PER_EVENT"
    MAX_USDC_PER_CATEGORY = "MAX_USDC_PER_CATEGORY"
    MAX_USDC_PER_DAY = "MAX_USDC_PER_DAY"
    MAX_OPEN_USDC = "MAX_OPEN_USDC"
    MAX_OPEN_POSITIONS = "MAX_OPEN_POSITIONS"
    MAX_ATTEMPTS_PER_MINUTE = "MAX_ATTEMPTS_PER_MINUTE"
    LOSS_STREAK_MAX = "LOSS_STREAK_MAX"
    LOSS_STREAK_COOLDOWN_MS = "LOSS_STREAK_COOLDOWN_MS"
    DAILY_DRAWDOWN_USDC = "DAILY_DRAWDOWN_USDC"

    @property
    def is_usdc(self) -> bool:
        """Whether its values are micro-USDC; counts and milliseconds are plain integers."""
        return "USDC" in self.value

    @property
    def value_max(self) -> int:
        """The highest value that means anything."""
        if self is LimitName.LOSS_STREAK_COOLDOWN_MS:
            return COOLDOWN_MAX_MS
        return USDC_MAX if self.is_usdc else COUNT_MAX


BY_LEADER: Final = frozenset({LimitName.MAX_USDC_PER_LEADER, LimitName.LEADER_BUDGET_USDC})
"""Limits that hold for each leader by himself; his own value goes before the general one."""
NOT_BY_LEADER: Final = frozenset({LimitName.DAILY_DRAWDOWN_USDC})
"""Limits that cannot be set for one leader: what an account is worth is not split among leaders."""


class Limit(NamedTuple):
    """A limit in force."""

    name: LimitName
    scope: Scope
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A limit as it was set by somebody; None is no limit. `revision` grows with each change."""

    revision: int
    name: LimitName
    scope: Scope
    old: int | None
    new: int | None
    changed_by: str
    changed_at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A buy that is to be made. It is not worth making below `least_shares`, nor for less than `least_usdc`."""

    line: Line
    group: Group
    shares: Shares
    limit: Price
    fees: FeeSchedule
    least_shares: Shares
    least_usdc: Usdc
    now_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """How much of an entry the limits allow, 0 for nothing, and each limit that spoke with its value."""

    shares: Shares
    reasons: tuple[Reason, ...]


class Limits:
    """Which limits are in force, by name and scope."""

    def __init__(self, values: Mapping[tuple[LimitName, Scope], int]) -> None:
        self._by_scope: dict[Scope, dict[LimitName, Limit]] = {}
        for (name, scope), value in values.items():
            self._by_scope.setdefault(scope, {})[name] = Limit(name, scope, value)

    def value(self, name: LimitName, scope: Scope) -> int | None:
        """Return one limit, None if there is none of that name in exactly that scope."""
        limit = self._by_scope.get(scope, {}).get(name)
        return None if limit is None else limit.value

    def all(self) -> Iterator[Limit]:
        """Yield every limit, by name."""
        found = [limit for limits in self._by_scope.values() for limit in limits.values()]
        yield from sorted(found, key=lambda limit: (list(LimitName).index(limit.name), limit.scope))

    def over(self, line: Line) -> Iterator[Limit]:
        """Yield the limits a line is held to."""
        own = self._by_scope.get(Scope(leader=line.leader), {})
        for scope in line.scopes:
            for name, limit in self._by_scope.get(scope, {}).items():
                if name in own and name in BY_LEADER and not scope.leader:
                    continue
                yield limit


def parse_value(name: LimitName, text: str) -> int:
    """Return a limit's value from its text: USDC as a decimal, counts and milliseconds as integers.

    :raises ValueError: not that, or out of bounds; the text says what is accepted.
    """
    kind = "a decimal of USDC" if name.is_usdc else "an integer"
    highest = format_value(name, name.value_max)
    try:
        value = parse_micro(text.strip()) if name.is_usdc else int(text.strip())
    except ValueError:
        raise ValueError(f"{name} is {text!r}; accepted: {kind} from 0 to {highest}") from None
    if not 0 <= value <= name.value_max:
        raise ValueError(f"{name} is {text!r}; accepted: {kind} from 0 to {highest}")
    return value


def format_value(name: LimitName, value: int | None) -> str:
    """Return a limit's value as a person writes it, "none" for no limit."""
    if value is None:
        return "none"
    return format_micro(value) if name.is_usdc else str(value)


def told(change: LimitChange) -> dict[str, object]:
    """Return what a row and a message say of a change."""
    return {
        "limit": change.name,
        "scope": scope_name(change.scope),
        "old": format_value(change.name, change.old),
        "new": format_value(change.name, change.new),
        "by": change.changed_by,
        "revision": change.revision,
    }


def judge(entry: Entry, limits: Limits, exposure: Exposure) -> Ruling:
    """Return what the limits allow of an entry. Each limit that refuses or cuts is named, not only the first."""
    refusals, cuts = [], []
    shares = entry.shares
    order = worst_case(entry.shares, entry.limit, entry.fees)
    for limit in limits.over(entry.line):
        if (use := _MONEY.get(limit.name)) is not None:
            used = use(entry, limit.scope, exposure)
            if used + order <= limit.value:
                continue
            fits = affordable(limit.value - used, entry.limit, entry.fees)
            if _is_too_small(fits, entry):
                refusals.append(_named("RISK_", limit, value=format_micro(used), order=format_micro(order)))
            else:
                cuts.append(_named("CUT_BY_RISK_", limit, value=format_micro(used), size=format_micro(fits)))
                shares = min(shares, fits)
        elif limit.name in _COUNTS and (value := _COUNTS[limit.name](entry, limit, limits, exposure)) is not None:
            refusals.append(_named("RISK_", limit, value=value))
    if refusals:
        return Ruling(shares=0, reasons=tuple(refusals))
    return Ruling(shares=shares, reasons=tuple(cuts))


def _named(prefix: str, limit: Limit, **numbers: object) -> Reason:
    value = format_value(limit.name, limit.value)
    return reason(f"{prefix}{limit.name}", limit=value, **numbers, scope=scope_name(limit.scope))


def _is_too_small(shares: Shares, entry: Entry) -> bool:
    return shares < max(1, entry.least_shares) or notional_down(shares, entry.limit) < entry.least_usdc


def used_of_leader(exposure: Exposure, scope: Scope, leader: str) -> Usdc:
    """Return how much of a leader's risk budget is used: what is at stake after him and what he lost today."""
    return exposure.at_stake(scope, Subject.LEADER, leader) + exposure.lost_today(scope, leader)


def used_today(exposure: Exposure, scope: Scope) -> Usdc:
    """Return what entries have paid since the day began and may still pay."""
    return exposure.spent_today(scope) + exposure.in_flight(scope)


_MONEY: Final[Mapping[LimitName, Callable[[Entry, Scope, Exposure], Usdc]]] = {
    LimitName.MAX_USDC_PER_TRADE: lambda _entry, _scope, _exposure: 0,
    LimitName.MAX_USDC_PER_LEADER: lambda entry, scope, exposure: exposure.at_stake(
        scope, Subject.LEADER, entry.line.leader
    ),
    LimitName.LEADER_BUDGET_USDC: lambda entry, scope, exposure: used_of_leader(exposure, scope, entry.line.leader),
    LimitName.MAX_USDC_PER_MARKET: lambda entry, scope, exposure: exposure.at_stake(
        scope, Subject.MARKET, entry.group.market
    ),
    LimitName.MAX_USDC_PER_EVENT: lambda entry, scope, exposure: exposure.at_stake(
        scope, Subject.EVENT, entry.group.event
    ),
    LimitName.MAX_USDC_PER_CATEGORY: lambda entry, scope, exposure: exposure.at_stake(
        scope, Subject.CATEGORY, entry.group.category
    ),
    LimitName.MAX_USDC_PER_DAY: lambda _entry, scope, exposure: used_today(exposure, scope),
    LimitName.MAX_OPEN_USDC: lambda _entry, scope, exposure: exposure.at_stake(scope, Subject.ALL),
}


def _positions(entry: Entry, limit: Limit, _limits: Limits, exposure: Exposure) -> str | None:
    """Return how many positions are open, None while one more may be."""
    count = exposure.positions(limit.scope)
    if exposure.is_open(limit.scope, entry.line) and limit.value > 0:
        return None
    return str(count) if count + 1 > limit.value else None


def _attempts(entry: Entry, limit: Limit, _limits: Limits, exposure: Exposure) -> str | None:
    """Return how many entries the last minute had, None while one more may be."""
    count = exposure.entries_in_minute(limit.scope, now_ms=entry.now_ms)
    return str(count) if count + 1 > limit.value else None


def _streak(entry: Entry, limit: Limit, limits: Limits, exposure: Exposure) -> str | None:
    """Return until when entries rest after losses in a row, None while they need not."""
    results = recent_results(exposure.results, limit.scope, now_ms=entry.now_ms)
    until_ms = rests_until(results, losses_max=limit.value, cooldown_ms=cooldown_of(limits, limit.scope))
    if until_ms is None or entry.now_ms >= until_ms:
        return None
    return f"{limit.value} in a row, {until_ms - entry.now_ms} ms to go"


_COUNTS: Final[Mapping[LimitName, Callable[[Entry, Limit, Limits, Exposure], str | None]]] = {
    LimitName.MAX_OPEN_POSITIONS: _positions,
    LimitName.MAX_ATTEMPTS_PER_MINUTE: _attempts,
    LimitName.LOSS_STREAK_MAX: _streak,
}


def cooldown_of(limits: Limits, scope: Scope) -> Millis:
    """Return how long entries rest after losses in a row: the scope's own time, else the general one."""
    for where in (scope, EVERYTHING):
        if (value := limits.value(LimitName.LOSS_STREAK_COOLDOWN_MS, where)) is not None:
            return value
    return COOLDOWN_DEFAULT_MS


def recent_results(results: Iterable[Result], scope: Scope, *, now_ms: Millis) -> list[Result]:
    """Return the results of a scope that still count, in the order they have."""
    return [one for one in results if scope in one.scopes and one.at_ms >= now_ms - COOLDOWN_MAX_MS]


def losses_in_a_row(results: Iterable[Result], *, losses_max: int, cooldown_ms: Millis) -> tuple[int, Millis | None]:
    """Return how many exits in a row lost, and until when entries rest for the last `losses_max` of them.

    A gain, or a rest that is over, begins the count anew. `results` are in the order of time.
    """
    losses = 0
    until_ms = None
    for result in results:
        if until_ms is not None and result.at_ms >= until_ms:
            losses, until_ms = 0, None
        losses = losses + 1 if result.net_usdc < 0 else 0
        if losses >= max(1, losses_max):
            losses, until_ms = 0, result.at_ms + cooldown_ms
    return losses, until_ms


def rests_until(results: Iterable[Result], *, losses_max: int, cooldown_ms: Millis) -> Millis | None:
    """Return when the rest after losses in a row is over, None if there was no such row."""
    return losses_in_a_row(results, losses_max=losses_max, cooldown_ms=cooldown_ms)[1]


def day_start_ms(now_ms: Millis, *, reset_hour: int) -> Millis:
    """Return when the day began that holds `now_ms`; days begin at `reset_hour` UTC."""
    offset_ms = reset_hour * HOUR_MS
    return (now_ms - offset_ms) // DAY_MS * DAY_MS + offset_ms
