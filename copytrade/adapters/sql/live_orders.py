"""Real orders: what was signed of them, and how far their trades have come on the way to the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, and_, insert, select, text, update

from copytrade.adapters.sql import accounts, attempts, events, kept_stakes
from copytrade.adapters.sql.executions import move_cash, save_position
from copytrade.adapters.sql.live_tables import live_order
from copytrade.adapters.sql.prepared import Prepared
from copytrade.adapters.sql.tables import IS_UNSETTLED, execution_attempt, execution_fill
from copytrade.domain.attempts import ExecutionFill, Liquidity, Settlement, advanced
from copytrade.domain.fills import Side
from copytrade.domain.positions import Position, cash_flow, refold
from copytrade.ports.ledger import Booked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from sqlalchemy import Dialect, Insert

    from copytrade.adapters.sql.executions import Owner
    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.orders import OrderType
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis, Usdc
    from copytrade.domain.venue_orders import VenueOrder


def _keep_order(_dialect: Dialect) -> Insert:
    return insert(live_order)


KEEP_ORDER: Final = Prepared(_keep_order)
"""Keep what will be signed; an order waits for this."""


def submit(
    connection: Connection,
    attempt_id: UUID,
    *,
    order_type: OrderType,
    order_hash: str,
    placed_at_ms: Millis,
    venue_order: VenueOrder,
) -> bool:
    """Move PENDING to SUBMITTED with all that will be signed; False as `attempts.submit`."""
    moved = attempts.submit(
        connection, attempt_id, order_type=order_type, order_hash=order_hash, placed_at_ms=placed_at_ms
    )
    if moved:
        KEEP_ORDER.run(
            connection,
            {
                "attempt_id": attempt_id,
                "order_hash": order_hash,
                "salt": venue_order.salt,
                "order_time": venue_order.timestamp_ms,
                "exchange_address": venue_order.exchange,
                "protocol": venue_order.protocol,
                "maker": venue_order.maker,
                "signer": venue_order.signer,
                "signature_type": int(venue_order.signature_type),
                "maker_amount": venue_order.maker_amount,
                "taker_amount": venue_order.taker_amount,
                "expiration": venue_order.expiration_s,
            },
        )
    return moved


def settle_execution(connection: Connection, told: ExecutionFill, at_ms: Millis) -> Booked | None:
    """Advance a stored execution; None if it is not stored or nothing is new.

    :raises OversoldError: what it bought was sold or settled already.
    """
    stored = next(iter(trades_of(connection, told.account_id, [told.venue_trade_id])), None)
    after = None if stored is None else advanced(stored, told)
    if stored is None or after is None:
        return None
    connection.execute(
        update(execution_fill)
        .where(execution_fill.c.id == stored.id)
        .values(settlement=after.settlement, fee_usdc=after.fee_usdc)
    )
    owner = (stored.strategy_id, stored.account_id, stored.token_id)
    position, realized = refold(_nothing(owner), _entries(connection, owner))
    _save_realized(connection, realized)
    save_position(connection, position, at_ms=at_ms)
    move_cash(connection, stored.strategy_id, stored.account_id, cash_flow(after) - cash_flow(stored), at_ms=at_ms)
    if after.settlement is Settlement.FAILED:
        kept_stakes.forget(connection, owner)
        events.note(connection, "TRADE_FAILED", after.told(), at_ms=at_ms)
    attempt = attempts.find(connection, stored.attempt_id)
    if attempt is None:
        raise LookupError(f"execution {stored.venue_trade_id} of unknown attempt {stored.attempt_id}")
    return Booked(attempt=attempt, position=position)


def unsettled_executions(connection: Connection) -> tuple[ExecutionFill, ...]:
    """Return what is neither confirmed nor failed, oldest first."""
    ordered = select(execution_fill).where(text(IS_UNSETTLED)).order_by(execution_fill.c.fill_at, execution_fill.c.id)
    return tuple(map(fill_of, connection.execute(ordered)))


def trades_of(connection: Connection, account_id: str, venue_trade_ids: Sequence[str]) -> tuple[ExecutionFill, ...]:
    """Return those of the executions that are stored."""
    fill = execution_fill.c
    known = select(execution_fill).where(fill.account_id == account_id, fill.venue_trade_id.in_(venue_trade_ids))
    return tuple(map(fill_of, connection.execute(known)))


def orders_since(connection: Connection, account_id: str, since_ms: Millis) -> tuple[ExecutionAttempt, ...]:
    """Return an account's attempts decided since then that became orders, oldest first."""
    attempt = execution_attempt.c
    # An attempt is stored right after it is decided, and its creation is what has an index.
    became_order = and_(
        attempt.created_at >= since_ms,
        attempt.decided_at >= since_ms,
        attempt.account_id == account_id,
        attempt.order_hash.is_not(None),
    )
    return tuple(attempts.select_where(connection, became_order))


def attempts_of_orders(connection: Connection, order_hashes: Collection[str]) -> tuple[ExecutionAttempt, ...]:
    """Return the attempts that became these orders."""
    return tuple(attempts.select_where(connection, execution_attempt.c.order_hash.in_(sorted(order_hashes))))


def fill_of(row: Any) -> ExecutionFill:
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


def _nothing(owner: Owner) -> Position:
    strategy_id, account_id, token_id = owner
    return Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)


def _entries(connection: Connection, owner: Owner) -> list[ExecutionFill | PositionSettlement]:
    """Return all that moved a position, in the order it was stored."""
    rows = connection.execute(select(execution_fill).where(*accounts.is_of(execution_fill, owner))).all()
    entries: list[tuple[int, ExecutionFill | PositionSettlement]] = [
        (row.position_ordinal, fill_of(row)) for row in rows
    ]
    entries += accounts.settled_in_order(connection, owner)
    return [entry for _, entry in sorted(entries, key=lambda one: one[0])]


def _save_realized(connection: Connection, realized: dict[UUID, Usdc]) -> None:
    """Write what each execution realised where that has changed: the average cost before it has."""
    fill = execution_fill.c
    for fill_id, amount in realized.items():
        connection.execute(
            update(execution_fill)
            .where(fill.id == fill_id, fill.realized_pnl_usdc != amount)
            .values(realized_pnl_usdc=amount)
        )
