"""Cash, settlements and equity: each function is part of one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, insert, select, text

from copytrade.adapters.sql.executions import (
    Owner,
    find_balance,
    find_position,
    move_cash,
    next_ordinal,
    save_balance,
    save_position,
)
from copytrade.adapters.sql.money_tables import (
    account_balance,
    equity_point,
    resolution,
    settlement,
    settlement_part,
    token_mark,
)
from copytrade.adapters.sql.rows import Values, payouts_json, payouts_of, position_of
from copytrade.adapters.sql.statements import insert as upsert
from copytrade.adapters.sql.tables import (
    IS_OPEN,
    IS_UNSETTLED,
    execution_attempt,
    execution_fill,
    leader_event,
    leader_fill,
    market_registry,
    market_token,
    position,
)
from copytrade.domain.attempts import Settlement
from copytrade.domain.closing import Holding, merge, migrate, resolve
from copytrade.domain.fills import Side
from copytrade.domain.ids import settlement_id
from copytrade.domain.leader_events import LeaderEventKind
from copytrade.domain.money import Balance, EquityPoint, Valuation
from copytrade.domain.settlement import (
    MIGRATIONS,
    PositionSettlement,
    Resolution,
    ResolutionSource,
    SettlementKind,
    SettlementShare,
)
from copytrade.domain.stakes import CopiedShares, stakes_after
from copytrade.ports.accounts import Settled, UnknownMarketError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.closing import Closing
    from copytrade.domain.positions import Position
    from copytrade.domain.stakes import Stakes
    from copytrade.domain.units import Millis, Price, Shares, Usdc


def fund_account(
    connection: Connection, strategy_id: str, account_id: str, *, start_cash: Usdc, now_ms: Millis
) -> Balance:
    """Give an account its start cash, or the difference to what it was given."""
    known = find_balance(connection, strategy_id, account_id)
    cash = known.cash_usdc + start_cash - known.start_cash_usdc
    funded = replace(known, start_cash_usdc=start_cash, cash_usdc=cash)
    save_balance(connection, funded, at_ms=now_ms)
    return funded


def balances(connection: Connection) -> tuple[Balance, ...]:
    """Return every balance, by strategy and account."""
    rows = connection.execute(select(account_balance).order_by(*account_balance.primary_key))
    return tuple(
        Balance(
            strategy_id=row.strategy_id,
            account_id=row.account_id,
            start_cash_usdc=row.start_cash_usdc,
            cash_usdc=row.cash_usdc,
        )
        for row in rows
    )


def settle(connection: Connection, told: Resolution) -> Settled:
    """Record a resolution if it is the first, and redeem what is free of its market's positions."""
    tokens = _tokens(connection, told.condition_id)
    if len(tokens) != len(told.payouts):
        raise UnknownMarketError(f"{told.condition_id} has {len(tokens)} outcomes")
    recorded = _record(connection, told)
    if recorded.payouts != told.payouts:
        return Settled(recorded=recorded)
    closings, waiting = [], []
    for token_id, payout in zip(tokens, told.payouts, strict=True):
        for holding in _holdings(connection, token_id):
            if holding.free < holding.position.shares:
                waiting.append(token_id)
            if holding.free:
                closings.append(resolve(holding, payout=payout, resolution=told))
    _keep(connection, closings)
    return Settled(closings=tuple(closings), waiting=tuple(waiting), recorded=recorded)


def merge_sets(
    connection: Connection, condition_id: str, *, strategy_id: str, account_id: str, at_ms: Millis
) -> tuple[Closing, ...]:
    """Merge as many complete sets as are free."""
    owners = [(strategy_id, account_id, token_id) for token_id in _tokens(connection, condition_id)]
    holdings = [_holding(connection, find_position(connection, owner)) for owner in owners]
    closings = merge(holdings, condition_id=condition_id, at_ms=at_ms)
    _keep(connection, closings)
    return closings


