"""Rows to domain values and back."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from copytrade.domain.attempts import (
    AttemptStatus,
    Decision,
    ExecutionAttempt,
    ExecutionFill,
    ExecutionMode,
    Liquidity,
    Reason,
    Settlement,
)
from copytrade.domain.carry import Carry
from copytrade.domain.copy_rules import own_rules, parse_rule, write_rule
from copytrade.domain.fills import LeaderFill, LeaderRole, LogPlace, RecordedFill, Side, Source
from copytrade.domain.leaders import Leader
from copytrade.domain.market import FeeSchedule, Market, OutcomeToken
from copytrade.domain.orders import OrderType
from copytrade.domain.positions import Position
from copytrade.domain.units import format_micro, parse_micro

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.copy_rules import OwnRules
    from copytrade.domain.units import Price, Ratio

Values = dict[str, Any]


def leader_of(row: Any) -> Leader:
    """Read a row of `leader`."""
    return Leader(
        id=row.id,
        address=row.address,
        label=row.label,
        enabled=row.enabled,
        copy_ratio=row.copy_ratio,
        max_usdc_per_trade=row.max_usdc_per_trade,
        live_allowed=row.live_allowed,
        followed_since_ms=row.followed_since,
        created_at_ms=row.created_at,
        paused=row.paused,
        exit_only=row.exit_only,
        rules=() if row.rules is None else _rules_of(row.rules),
    )


@lru_cache(maxsize=10_000)
def _rules_of(document: str) -> OwnRules:
    return own_rules(parse_rule(name, text) for name, text in json.loads(document).items())


def leader_values(leader: Leader) -> Values:
    """Return every column of `leader`."""
    return {
        "id": leader.id,
        "address": leader.address,
        "label": leader.label,
        "enabled": leader.enabled,
        "copy_ratio": leader.copy_ratio,
        "max_usdc_per_trade": leader.max_usdc_per_trade,
        "live_allowed": leader.live_allowed,
        "followed_since": leader.followed_since_ms,
        "created_at": leader.created_at_ms,
        "paused": leader.paused,
        "exit_only": leader.exit_only,
        "rules": json.dumps({name: write_rule(name, value) for name, value in leader.rules}) if leader.rules else None,
    }


def recorded_fill_of(row: Any) -> RecordedFill:
    """Read a row of `leader_fill` with its leader's address."""
    fill = LeaderFill(
        leader=row.address,
        source=Source(row.source),
        tx_hash=row.tx_hash,
        token_id=row.token_id,
        side=Side(row.side),
        role=LeaderRole(row.leader_role),
        price=row.leader_price,
        size=row.leader_size,
        usdc=row.leader_usdc,
        fee=row.leader_fee,
        fill_ts_ms=row.fill_ts,
        detected_at_ms=row.detected_at,
        place=_place_of(row),
    )
    return RecordedFill(id=row.id, leader_id=row.leader_id, dedupe_key=row.dedupe_key, fill=fill)


def _place_of(row: Any) -> LogPlace | None:
    if row.block_hash is None:
        return None
    return LogPlace(
        exchange_address=row.exchange_address,
        block_number=row.block_number,
        block_hash=row.block_hash,
        log_index=row.log_index,
        order_hash=row.order_hash,
        maker=row.maker,
        taker=row.taker,
    )


def recorded_fill_values(recorded: RecordedFill) -> Values:
    """Return the columns that a sighting decides; `confirmed_at`, `orphaned_at` and our own are not among them."""
    fill = recorded.fill
    place = fill.place
    return {
        "id": recorded.id,
        "leader_id": recorded.leader_id,
        "source": fill.source,
        "exchange_address": place and place.exchange_address,
        "block_number": place and place.block_number,
        "block_hash": place and place.block_hash,
        "tx_hash": fill.tx_hash,
        "log_index": place and place.log_index,
        "order_hash": place and place.order_hash,
        "maker": place and place.maker,
        "taker": place and place.taker,
        "leader_role": fill.role,
        "token_id": fill.token_id,
        "side": fill.side,
        "leader_price": fill.price,
        "leader_size": fill.size,
        "leader_usdc": fill.usdc,
        "leader_fee": fill.fee,
        "fill_ts": fill.fill_ts_ms,
        "detected_at": fill.detected_at_ms,
        "dedupe_key": recorded.dedupe_key,
    }


