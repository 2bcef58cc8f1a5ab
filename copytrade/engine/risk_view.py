"""How much of each limit is used, counted from the ledger: the same sums that a worker keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.risk import (
    COOLDOWN_MAX_MS,
    LimitName,
    cooldown_of,
    day_start_ms,
    format_value,
    losses_in_a_row,
    recent_results,
    used_of_leader,
    used_today,
)
from copytrade.domain.scopes import EVERYTHING, Scope, Subject, scope_name
from copytrade.domain.units import format_micro
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.risk_limits import LimitBook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.exposure import Exposure
    from copytrade.domain.risk import Limits
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.ledger import Ledger

MINUTE_MS: Final[Millis] = 60_000
_SUBJECTS: Final = {
    LimitName.MAX_USDC_PER_MARKET: Subject.MARKET,
    LimitName.MAX_USDC_PER_EVENT: Subject.EVENT,
    LimitName.MAX_USDC_PER_CATEGORY: Subject.CATEGORY,
    LimitName.MAX_USDC_PER_LEADER: Subject.LEADER,
}

Row = dict[str, Any]


async def limits_in_force(
    ledger: Ledger,
    start: Mapping[LimitName, int],
    *,
    strategy_id: str,
    account_id: str,
    reset_hour: int,
    now_ms: Millis,
) -> list[Row]:
    """Return a row for each limit, also for those that are not set: its scope, value, use and source.

    What is limited for each market, event, category or leader is shown for the one where most is used (`of`).
    """
    book = LimitBook(start, ledger)
    await book.refresh()
    portfolio = Portfolio(strategy_id=strategy_id, account_id=account_id)
    await portfolio.load(ledger)
    started_ms = day_start_ms(now_ms, reset_hour=reset_hour)
    await portfolio.at_stake.load(
        ledger,
        day_started_ms=started_ms,
        results_since_ms=now_ms - COOLDOWN_MAX_MS,
        entries_since_ms=now_ms - MINUTE_MS,
    )
    gain = await ledger.day_gain(strategy_id, account_id, started_at_ms=started_ms)
    view = _View(portfolio.at_stake.exposure, book.now, gain=gain, now_ms=now_ms)
    keys = {(name, EVERYTHING): None for name in LimitName} | {(one.name, one.scope): None for one in book.now.all()}
    return [_row(book, name, scope, view) for name, scope in sorted(keys, key=_order)]


def _order(key: tuple[LimitName, Scope]) -> tuple[int, Scope]:
    return list(LimitName).index(key[0]), key[1]


def _row(book: LimitBook, name: LimitName, scope: Scope, view: _View) -> Row:
    change = book.changes.get((name, scope))
    if change is not None:
        source = f"set by {change.changed_by}"
    else:
        source = f"RISK_{name}" if book.start_value(name, scope) is not None else "not set"
    used, of = view.used(name, scope)
    return {
        "name": name,
        "scope": scope_name(scope),
        "value": format_value(name, book.now.value(name, scope)),
        "used": used,
        "of": of,
        "source": source,
        "changed_at_ms": "" if change is None else change.changed_at_ms,
    }


class _View:
    """The sums, as words."""

    def __init__(self, exposure: Exposure, limits: Limits, *, gain: Usdc | None, now_ms: Millis) -> None:
        self._exposure = exposure
        self._limits = limits
        self._gain = gain
        self._now_ms = now_ms

    def used(self, name: LimitName, scope: Scope) -> tuple[str, str]:
        """Return how much of a limit is used, and of what where that is one of many."""
        if name in _SUBJECTS:
            of, amount = self._exposure.largest(scope, _SUBJECTS[name])
            return format_micro(amount), of
        if name is LimitName.LEADER_BUDGET_USDC:
            leaders = [scope.leader] if scope.leader else list(self._exposure.leaders())
            used = {leader: used_of_leader(self._exposure, scope, leader) for leader in leaders}
            leader = max(used, key=lambda one: (used[one], one), default="")
            return format_micro(used.get(leader, 0)), leader
        return self._of_all(name, scope), ""

    def _of_all(self, name: LimitName, scope: Scope) -> str:
        exposure = self._exposure
        match name:
            case LimitName.MAX_USDC_PER_DAY:
                return format_micro(used_today(exposure, scope))
            case LimitName.MAX_OPEN_USDC:
                return format_micro(exposure.at_stake(scope, Subject.ALL))
            case LimitName.MAX_OPEN_POSITIONS:
                return str(exposure.positions(scope))
            case LimitName.MAX_ATTEMPTS_PER_MINUTE:
                return str(exposure.entries_in_minute(scope, now_ms=self._now_ms))
            case LimitName.DAILY_DRAWDOWN_USDC:
                return "unknown" if self._gain is None else format_micro(max(0, -self._gain))
            case LimitName.LOSS_STREAK_MAX:
                return self._streak(scope)
            case _:
                return ""

    def _streak(self, scope: Scope) -> str:
        results = recent_results(self._exposure.results, scope, now_ms=self._now_ms)
        most = self._limits.value(LimitName.LOSS_STREAK_MAX, scope)
        cooldown_ms = cooldown_of(self._limits, scope)
        losses, until_ms = losses_in_a_row(results, losses_max=most or len(results) + 1, cooldown_ms=cooldown_ms)
        if until_ms is not None and until_ms > self._now_ms:
            return f"rests {until_ms - self._now_ms} ms"
        return str(losses)