def rename_token(
    connection: Connection, old_token_id: str, new_token_id: str, *, condition_id: str, source: str, at_ms: Millis
) -> Settled:
    """Move what is free of every position in a token to the one that takes its place."""
    closings: list[Closing] = []
    waiting = []
    for holding in _holdings(connection, old_token_id):
        if holding.free < holding.position.shares:
            waiting.append(old_token_id)
        if holding.free:
            new = find_position(connection, (holding.position.strategy_id, holding.position.account_id, new_token_id))
            closings += migrate(holding, new, condition_id=condition_id, source=source, at_ms=at_ms)
    _keep(connection, closings)
    return Settled(closings=tuple(closings), waiting=tuple(waiting))


def resolutions(connection: Connection) -> tuple[Resolution, ...]:
    """Return every resolution recorded, by condition."""
    rows = connection.execute(select(resolution).order_by(resolution.c.condition_id))
    return tuple(map(_resolution_of, rows))


def migrated(connection: Connection) -> frozenset[str]:
    """Return the conditions and tokens that leaders' migrations named."""
    event = leader_event.c
    named = select(event.condition_id, event.token_id).where(event.kind == LeaderEventKind.MIGRATION.value).distinct()
    return frozenset(name for row in connection.execute(named) for name in row if name)


def settlements(connection: Connection, owner: Owner) -> tuple[PositionSettlement, ...]:
    """Return the settlements of one position, in order."""
    return tuple(entry for _, entry in settled_in_order(connection, owner))


def add_equity_point(connection: Connection, point: EquityPoint, marks: Mapping[str, Price | None]) -> None:
    """Write a valuation over one of the same time, and the marks it was made with over the older ones."""
    values = _point_values(point)
    statement = upsert(connection, equity_point).values(values)
    given = {name: statement.excluded[name] for name in values if name not in {"account_id", "at"}}
    connection.execute(statement.on_conflict_do_update(index_elements=["account_id", "at"], set_=given))
    rows = [{"token_id": token, "price": marks[token], "marked_at": point.at_ms} for token in sorted(marks)]
    if rows:
        marking = upsert(connection, token_mark)
        moved = {name: marking.excluded[name] for name in ("price", "marked_at")}
        connection.execute(marking.on_conflict_do_update(index_elements=["token_id"], set_=moved), rows)


def marks(connection: Connection) -> dict[str, Price | None]:
    """Return the last mark of every token that was ever valued."""
    return {row.token_id: row.price for row in connection.execute(select(token_mark))}


def equity_points(connection: Connection, account_id: str, *, since_ms: Millis) -> tuple[EquityPoint, ...]:
    """Return an account's valuations since a time, oldest first."""
    stored = equity_point.c
    rows = connection.execute(
        select(equity_point).where(stored.account_id == account_id, stored.at >= since_ms).order_by(stored.at)
    )
    return tuple(
        EquityPoint(
            account_id=row.account_id,
            at_ms=row.at,
            valuation=Valuation(
                cash_usdc=row.cash_usdc,
                marked_usdc=row.marked_value_usdc,
                marked_cost_usdc=row.marked_cost_usdc,
                unmarked_cost_usdc=row.unmarked_cost_usdc,
                open_positions=row.open_positions,
                unmarked=row.unmarked_positions,
                realized_pnl_usdc=row.realized_pnl_usdc,
                fees_usdc=row.fees_usdc,
            ),
        )
        for row in rows
    )


def _point_values(point: EquityPoint) -> Values:
    valued = point.valuation
    return {
        "account_id": point.account_id,
        "at": point.at_ms,
        "cash_usdc": valued.cash_usdc,
        "marked_value_usdc": valued.marked_usdc,
        "marked_cost_usdc": valued.marked_cost_usdc,
        "unmarked_cost_usdc": valued.unmarked_cost_usdc,
        "open_positions": valued.open_positions,
        "unmarked_positions": valued.unmarked,
        "realized_pnl_usdc": valued.realized_pnl_usdc,
        "unrealized_pnl_usdc": valued.unrealized_pnl_usdc,
        "fees_usdc": valued.fees_usdc,
    }