def attempt_of(row: Any) -> ExecutionAttempt:
    """Read a row of `execution_attempt` with its `filled_shares`."""
    return ExecutionAttempt(
        id=row.id,
        strategy_id=row.strategy_id,
        account_id=row.account_id,
        leader_fill_id=row.leader_fill_id,
        mode=ExecutionMode(row.mode),
        decision=Decision(row.decision),
        reasons=_reasons_of(row.decision_reason),
        ratio=row.ratio,
        token_id=row.token_id,
        side=Side(row.side),
        size_shares_target=row.size_shares_target,
        limit_price=row.limit_price,
        ttl_ms=row.ttl_ms,
        status=AttemptStatus(row.status),
        order_hash=row.order_hash,
        decided_at_ms=row.decided_at,
        placed_at_ms=row.placed_at,
        first_fill_at_ms=row.first_fill_at,
        done_at_ms=row.done_at,
        created_at_ms=row.created_at,
        filled_shares=row.filled_shares,
        order_type=None if row.order_type is None else OrderType(row.order_type),
    )


def attempt_values(attempt: ExecutionAttempt) -> Values:
    """Return every column of `execution_attempt`; its filled shares are in `execution_fill`."""
    return {
        "id": attempt.id,
        "strategy_id": attempt.strategy_id,
        "account_id": attempt.account_id,
        "leader_fill_id": attempt.leader_fill_id,
        "mode": attempt.mode,
        "decision": attempt.decision,
        "decision_reason": reasons_json(attempt.reasons),
        "ratio": attempt.ratio,
        "token_id": attempt.token_id,
        "side": attempt.side,
        "size_shares_target": attempt.size_shares_target,
        "limit_price": attempt.limit_price,
        "ttl_ms": attempt.ttl_ms,
        "status": attempt.status,
        "order_type": attempt.order_type,
        "order_hash": attempt.order_hash,
        "decided_at": attempt.decided_at_ms,
        "placed_at": attempt.placed_at_ms,
        "first_fill_at": attempt.first_fill_at_ms,
        "done_at": attempt.done_at_ms,
        "created_at": attempt.created_at_ms,
    }


def carry_of(row: Any) -> Carry:
    """Read a row of `carry`."""
    return Carry(
        leader_id=row.leader_id,
        token_id=row.token_id,
        side=Side(row.side),
        shares=row.shares,
        usdc=row.leader_usdc,
        fills=row.fills,
        since_ms=row.since,
    )


def carry_values(carry: Carry, attempt: ExecutionAttempt) -> Values:
    """Return every column of `carry`, as it is after an attempt."""
    return {
        "strategy_id": attempt.strategy_id,
        "account_id": attempt.account_id,
        "leader_id": carry.leader_id,
        "token_id": carry.token_id,
        "side": carry.side,
        "shares": carry.shares,
        "leader_usdc": carry.usdc,
        "fills": carry.fills,
        "since": carry.since_ms,
        "updated_at": attempt.decided_at_ms,
    }


def reasons_json(reasons: Iterable[Reason]) -> str:
    """Return reasons as `decision_reason` keeps them: a list of flat objects, the code first."""
    return json.dumps([reason.as_json() for reason in reasons])


def _reasons_of(document: str) -> tuple[Reason, ...]:
    reasons = []
    for stored in json.loads(document):
        numbers = tuple((name, value) for name, value in stored.items() if name != "code")
        reasons.append(Reason(code=stored["code"], numbers=numbers))
    return tuple(reasons)


def execution_of(row: Any) -> ExecutionFill:
    """Read a row of `execution_fill`."""
    return ExecutionFill(
        id=row.id,
        attempt_id=row.attempt_id,
        strategy_id=row.strategy_id,
        account_id=row.account_id,
        venue_trade_id=row.venue_trade_id,
        token_id=row.token_id,
        side=Side(row.side),
        shares=row.filled_shares,
        price=row.fill_price,
        fee_usdc=row.fee_usdc,
        liquidity=Liquidity(row.liquidity),
        settlement=Settlement(row.settlement),
        fill_at_ms=row.fill_at,
    )


