"""Executions and the positions they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select

from copytrade.adapters.sql import attempts
from copytrade.adapters.sql.rows import Values, position_of, position_values
from copytrade.adapters.sql.statements import insert as upsert
from copytrade.adapters.sql.tables import execution_fill, position
from copytrade.domain.booking import ImpossibleExecutionError, book
from copytrade.domain.positions import Position
from copytrade.ports.ledger import Booked

if TYPE_CHECKING:
    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.booking import Booking
    from copytrade.domain.units import Millis


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
    booking = book(attempt, _position(connection, fill), fill)
    connection.execute(insert(execution_fill).values(_fill_values(connection, fill, booking)))
    if booking.attempt != attempt:
        attempts.change(connection, before=attempt, after=booking.attempt)
    _save_position(connection, booking.position, at_ms=fill.fill_at_ms)
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


def _position(connection: Connection, fill: ExecutionFill) -> Position:
    row = connection.execute(
        select(position).where(
            position.c.strategy_id == fill.strategy_id,
            position.c.account_id == fill.account_id,
            position.c.token_id == fill.token_id,
        )
    ).one_or_none()
    if row is None:
        return Position(strategy_id=fill.strategy_id, account_id=fill.account_id, token_id=fill.token_id)
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
        "position_ordinal": _next_ordinal(connection, fill),
    }


def _next_ordinal(connection: Connection, fill: ExecutionFill) -> int:
    statement = select(func.coalesce(func.max(execution_fill.c.position_ordinal), -1) + 1).where(
        execution_fill.c.strategy_id == fill.strategy_id,
        execution_fill.c.account_id == fill.account_id,
        execution_fill.c.token_id == fill.token_id,
    )
    return int(connection.execute(statement).scalar_one())


def _save_position(connection: Connection, after: Position, *, at_ms: Millis) -> None:
    values = {**position_values(after), "updated_at": at_ms}
    statement = upsert(connection, position).values(values)
    moved = ("shares", "cost_usdc", "realized_pnl_usdc", "fees_usdc", "updated_at")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["strategy_id", "account_id", "token_id"],
            set_={name: statement.excluded[name] for name in moved},
        )
    )