def _tokens(connection: Connection, condition_id: str) -> list[str]:
    """Return a market's tokens in outcome order."""
    known = connection.execute(
        select(market_registry.c.condition_id).where(market_registry.c.condition_id == condition_id)
    ).first()
    if known is None:
        raise UnknownMarketError(f"no market has the condition {condition_id}")
    token = market_token.c
    ordered = select(token.token_id).where(token.condition_id == condition_id).order_by(token.outcome_index)
    return list(connection.execute(ordered).scalars())


def _record(connection: Connection, told: Resolution) -> Resolution:
    """Return the first resolution told of a condition; this one, if it is."""
    statement = upsert(connection, resolution).values(
        condition_id=told.condition_id,
        payouts=payouts_json(told.payouts),
        source=told.source.value,
        resolved_at=told.at_ms,
    )
    connection.execute(statement.on_conflict_do_nothing(index_elements=["condition_id"]))
    found = select(resolution).where(resolution.c.condition_id == told.condition_id)
    return _resolution_of(connection.execute(found).one())


def _resolution_of(row: Any) -> Resolution:
    return Resolution(
        condition_id=row.condition_id,
        payouts=payouts_of(row.payouts) or (),
        source=ResolutionSource(row.source),
        at_ms=row.resolved_at,
    )


def _holdings(connection: Connection, token_id: str) -> list[Holding]:
    """Return what every strategy and account holds of a token, by their names."""
    held = (
        select(position)
        .where(position.c.token_id == token_id, position.c.shares > 0)
        .order_by(position.c.strategy_id, position.c.account_id)
    )
    return [_holding(connection, position_of(row)) for row in connection.execute(held).all()]


def _holding(connection: Connection, held: Position) -> Holding:
    owner = (held.strategy_id, held.account_id, held.token_id)
    free = 0 if _is_on_its_way(connection, owner) else max(0, held.shares - _promised(connection, held))
    stakes = _stakes(connection, owner) if held.shares else {}
    return Holding(position=held, free=free, stakes=stakes)


def _is_on_its_way(connection: Connection, owner: Owner) -> bool:
    """Tell whether an execution of a position may still turn out void: until then nothing of it is free."""
    unsettled = select(execution_fill.c.id).where(text(IS_UNSETTLED), *is_of(execution_fill, owner)).limit(1)
    return connection.execute(unsettled).first() is not None


def _promised(connection: Connection, held: Position) -> Shares:
    """Return the shares that open sells may still sell."""
    attempt = execution_attempt.c
    open_sells = connection.execute(
        select(attempt.id, attempt.size_shares_target).where(
            text(IS_OPEN),
            attempt.side == Side.SELL,
            attempt.strategy_id == held.strategy_id,
            attempt.account_id == held.account_id,
            attempt.token_id == held.token_id,
        )
    ).all()
    return sum(row.size_shares_target - _filled(connection, row.id) for row in open_sells)


def _filled(connection: Connection, attempt_id: UUID) -> Shares:
    fill = execution_fill.c
    total = select(func.coalesce(func.sum(fill.filled_shares), 0, type_=fill.filled_shares.type))
    counted = total.where(fill.attempt_id == attempt_id, fill.settlement != Settlement.FAILED)
    return int(connection.execute(counted).scalar_one())


def _stakes(connection: Connection, owner: Owner) -> Stakes:
    """Fold whose fills a position stands on from all that moved it."""
    entries: list[tuple[int, CopiedShares | PositionSettlement]] = [*_copied(connection, owner)]
    entries += settled_in_order(connection, owner)
    return stakes_after(entry for _, entry in sorted(entries, key=lambda one: one[0]))


