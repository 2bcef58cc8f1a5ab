"""One fill, one verdict: guards first, then the size, then whether it is enough for an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copytrade.domain import carry as carrying
from copytrade.domain.attempts import Decision, reason
from copytrade.domain.copy_rules import rules_of
from copytrade.domain.fills import Side
from copytrade.domain.market import is_combo
from copytrade.domain.sizing import cut, limit_price
from copytrade.domain.units import MICRO, floor_to, format_micro, notional_down
from copytrade.strategies.copy.amounts import asked, entry_ratio, needs_leader_holding
from copytrade.strategies.copy.facts import CopyFacts, Verdict
from copytrade.strategies.copy.guards import Case, is_too_old, refusals_of, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.attempts import Reason
    from copytrade.domain.carry import Carry, Waiting
    from copytrade.domain.copy_rules import CopyRules
    from copytrade.domain.fills import LeaderFill
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.sizing import Size
    from copytrade.domain.units import Millis, Price, Ratio, Shares, Usdc
    from copytrade.strategies.copy.amounts import Asked

__all__ = ["decide", "is_too_old", "may_be_copied_later", "needs_leader_holding"]

MARKETABLE_MINIMUM_USDC: Final[Usdc] = MICRO
"""A BUY that crosses must be worth one dollar (the venue's "min size: $1")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The order a fill would make: what it asks for with what waited, cut, at a limit."""

    limit: Price
    asked: Asked
    waiting: Waiting
    size: Size

    @property
    def waited(self) -> Shares:
        return self.waiting.usable.shares if self.waiting.usable else 0

    @property
    def is_capped(self) -> bool:
        return "CAP" in self.size.cut_by


def decide(facts: CopyFacts, rules: CopyRules) -> Verdict:
    """Return the verdict on one fill, by the leader's own rules where he has some.

    Every rule that refuses the fill is named, not only the first.
    """
    rules = rules_of(facts.leader, rules)
    waiting = carrying.waiting(facts.carry, facts.fill, now_ms=facts.now_ms, age_max_ms=rules.carry_max_age_ms)
    limit = None if facts.market is None else _limit(facts, rules, facts.market)
    refusals = refusals_of(Case(facts=facts, rules=rules, limit=limit))
    if facts.market is None or limit is None:
        return _skip(facts, waiting, refusals, ratio=entry_ratio(facts, rules))
    order = _order(facts, rules, limit=limit, waiting=waiting)
    lacking = _lacking(facts, rules, facts.market, order)
    if not refusals and not lacking:
        return _trade(facts, rules, order)
    if not refusals and facts.leader is not None and _may_wait(facts, rules, order, lacking):
        return _wait(facts, facts.leader, order, lacking[0])
    return _skip(facts, waiting, [*refusals, *lacking], ratio=order.asked.ratio)


def may_be_copied_later(fill: LeaderFill, leader: Leader | None, *, now_ms: Millis, rules: CopyRules) -> bool:
    """Tell whether waiting for a market or a book can help: never a fill that no market and no book would let pass."""
    if leader is None or leader.paused or (leader.exit_only and fill.side is Side.BUY):
        return False
    return not is_too_old(fill, now_ms=now_ms, rules=rules) and not is_combo(fill.token_id)


def _limit(facts: CopyFacts, rules: CopyRules, market: Market) -> Price:
    limit = limit_price(
        facts.fill.side,
        leader_price=facts.fill.price,
        slippage_bps=rules.slippage_bps_max,
        slippage_ticks=rules.slippage_ticks_max,
        tick=market.tick_size,
    )
    if facts.is_exit or rules.price_max is None:
        return limit
    return min(limit, max(market.tick_size, floor_to(rules.price_max, market.tick_size)))


def _order(facts: CopyFacts, rules: CopyRules, *, limit: Price, waiting: Waiting) -> _Order:
    waited = waiting.usable.shares if waiting.usable else 0
    wanted = asked(facts, rules, limit=limit, waiting=waited)
    if facts.is_exit:
        size = cut(wanted.shares + waited, limit=limit, held=max(0, facts.held))
    else:
        size = cut(wanted.shares + waited, limit=limit, cap=max(0, rules.max_usdc_per_trade - facts.order.usdc))
    return _Order(limit=limit, asked=wanted, waiting=waiting, size=size)


def _lacking(facts: CopyFacts, rules: CopyRules, market: Market, order: _Order) -> Sequence[Reason]:
    """Return what is wrong with the size, nothing where the venue takes it."""
    if facts.is_exit and facts.held <= 0:
        return [reason("NOTHING_HELD", held=format_micro(facts.held), leader_sold=format_micro(facts.fill.size))]
    if order.asked.refusal is not None:
        return [order.asked.refusal]
    small = _too_small(facts, market, order)
    if small is not None and order.is_capped and facts.order.usdc:
        spent, cap = format_micro(facts.order.usdc), format_micro(rules.max_usdc_per_trade)
        return [reason("ORDER_CAP_REACHED", order_usdc=spent, max_usdc=cap, events=facts.order.events)]
    return [] if small is None else [small]


def _too_small(facts: CopyFacts, market: Market, order: _Order) -> Reason | None:
    size = order.size.shares
    if size < market.min_order_size:
        minimum = format_micro(market.min_order_size)
        return reason("SIZE_BELOW_MINIMUM", size=format_micro(size), minimum=minimum)
    notional = notional_down(size, order.limit)
    if _is_marketable_buy(facts, order.limit) and notional < MARKETABLE_MINIMUM_USDC:
        minimum = format_micro(MARKETABLE_MINIMUM_USDC)
        return reason("BELOW_MARKETABLE_MINIMUM", usdc=format_micro(notional), minimum=minimum)
    return None


def _is_marketable_buy(facts: CopyFacts, limit: Price) -> bool:
    ask = facts.view.book.best_ask if facts.view else None
    return facts.fill.side is Side.BUY and ask is not None and ask <= limit


def _may_wait(facts: CopyFacts, rules: CopyRules, order: _Order, lacking: Sequence[Reason]) -> bool:
    """Tell whether a copy that is only too small is kept for the next fill: not if a cap made it so."""
    return (
        rules.carry_max_age_ms > 0
        and facts.may_carry
        and not order.waiting.is_taken
        and not order.is_capped
        and _to_wait(facts, order) > 0
        and all(one.code in {"SIZE_BELOW_MINIMUM", "BELOW_MARKETABLE_MINIMUM"} for one in lacking)
    )


def _to_wait(facts: CopyFacts, order: _Order) -> Shares:
    """Return what of the fill may wait: of an exit, no more than is held and does not wait already."""
    return min(order.asked.shares, facts.held - order.waited) if facts.is_exit else order.asked.shares


def _wait(facts: CopyFacts, leader: Leader, order: _Order, lacking: Reason) -> Verdict:
    shares = _to_wait(facts, order)
    after = carrying.add(
        order.waiting.usable,
        facts.fill,
        shares,
        leader_id=leader.id,
        usdc=notional_down(shares, facts.fill.price),
    )
    return Verdict(
        decision=Decision.SKIP,
        reasons=(carrying.carried(after, shares, lacking=lacking), *order.asked.measured_by, *_dropped(order.waiting)),
        ratio=order.asked.ratio,
        size=0,
        limit=0,
        carry=after,
    )


def _trade(facts: CopyFacts, rules: CopyRules, order: _Order) -> Verdict:
    usable = order.waiting.usable
    dropped = _dropped(order.waiting)
    emptied = _emptied(facts, order.waiting)
    return Verdict(
        decision=Decision.TRADE,
        reasons=(
            _copied(facts, order.limit),
            *order.asked.measured_by,
            *((carrying.released(usable, facts.now_ms),) if usable else ()),
            *_cuts(facts, rules, order),
            *dropped,
        ),
        ratio=order.asked.ratio,
        size=order.size.shares,
        limit=order.limit,
        ttl_ms=rules.order_ttl_ms,
        carry=usable.emptied() if usable else emptied,
        carry_if_refused=emptied,
        reasons_if_refused=dropped,
    )


def _skip(facts: CopyFacts, waiting: Waiting, refusals: Sequence[Reason], *, ratio: Ratio) -> Verdict:
    return Verdict(
        decision=Decision.SKIP,
        reasons=(*refusals, *_dropped(waiting)),
        ratio=ratio,
        size=0,
        limit=0,
        carry=_emptied(facts, waiting),
    )


def _dropped(waiting: Waiting) -> tuple[Reason, ...]:
    return () if waiting.dropped is None else (waiting.dropped,)


def _emptied(facts: CopyFacts, waiting: Waiting) -> Carry | None:
    """Return what waits if nothing is added to it: nothing, where it has ended, else what did before."""
    return facts.carry.emptied() if facts.carry and waiting.dropped else None


def _cuts(facts: CopyFacts, rules: CopyRules, order: _Order) -> list[Reason]:
    """Name each cap that made the order smaller than what was asked for, the binding one last."""
    names = {"HELD": "HELD", "CAP": "ORDER_CAP" if facts.order.usdc else "MAX_USDC_PER_TRADE"}
    numbers = {"size": format_micro(order.size.shares), "asked": format_micro(order.asked.shares + order.waited)}
    if order.is_capped:
        numbers["max_usdc"] = format_micro(rules.max_usdc_per_trade)
    if facts.order.usdc:
        numbers["order_usdc"] = format_micro(facts.order.usdc)
    return [reason(f"CUT_BY_{names[cap]}", **numbers) for cap in order.size.cut_by]


def _copied(facts: CopyFacts, limit: Price) -> Reason:
    """Name what the order was measured against: his price, our limit and the touch it met."""
    book = facts.view.book if facts.view else None
    touch = None if book is None else (book.best_ask if facts.fill.side is Side.BUY else book.best_bid)
    beyond = touch is None or (touch > limit if facts.fill.side is Side.BUY else touch < limit)
    return reason(
        "RESTS_AT_LIMIT" if beyond else "MARKETABLE",
        leader_price=shown(facts.fill.price),
        limit=shown(limit),
        touch=shown(touch),
        book_age_ms=facts.view.age_ms if facts.view else 0,
    )
