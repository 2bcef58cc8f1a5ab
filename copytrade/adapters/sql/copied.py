"""Our attempts and executions with the leaders they follow: what is at stake after whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, and_, func, or_, select, text, union

from copytrade.adapters.sql.accounts import settled_in_order
from copytrade.adapters.sql.attempts import ATTEMPT
from copytrade.adapters.sql.money_tables import settlement
from copytrade.adapters.sql.rows import attempt_of, market_of
from copytrade.adapters.sql.statements import chunks
from copytrade.adapters.sql.tables import (
    IS_OPEN,
    execution_attempt,
    execution_fill,
    leader,
    leader_fill,
    market_registry,
    market_token,
    position,
)
from copytrade.domain.attempts import Decision, ExecutionFill, Liquidity, Settlement
from copytrade.domain.fills import Side
from copytrade.ports.risk import CopiedAttempt, CopiedExecution, DayFigures

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, Select, Table

    from copytrade.domain.market import Market
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis

TOKENS_AT_ONCE: Final = 100
"""Conditions of one token each in one statement; a longer one takes the planner longer than the rows."""


def moves(
    connection: Connection, strategy_id: str, account_id: str, *, since_ms: Millis, after: Mapping[str, int]
) -> tuple[CopiedExecution | PositionSettlement, ...]:
    """Return what moved each position that is open or was moved since then, in the order of each.

    Of tokens named in `after` only what is numbered above.
    """
    owner = (strategy_id, account_id)
    found: list[tuple[str, int, CopiedExecution | PositionSettlement]] = []
    for tokens in chunks(sorted(connection.execute(moved_tokens(owner, since_ms)).scalars())):
        found += _executions(connection, owner, tokens, after)
        found += [one for one in _settlements(connection, owner, tokens) if one[1] > after.get(one[0], -1)]
    return tuple(move for *_, move in sorted(found, key=lambda one: one[:2]))


def moved_tokens(owner: tuple[str, str], since_ms: Millis) -> CompoundSelect[Any]:
    """Return the query for the tokens that are held or were moved since then."""
    held = select(position.c.token_id).where(*_is_of(position, owner), position.c.shares > 0)
    traded = select(execution_fill.c.token_id).where(
        *_is_of(execution_fill, owner), execution_fill.c.fill_at >= since_ms
    )
    settled = select(settlement.c.token_id).where(*_is_of(settlement, owner), settlement.c.settled_at >= since_ms)
    return union(held, traded, settled)


def copied_executions(owner: tuple[str, str]) -> Select[Any]:
    """Return the query for executions with the leaders they follow; those that failed are left out."""
    return (
        select(execution_fill, leader.c.address)
        .join(execution_attempt, execution_attempt.c.id == execution_fill.c.attempt_id)
        .join(leader_fill, leader_fill.c.id == execution_attempt.c.leader_fill_id)
        .join(leader, leader.c.id == leader_fill.c.leader_id)
        .where(*_is_of(execution_fill, owner), execution_fill.c.settlement != Settlement.FAILED)
    )


def _executions(
    connection: Connection, owner: tuple[str, str], tokens: list[str], after: Mapping[str, int]
) -> list[tuple[str, int, CopiedExecution | PositionSettlement]]:
    fill = execution_fill.c
    whole = [token_id for token_id in tokens if token_id not in after]
    rest = [
        and_(fill.token_id == token_id, fill.position_ordinal > after[token_id])
        for token_id in tokens
        if token_id in after
    ]
    wanted = [fill.token_id.in_(whole)] if whole else []
    found: list[tuple[str, int, CopiedExecution | PositionSettlement]] = []
    for condition in (*wanted, *(or_(*some) for some in _batched(rest, TOKENS_AT_ONCE))):
        rows = connection.execute(copied_executions(owner).where(condition))
        found += [(row.token_id, row.position_ordinal, execution_of(row)) for row in rows]
    return found


def _batched(conditions: Sequence[ColumnElement[bool]], size: int) -> Iterator[Sequence[ColumnElement[bool]]]:
    for start in range(0, len(conditions), size):
        yield conditions[start : start + size]


def _settlements(
    connection: Connection, owner: tuple[str, str], tokens: list[str]
) -> list[tuple[str, int, CopiedExecution | PositionSettlement]]:
    settled = select(settlement.c.token_id).where(*_is_of(settlement, owner), settlement.c.token_id.in_(tokens))
    return [
        (token_id, ordinal, entry)
        for token_id in connection.execute(settled.distinct()).scalars()
        for ordinal, entry in settled_in_order(connection, (*owner, token_id))
    ]


def _is_of(table: Table, owner: tuple[str, str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (table.c.strategy_id == owner[0], table.c.account_id == owner[1])


def attempts(
    connection: Connection, strategy_id: str, account_id: str, *, since_ms: Millis
) -> tuple[CopiedAttempt, ...]:
    """Return the open attempts, and every TRADE since then, oldest first."""
    attempt = execution_attempt.c
    recent = and_(attempt.created_at >= since_ms, attempt.decision == Decision.TRADE)
    # Two indexes, so two statements: one condition for both would read everything.
    open_ones = _attempts(connection, strategy_id, account_id, text(IS_OPEN))
    new_ones = _attempts(connection, strategy_id, account_id, recent)
    by_id = {copied.attempt.id: copied for copied in (*open_ones, *new_ones)}
    return tuple(sorted(by_id.values(), key=lambda copied: (copied.attempt.created_at_ms, copied.attempt.id)))


def _attempts(connection: Connection, strategy_id: str, account_id: str, condition: Any) -> list[CopiedAttempt]:
    attempt = execution_attempt.c
    statement = (
        ATTEMPT.add_columns(leader.c.address)
        .join(leader_fill, leader_fill.c.id == attempt.leader_fill_id)
        .join(leader, leader.c.id == leader_fill.c.leader_id)
        .where(attempt.strategy_id == strategy_id, attempt.account_id == account_id, condition)
    )
    return [CopiedAttempt(attempt=attempt_of(row), leader=row.address) for row in connection.execute(statement)]


def markets_of(connection: Connection, token_ids: Collection[str]) -> dict[str, Market]:
    """Return the market of each token that has one stored."""
    found: dict[str, Market] = {}
    for some in chunks(sorted(token_ids)):
        conditions = select(market_token.c.condition_id).where(market_token.c.token_id.in_(some))
        tokens: dict[str, list[Any]] = {}
        siblings = select(market_token).where(market_token.c.condition_id.in_(conditions))
        for row in connection.execute(siblings.order_by(market_token.c.outcome_index)):
            tokens.setdefault(row.condition_id, []).append(row)
        for row in connection.execute(select(market_registry).where(market_registry.c.condition_id.in_(conditions))):
            market = market_of(row, tokens[row.condition_id])
            found.update((token.token_id, market) for token in market.tokens)
    return {token_id: found[token_id] for token_id in token_ids if token_id in found}


def day_figures(
    connection: Connection, strategy_id: str, account_id: str, *, from_ms: Millis, to_ms: Millis
) -> DayFigures:
    """Count what happened from one time to another."""
    attempt, fill = execution_attempt.c, execution_fill.c
    decisions = (
        select(attempt.decision, func.count())
        .where(attempt.strategy_id == strategy_id, attempt.account_id == account_id)
        .where(attempt.created_at >= from_ms, attempt.created_at < to_ms)
        .group_by(attempt.decision)
    )
    decided = {decision: int(count) for decision, count in connection.execute(decisions)}
    happened = (leader_fill.c.fill_ts >= from_ms, leader_fill.c.fill_ts < to_ms, leader_fill.c.orphaned_at.is_(None))
    owned = (fill.strategy_id == strategy_id, fill.account_id == account_id, fill.settlement != Settlement.FAILED)
    executed = (*owned, fill.fill_at >= from_ms, fill.fill_at < to_ms)
    money = connection.execute(
        select(
            func.count().label("executions"),
            _total(fill.notional_usdc, fill.side == Side.BUY).label("bought"),
            _total(fill.notional_usdc, fill.side == Side.SELL).label("sold"),
            _total(fill.fee_usdc).label("fees"),
            _total(fill.realized_pnl_usdc).label("realized"),
        ).where(*executed)
    ).one()
    return DayFigures(
        fills=connection.execute(select(func.count()).where(*happened)).scalar_one(),
        trades=decided.get(Decision.TRADE, 0),
        skips=decided.get(Decision.SKIP, 0),
        executions=money.executions,
        bought_usdc=money.bought,
        sold_usdc=money.sold,
        fees_usdc=money.fees,
        realized_usdc=money.realized,
    )


def _total(column: Any, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    total = func.sum(column)
    return func.coalesce(total.filter(*conditions) if conditions else total, 0, type_=column.type)


def execution_of(row: Any) -> CopiedExecution:
    """Return a row of `copied_executions`."""
    fill = ExecutionFill(
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
    return CopiedExecution(fill=fill, leader=row.address)
