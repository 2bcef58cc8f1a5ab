"""How many shares a fill asks for by itself, before any cap, and what that was measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.attempts import reason
from copytrade.domain.copy_rules import RATIO_MAX
from copytrade.domain.fills import LeaderRole, Side
from copytrade.domain.sizing import ExitMode, SizingMode, by_bankroll, by_fraction
from copytrade.domain.units import format_micro, scaled_down, shares_for_down

if TYPE_CHECKING:
    from copytrade.domain.attempts import Reason
    from copytrade.domain.copy_rules import CopyRules
    from copytrade.domain.fills import LeaderFill
    from copytrade.domain.units import Millis, Price, Ratio, Shares, Usdc
    from copytrade.strategies.copy.facts import CopyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Shares, exact, at our size for one of his (`ratio`); or why there is no size (`refusal`)."""

    shares: Shares
    ratio: Ratio
    measured_by: tuple[Reason, ...] = ()
    refusal: Reason | None = None


def needs_leader_holding(fill: LeaderFill, *, held: Shares, rules: CopyRules) -> bool:
    """Tell whether the size depends on what the leader held before the fill."""
    return fill.side is Side.SELL and held > 0 and rules.exit_mode is ExitMode.FRACTION


def asked(facts: CopyFacts, rules: CopyRules, *, limit: Price, waiting: Shares) -> Asked:
    """Return what a fill asks for; `waiting` shares of an exit are as good as sold already."""
    if facts.is_exit:
        return _exit(facts, rules, waiting=waiting)
    ratio = entry_ratio(facts, rules)
    match rules.sizing_mode:
        case SizingMode.FIXED_USDC:
            return _fixed(facts, rules, ratio=ratio, limit=limit)
        case SizingMode.BANKROLL:
            return _by_bankroll(facts, ratio)
        case SizingMode.RATIO:
            return Asked(shares=scaled_down(facts.fill.size, ratio), ratio=ratio)


def entry_ratio(facts: CopyFacts, rules: CopyRules) -> Ratio:
    """Return the ratio of a copy; of an entry after a resting order, scaled by the ratio for such leaders."""
    is_scaled = facts.fill.role is LeaderRole.MAKER and not facts.is_exit
    return scaled_down(rules.copy_ratio, rules.maker_leader_ratio) if is_scaled else rules.copy_ratio


def _fixed(facts: CopyFacts, rules: CopyRules, *, ratio: Ratio, limit: Price) -> Asked:
    """Spend the fixed amount once for each order of his, on the first of its events."""
    if facts.order.events:
        spent = format_micro(facts.order.usdc)
        refusal = reason("ORDER_COPIED", order_usdc=spent, events=facts.order.events)
        return Asked(shares=0, ratio=ratio, refusal=refusal)
    amount = rules.max_usdc_per_trade if rules.fixed_usdc is None else rules.fixed_usdc
    return Asked(shares=shares_for_down(scaled_down(amount, ratio), limit), ratio=ratio)


def _by_bankroll(facts: CopyFacts, ratio: Ratio) -> Asked:
    bankroll = facts.bankroll
    if bankroll is None or not bankroll.his:
        return Asked(shares=0, ratio=0, refusal=reason("BANKROLL_UNKNOWN", leader=facts.fill.leader))
    if bankroll.ours <= 0:
        return Asked(shares=0, ratio=0, refusal=reason("BANKROLL_SPENT", ours=format_micro(bankroll.ours)))
    his = _all_of_his(facts, bankroll.his, bankroll.his_age_ms)
    measured_by = reason(
        "SIZED_BY_BANKROLL",
        ours=format_micro(bankroll.ours),
        his=format_micro(his),
        his_age_ms=bankroll.his_age_ms,
        ratio=format_micro(ratio),
    )
    return Asked(
        shares=by_bankroll(facts.fill.size, ratio=ratio, ours=bankroll.ours, his=his),
        ratio=min(RATIO_MAX, ratio * bankroll.ours // his),
        measured_by=(measured_by,),
    )


def _all_of_his(facts: CopyFacts, positions: Usdc, age_ms: Millis) -> Usdc:
    """Return what the leader has as far as is known: no figure tells of his cash, but he had what he just spent."""
    spent = facts.fill.usdc
    is_older = facts.now_ms - age_ms < facts.fill.fill_ts_ms
    return positions + spent if is_older else max(positions, spent)


def _exit(facts: CopyFacts, rules: CopyRules, *, waiting: Shares) -> Asked:
    ratio = _exit_ratio(facts, rules)
    sold, before = facts.fill.size, facts.leader_held
    by_ratio = Asked(shares=scaled_down(sold, ratio), ratio=ratio)
    if not needs_leader_holding(facts.fill, held=facts.held, rules=rules):
        return by_ratio
    if not before.is_known or before.shares <= 0:
        why = before.unknown or "held nothing"
        said = reason("EXIT_BY_RATIO", why=why, leader_sold=format_micro(sold), ratio=format_micro(ratio))
        return Asked(shares=by_ratio.shares, ratio=ratio, measured_by=(said,))
    unsold = max(0, facts.held - waiting)
    said = reason(
        "EXIT_BY_FRACTION",
        leader_sold=format_micro(sold),
        leader_held=format_micro(before.shares),
        held=format_micro(unsold),
    )
    shares = by_fraction(leader_sold=sold, leader_held=before.shares, held=unsold)
    return Asked(shares=shares, ratio=ratio, measured_by=(said,))


def _exit_ratio(facts: CopyFacts, rules: CopyRules) -> Ratio:
    """Return the ratio an entry of the same leader would have, the plain one while his bankroll is unknown."""
    bankroll, ratio = facts.bankroll, entry_ratio(facts, rules)
    if rules.sizing_mode is not SizingMode.BANKROLL or bankroll is None or not bankroll.his or bankroll.ours <= 0:
        return ratio
    return min(RATIO_MAX, ratio * bankroll.ours // bankroll.his)
