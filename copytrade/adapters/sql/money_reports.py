"""What people ask of the money: accounts, positions with what they would bring, PnL by this and that."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from copytrade.adapters.sql.money_tables import equity_point, token_mark
from copytrade.adapters.sql.plain import PlainRow, plain, plain_rows
from copytrade.adapters.sql.rows import payouts_of
from copytrade.adapters.sql.tables import market_registry, market_token, position
from copytrade.adapters.sql.views import account_money, pnl_by_category, pnl_by_market
from copytrade.domain.units import format_micro, notional_down

if TYPE_CHECKING:
    from copytrade.domain.units import Price

WAITING: Final = frozenset({"proposed", "disputed"})
"""The venue's words for a resolution that is under way."""


def accounts(connection: Connection) -> list[PlainRow]:
    """Return `account_money`, each with what it was worth when it was last valued, None before the first time."""
    newest = select(equity_point.c.account_id, func.max(equity_point.c.at).label("at")).group_by(
        equity_point.c.account_id
    )
    last = newest.subquery()
    points = plain_rows(
        connection,
        select(equity_point).join(
            last, (equity_point.c.account_id == last.c.account_id) & (equity_point.c.at == last.c.at)
        ),
    )
    by_account = {point["account_id"]: point for point in points}
    rows = plain_rows(
        connection, select(account_money).order_by(account_money.c.strategy_id, account_money.c.account_id)
    )
    return [row | {"last_valued": by_account.get(row["account_id"])} for row in rows]


def positions(connection: Connection, *, open_only: bool = False) -> list[PlainRow]:
    """Return positions with their market, open ones first: what each is marked at, and what state its market is in."""
    market, token = market_registry.c, market_token.c
    statement = (
        select(
            position,
            market.title,
            token.outcome,
            market.closed,
            market.resolution_status,
            market.payouts,
            token.outcome_index,
            token_mark.c.price,
            token_mark.c.marked_at,
        )
        .outerjoin_from(position, market_token, token.token_id == position.c.token_id)
        .outerjoin(market_registry, market.condition_id == token.condition_id)
        .outerjoin(token_mark, token_mark.c.token_id == position.c.token_id)
        .order_by((position.c.shares > 0).desc(), market.title, position.c.token_id)
    )
    if open_only:
        statement = statement.where(position.c.shares > 0)
    columns = list(statement.selected_columns)
    return [_position(row, plain(row, columns)) for row in connection.execute(statement)]


def states(connection: Connection) -> dict[str, int]:
    """Return how many open positions are in each state."""
    return dict(sorted(Counter(row["state"] for row in positions(connection, open_only=True)).items()))


def by_market(connection: Connection) -> list[PlainRow]:
    """Return `pnl_by_market`, best first."""
    view = pnl_by_market.c
    return plain_rows(connection, select(pnl_by_market).order_by(view.net_pnl_usdc.desc(), view.condition_id))


def by_category(connection: Connection) -> list[PlainRow]:
    """Return `pnl_by_category`, best first."""
    view = pnl_by_category.c
    return plain_rows(connection, select(pnl_by_category).order_by(view.net_pnl_usdc.desc(), view.category))


def _position(row: Any, shown: PlainRow) -> PlainRow:
    payouts = payouts_of(row.payouts)
    for name in ("closed", "resolution_status", "payouts", "outcome_index", "price"):
        del shown[name]
    value = None if row.price is None or not row.shares else notional_down(row.shares, row.price)
    return shown | {
        "state": _state(row, payouts),
        "mark": None if value is None else format_micro(row.price),
        "marked_at": None if value is None else shown["marked_at"],
        "value_usdc": None if value is None else format_micro(value),
        "unrealized_pnl_usdc": None if value is None else format_micro(value - row.cost_usdc),
    }


def _state(row: Any, payouts: tuple[Price, ...] | None) -> str:
    """Say what an open position waits for: most for a trade, some for the resolution of their market."""
    if not row.shares:
        return "closed"
    if row.closed is None:
        return "unmapped"
    if payouts is not None:
        return "resolved"
    if row.resolution_status in WAITING:
        return str(row.resolution_status)
    return "awaiting payouts" if row.closed else "open"
