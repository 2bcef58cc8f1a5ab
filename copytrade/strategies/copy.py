"""Follow a leader's fill: the same side of the same token, sized and limited by our own rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.attempts import Decision, Reason, reason
from copytrade.domain.book import BookView, QuoteTier
from copytrade.domain.fills import LeaderFill, LeaderRole, Side
from copytrade.domain.leader_events import NO_SNAPSHOT, LeaderHolding
from copytrade.domain.market import is_combo
from copytrade.domain.sizing import ExitMode, Size, SizingMode, copy_size, exit_size, fixed_size, limit_price
from copytrade.domain.units import format_micro, notional_down, scaled_down

if TYPE_CHECKING:
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price, Ratio, Shares, Usdc

MARKETABLE_MINIMUM_USDC: Usdc = 1_000_000
"""A BUY that crosses must be worth one dollar (the venue's "min size: $1")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRules:
    """What the operator allows; a leader's own ratio and cap go before the general ones."""

    copy_ratio: Ratio
    max_usdc_per_trade: Usdc
    maker_leader_ratio: Ratio
    sizing_mode: SizingMode
    slippage_bps_max: int
    order_ttl_ms: Millis
    fill_max_age_ms: Millis
    exit_mode: ExitMode = ExitMode.RATIO


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """What is known at the moment of the decision.

    `leader` is None when he is no longer followed; `market` and `view` are None when the bounded waits
    (`unmapped_waited_ms`, `book_waited_ms`) brought none; `held` is what a SELL may still sell, `leader_held` what
    the leader held before it.
    """

    fill: LeaderFill
    leader: Leader | None
    market: Market | None
    view: BookView | None
    held: Shares
    unmapped_waited_ms: Millis
    book_waited_ms: Millis
    now_ms: Millis
    leader_held: LeaderHolding = NO_SNAPSHOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """TRADE with a size and a limit, or SKIP with both zero; the reasons name each rule that spoke."""

    decision: Decision
    reasons: tuple[Reason, ...]
    ratio: Ratio
    size: Shares
    limit: Price


def decide(facts: CopyFacts, rules: CopyRules) -> Verdict:
    """Return the verdict on one fill. Every rule that refuses it is named, not only the first."""
    ratio = _ratio(facts, rules)
    refusals = [
        *_too_old(facts, rules),
        *_not_followed(facts),
        *_market_refusals(facts),
        *_book_refusals(facts),
    ]
    if facts.market is None:
        return _skip(refusals, ratio)
    limit = limit_price(
        facts.fill.side,
        leader_price=facts.fill.price,
        slippage_bps=rules.slippage_bps_max,
        tick=facts.market.tick_size,
    )
    size = _size(facts, rules, ratio=ratio, limit=limit)
    refusals += _size_refusals(facts, facts.market, size=size, limit=limit)
    if refusals:
        return _skip(refusals, ratio)
    return Verdict(
        decision=Decision.TRADE,
        reasons=(
            _copied(facts, limit),
            *_exit_reason(facts, rules, ratio),
            *(reason(f"CUT_BY_{cap}", size=format_micro(size.shares)) for cap in size.cut_by),
        ),
        ratio=ratio,
        size=size.shares,
        limit=limit,
    )


def is_too_old(fill: LeaderFill, *, now_ms: Millis, rules: CopyRules) -> bool:
    """Tell whether a fill's age (by its block's time) is above the limit."""
    return now_ms - fill.fill_ts_ms > rules.fill_max_age_ms


def may_be_copied_later(fill: LeaderFill, *, now_ms: Millis, rules: CopyRules) -> bool:
    """Tell whether waiting for a market or a book can help: never for one too old, nor for a combo."""
    return not is_too_old(fill, now_ms=now_ms, rules=rules) and not is_combo(fill.token_id)


def needs_leader_holding(fill: LeaderFill, *, held: Shares, rules: CopyRules) -> bool:
    """Tell whether the size depends on what the leader held before the fill."""
    return fill.side is Side.SELL and held > 0 and rules.exit_mode is ExitMode.FRACTION


def _skip(refusals: list[Reason], ratio: Ratio) -> Verdict:
    return Verdict(decision=Decision.SKIP, reasons=tuple(refusals), ratio=ratio, size=0, limit=0)


def _ratio(facts: CopyFacts, rules: CopyRules) -> Ratio:
    own = facts.leader.copy_ratio if facts.leader else None
    ratio = rules.copy_ratio if own is None else own
    return scaled_down(ratio, rules.maker_leader_ratio) if facts.fill.role is LeaderRole.MAKER else ratio


def _size(facts: CopyFacts, rules: CopyRules, *, ratio: Ratio, limit: Price) -> Size:
    own = facts.leader.max_usdc_per_trade if facts.leader else None
    cap = rules.max_usdc_per_trade if own is None else own
    if facts.fill.side is Side.BUY and rules.sizing_mode is SizingMode.FIXED_USDC:
        return fixed_size(ratio=ratio, cap=cap, limit=limit)
    if _is_exit_by_fraction(facts, rules):
        sold, before = facts.fill.size, facts.leader_held.shares
        return exit_size(leader_sold=sold, leader_held=before, cap=cap, limit=limit, held=facts.held)
    held = facts.held if facts.fill.side is Side.SELL else None
    return copy_size(leader_size=facts.fill.size, ratio=ratio, cap=cap, limit=limit, held=held)


def _is_exit_by_fraction(facts: CopyFacts, rules: CopyRules) -> bool:
    is_asked = needs_leader_holding(facts.fill, held=facts.held, rules=rules)
    return is_asked and facts.leader_held.is_known and facts.leader_held.shares > 0


def _exit_reason(facts: CopyFacts, rules: CopyRules, ratio: Ratio) -> tuple[Reason, ...]:
    """Name what an exit was sized by where that is the fraction, or should have been."""
    if not needs_leader_holding(facts.fill, held=facts.held, rules=rules):
        return ()
    sold, before = facts.fill.size, facts.leader_held
    if not _is_exit_by_fraction(facts, rules):
        why = before.unknown or "held nothing"
        return (reason("EXIT_BY_RATIO", why=why, leader_sold=format_micro(sold), ratio=format_micro(ratio)),)
    return (
        reason(
            "EXIT_BY_FRACTION",
            leader_sold=format_micro(sold),
            leader_held=format_micro(before.shares),
            held=format_micro(facts.held),
        ),
    )


def _too_old(facts: CopyFacts, rules: CopyRules) -> list[Reason]:
    if not is_too_old(facts.fill, now_ms=facts.now_ms, rules=rules):
        return []
    age_ms = facts.now_ms - facts.fill.fill_ts_ms
    return [reason("TOO_OLD", age_ms=age_ms, age_ms_max=rules.fill_max_age_ms)]


def _not_followed(facts: CopyFacts) -> list[Reason]:
    return [] if facts.leader else [reason("NOT_FOLLOWED", leader=facts.fill.leader)]


def _market_refusals(facts: CopyFacts) -> list[Reason]:
    market = facts.market
    if is_combo(facts.fill.token_id):
        return [reason("COMBO", token_id=facts.fill.token_id)]
    if market is None:
        return [reason("UNMAPPED", token_id=facts.fill.token_id, waited_ms=facts.unmapped_waited_ms)]
    refused = []
    if market.closed:
        refused.append(reason("MARKET_CLOSED", condition_id=market.condition_id))
    if not market.enable_order_book:
        refused.append(reason("NO_ORDER_BOOK", condition_id=market.condition_id))
    elif not market.accepting_orders:
        refused.append(reason("NOT_ACCEPTING_ORDERS", condition_id=market.condition_id))
    return refused


def _book_refusals(facts: CopyFacts) -> list[Reason]:
    if facts.market is None or not facts.market.enable_order_book:
        return []
    if facts.view is None:
        return [reason("NO_BOOK", waited_ms=facts.book_waited_ms)]
    refused = []
    if facts.view.tier is QuoteTier.HARD_STALE:
        refused.append(reason("BOOK_STALE", age_ms=facts.view.age_ms))
    book = facts.view.book
    if book.is_crossed:
        refused.append(reason("BOOK_CROSSED", bid=_price(book.best_bid), ask=_price(book.best_ask)))
    return refused


def _size_refusals(facts: CopyFacts, market: Market, *, size: Size, limit: Price) -> list[Reason]:
    if facts.fill.side is Side.SELL and facts.held <= 0:
        return [reason("NOTHING_HELD")]
    if size.shares < market.min_order_size:
        minimum = format_micro(market.min_order_size)
        return [reason("SIZE_BELOW_MINIMUM", size=format_micro(size.shares), minimum=minimum)]
    notional = notional_down(size.shares, limit)
    if _is_marketable_buy(facts, limit) and notional < MARKETABLE_MINIMUM_USDC:
        minimum = format_micro(MARKETABLE_MINIMUM_USDC)
        return [reason("BELOW_MARKETABLE_MINIMUM", usdc=format_micro(notional), minimum=minimum)]
    return []


def _is_marketable_buy(facts: CopyFacts, limit: Price) -> bool:
    ask = facts.view.book.best_ask if facts.view else None
    return facts.fill.side is Side.BUY and ask is not None and ask <= limit


def _copied(facts: CopyFacts, limit: Price) -> Reason:
    """Name what the order was measured against: his price, our limit and the touch it met."""
    book = facts.view.book if facts.view else None
    touch = None if book is None else (book.best_ask if facts.fill.side is Side.BUY else book.best_bid)
    beyond = touch is None or (touch > limit if facts.fill.side is Side.BUY else touch < limit)
    return reason(
        "RESTS_AT_LIMIT" if beyond else "MARKETABLE",
        leader_price=_price(facts.fill.price),
        limit=_price(limit),
        touch=_price(touch),
        book_age_ms=facts.view.age_ms if facts.view else 0,
    )


def _price(price: Price | None) -> str:
    return "none" if price is None else format_micro(price)