def _copied(connection: Connection, owner: Owner) -> list[tuple[int, CopiedShares]]:
    fill = execution_fill.c
    rows = connection.execute(
        select(fill.position_ordinal, fill.side, fill.filled_shares, leader_fill.c.leader_id)
        .join_from(execution_fill, execution_attempt, execution_attempt.c.id == fill.attempt_id)
        .join(leader_fill, leader_fill.c.id == execution_attempt.c.leader_fill_id)
        .where(*is_of(execution_fill, owner), fill.settlement != Settlement.FAILED)
    )
    return [
        (row.position_ordinal, CopiedShares(leader_id=row.leader_id, side=Side(row.side), shares=row.filled_shares))
        for row in rows
    ]


def settled_in_order(connection: Connection, owner: Owner) -> list[tuple[int, PositionSettlement]]:
    """Return the settlements of one position, each with its place among all that moved it."""
    rows = connection.execute(
        select(settlement).where(*is_of(settlement, owner)).order_by(settlement.c.position_ordinal)
    ).all()
    return [(row.position_ordinal, _settlement_of(row, _parts(connection, row.id))) for row in rows]


def is_of(table: Any, owner: Owner) -> tuple[Any, ...]:
    """Return the conditions of a row being about a position."""
    columns = (table.c.strategy_id, table.c.account_id, table.c.token_id)
    return tuple(column == value for column, value in zip(columns, owner, strict=True))


def _parts(connection: Connection, of_id: UUID) -> tuple[SettlementShare, ...]:
    part = settlement_part.c
    rows = connection.execute(select(settlement_part).where(part.settlement_id == of_id).order_by(part.leader_id))
    return tuple(
        SettlementShare(
            leader_id=row.leader_id, shares=row.shares, proceeds_usdc=row.proceeds_usdc, cost_usdc=row.cost_usdc
        )
        for row in rows
    )


def _settlement_of(row: Any, parts: tuple[SettlementShare, ...]) -> PositionSettlement:
    return PositionSettlement(
        strategy_id=row.strategy_id,
        account_id=row.account_id,
        token_id=row.token_id,
        condition_id=row.condition_id,
        kind=SettlementKind(row.kind),
        shares=row.shares,
        proceeds_usdc=row.proceeds_usdc,
        cost_usdc=row.cost_usdc,
        source=row.source,
        at_ms=row.settled_at,
        parts=parts,
    )


def _keep(connection: Connection, closings: Sequence[Closing]) -> None:
    """Store settlements with the positions and the cash after them."""
    for closing in closings:
        settled, after = closing.settlement, closing.position
        _add(connection, settled)
        save_position(connection, after, at_ms=settled.at_ms)
        move_cash(connection, after.strategy_id, after.account_id, settled.proceeds_usdc, at_ms=settled.at_ms)


def _add(connection: Connection, settled: PositionSettlement) -> None:
    owner = (settled.strategy_id, settled.account_id, settled.token_id)
    ordinal = next_ordinal(connection, owner)
    new_id = settlement_id(*owner, ordinal)
    connection.execute(
        insert(settlement).values(
            id=new_id,
            strategy_id=settled.strategy_id,
            account_id=settled.account_id,
            token_id=settled.token_id,
            condition_id=settled.condition_id,
            kind=settled.kind.value,
            shares=settled.shares,
            proceeds_usdc=settled.proceeds_usdc,
            cost_usdc=settled.cost_usdc,
            realized_pnl_usdc=settled.realized_pnl_usdc,
            source=settled.source,
            settled_at=settled.at_ms,
            position_ordinal=ordinal,
        )
    )
    parts = [_part_values(new_id, part, settled.kind) for part in settled.parts]
    if parts:
        connection.execute(insert(settlement_part), parts)


def _part_values(of_id: UUID, part: SettlementShare, kind: SettlementKind) -> Values:
    return {
        "settlement_id": of_id,
        "leader_id": part.leader_id,
        "shares": part.shares,
        "proceeds_usdc": part.proceeds_usdc,
        "cost_usdc": part.cost_usdc,
        "realized_pnl_usdc": 0 if kind in MIGRATIONS else part.realized_pnl_usdc,
    }