def position_of(row: Any) -> Position:
    """Read a row of `position`."""
    return Position(
        strategy_id=row.strategy_id,
        account_id=row.account_id,
        token_id=row.token_id,
        shares=row.shares,
        cost_usdc=row.cost_usdc,
        realized_pnl_usdc=row.realized_pnl_usdc,
        fees_usdc=row.fees_usdc,
    )


def position_values(position: Position) -> Values:
    """Return every column of `position` but the time."""
    return {
        "strategy_id": position.strategy_id,
        "account_id": position.account_id,
        "token_id": position.token_id,
        "shares": position.shares,
        "cost_usdc": position.cost_usdc,
        "realized_pnl_usdc": position.realized_pnl_usdc,
        "fees_usdc": position.fees_usdc,
    }


def market_of(row: Any, tokens: Iterable[Any]) -> Market:
    """Read a row of `market_registry` and its rows of `market_token`, in outcome order."""
    tokens = list(tokens)
    return Market(
        condition_id=row.condition_id,
        version=sys.intern(row.version),
        title=row.title,
        slug=row.slug,
        event_slug=sys.intern(row.event_slug),
        category=sys.intern(row.category),
        end_date_ms=row.end_date,
        enable_order_book=row.enable_order_book,
        accepting_orders=row.accepting_orders,
        closed=row.closed,
        neg_risk=row.neg_risk,
        tick_size=_same_amount(row.tick_size),
        min_order_size=_same_amount(row.min_order_size),
        fees=_same_schedule(row.fee_rate, row.fee_exponent),
        taker_delay_ms=row.taker_delay_ms,
        tokens=tuple(
            OutcomeToken(token_id=token.token_id, outcome=sys.intern(token.outcome), outcome_index=token.outcome_index)
            for token in tokens
        ),
        payouts=payouts_of(row.payouts),
        updated_at_ms=row.updated_at,
        resolution_status=sys.intern(row.resolution_status or ""),
        former_token_ids=tuple(token.former_token_id for token in tokens if token.former_token_id),
    )


@lru_cache(maxsize=1_000)
def _same_amount(amount: int) -> int:
    """Return the amount itself: a hundred thousand markets share a handful, each kept once."""
    return amount


@lru_cache(maxsize=1_000)
def _same_schedule(rate: Ratio, exponent: int) -> FeeSchedule:
    return FeeSchedule(rate=rate, exponent=exponent)


def market_values(market: Market) -> Values:
    """Return every column of `market_registry`."""
    return {
        "condition_id": market.condition_id,
        "version": market.version,
        "title": market.title,
        "slug": market.slug,
        "event_slug": market.event_slug,
        "category": market.category,
        "end_date": market.end_date_ms,
        "enable_order_book": market.enable_order_book,
        "accepting_orders": market.accepting_orders,
        "closed": market.closed,
        "neg_risk": market.neg_risk,
        "tick_size": market.tick_size,
        "min_order_size": market.min_order_size,
        "fee_rate": market.fees.rate,
        "fee_exponent": market.fees.exponent,
        "taker_delay_ms": market.taker_delay_ms,
        "payouts": market.payouts and payouts_json(market.payouts),
        "updated_at": market.updated_at_ms,
        "resolution_status": market.resolution_status or None,
    }


def token_values(market: Market) -> list[Values]:
    """Return a market's rows of `market_token`."""
    return [
        {
            "token_id": token.token_id,
            "condition_id": market.condition_id,
            "outcome": token.outcome,
            "outcome_index": token.outcome_index,
            "former_token_id": former,
        }
        for token, former in zip_longest(market.tokens, market.former_token_ids)
    ]


def payouts_json(payouts: Iterable[Price]) -> str:
    """Return payouts as people read them: a list of decimals."""
    return json.dumps([format_micro(payout) for payout in payouts])


def payouts_of(document: str | None) -> tuple[Price, ...] | None:
    """Read them back."""
    return None if document is None else tuple(parse_micro(payout) for payout in json.loads(document))
