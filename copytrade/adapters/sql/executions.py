"""Executions and the positions they make, with the cash they move."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select, union_all

from copytrade.adapters.sql import attempts
from copytrade.adapters.sql.money_tables import account_balance, settlement
from copytrade.adapters.sql.rows import Values, position_of, position_values
from copytrade.adapters.sql.statements import insert as upsert
from copytrade.adapters.sql.tables import execution_fill, position
from copytrade.domain.booking import ImpossibleExecutionError, book
from copytrade.domain.money import Balance
from copytrade.domain.positions import Position, cash_flow
from copytrade.ports.ledger import Booked

if TYPE_CHECKING:
    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.booking import Booking
    from copytrade.domain.units import Millis, Usdc

Owner = tuple[str, str, str]
"""Strategy, account and token: whose position."""


def book_execution(connection: Connection, fill: ExecutionFill) -> Booked | None:
    """Store an execution with everything that follows from it; None if it is stored.

    :raises ImpossibleExecutionError: no order of ours can have had it.
    :raises OversoldError: it sells more than is held.
    """
    if _is_booked(connection, fill):
        return None
    attempt = attempts.find(connection, fill.attempt_id)
    if attempt is None:
        raise ImpossibleExecutionError(f"execution {fill.venue_trade_id} of unknown attempt {fill.attempt_id}")
    owner = (fill.strategy_id, fill.account_id, fill.token_id)
    booking = book(attempt, find_position(connection, owner), fill)
    connection.execute(insert(execution_fill).values(_fill_values(connection, fill, booking)))
    if booking.attempt != attempt:
        attempts.change(connection, before=attempt, after=booking.attempt)
    save_position(connection, booking.position, at_ms=fill.fill_at_ms)
    move_cash(connection, fill.strategy_id, fill.account_id, cash_flow(fill), at_ms=fill.fill_at_ms)
    return Booked(attempt=booking.attempt, position=booking.position)


def positions(connection: Connection) -> tuple[Position, ...]:
    """Return every position ever held."""
    owner = (position.c.strategy_id, position.c.account_id, position.c.token_id)
    return tuple(position_of(row) for row in connection.execute(select(position).order_by(*owner)))


def _is_booked(connection: Connection, fill: ExecutionFill) -> bool:
    statement = select(execution_fill.c.id).where(
        execution_fill.c.account_id == fill.account_id, execution_fill.c.venue_trade_id == fill.venue_trade_id
    )
    return connection.execute(statement).first() is not None


def find_position(connection: Connection, owner: Owner) -> Position:
    """Return one position, an empty one if there is none."""
    strategy_id, account_id, token_id = owner
    row = connection.execute(
        select(position).where(
            position.c.strategy_id == strategy_id,
            position.c.account_id == account_id,
            position.c.token_id == token_id,
        )
    ).one_or_none()
    if row is None:
        return Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)
    return position_of(row)


def _fill_values(connection: Connection, fill: ExecutionFill, booking: Booking) -> Values:
    return {
        "id": fill.id,
        "attempt_id": fill.attempt_id,
        "strategy_id": fill.strategy_id,
        "account_id": fill.account_id,
        "venue_trade_id": fill.venue_trade_id,
        "token_id": fill.token_id,
        "side": fill.side,
        "filled_shares": fill.shares,
        "fill_price": fill.price,
        "fee_usdc": fill.fee_usdc,
        "notional_usdc": booking.notional_usdc,
        "realized_pnl_usdc": booking.realized_pnl_usdc,
        "liquidity": fill.liquidity,
        "settlement": fill.settlement,
        "fill_at": fill.fill_at_ms,
        "position_ordinal": next_ordinal(connection, (fill.strategy_id, fill.account_id, fill.token_id)),
    }


def next_ordinal(connection: Connection, owner: Owner) -> int:
    """Return the place of what moves a position next, after all executions and settlements of it."""
    strategy_id, account_id, token_id = owner
    newest = union_all(
        *(
            select(func.max(table.c.position_ordinal).label("ordinal")).where(
                table.c.strategy_id == strategy_id,
                table.c.account_id == account_id,
                table.c.token_id == token_id,
            )
            for table in (execution_fill, settlement)
        )
    ).subquery()
    return int(connection.execute(select(func.coalesce(func.max(newest.c.ordinal), -1) + 1)).scalar_one())


def save_position(connection: Connection, after: Position, *, at_ms: Millis) -> None:
    """Write a position over the stored one."""
    values = {**position_values(after), "updated_at": at_ms}
    statement = upsert(connection, position).values(values)
    moved = ("shares", "cost_usdc", "realized_pnl_usdc", "fees_usdc", "updated_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["strategy_id", "account_id", "token_id"],
            set_={name: statement.excluded[name] for name in moved},
        )
    )


def find_balance(connection: Connection, strategy_id: str, account_id: str) -> Balance:
    """Return a balance, an empty one if there is none."""
    stored = account_balance.c
    row = connection.execute(
        select(account_balance).where(stored.strategy_id == strategy_id, stored.account_id == account_id)
    ).one_or_none()
    return Balance(
        strategy_id=strategy_id,
        account_id=account_id,
        start_cash_usdc=row.start_cash_usdc if row else 0,
        cash_usdc=row.cash_usdc if row else 0,
    )


def save_balance(connection: Connection, after: Balance, *, at_ms: Millis) -> None:
    """Write a balance over the stored one; it is computed here, for SQLite adds doubles."""
    moved = {"start_cash_usdc": after.start_cash_usdc, "cash_usdc": after.cash_usdc, "updated_at": at_ms}
    statement = upsert(connection, account_balance).values(
        strategy_id=after.strategy_id, account_id=after.account_id, **moved
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["strategy_id", "account_id"], set_={name: statement.excluded[name] for name in moved}
        )
    )


def move_cash(connection: Connection, strategy_id: str, account_id: str, amount: Usdc, *, at_ms: Millis) -> None:
    """Add to the cash of an account."""
    before = find_balance(connection, strategy_id, account_id)
    save_balance(connection, replace(before, cash_usdc=before.cash_usdc + amount), at_ms=at_ms)
