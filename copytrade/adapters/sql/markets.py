"""The registry as last synced."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, func, select, union

from copytrade.adapters.sql.rows import Values, market_of, market_values, token_values
from copytrade.adapters.sql.statements import insert
from copytrade.adapters.sql.tables import leader_fill, market_registry, market_token, position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis


def save_markets(connection: Connection, markets: Sequence[Market]) -> None:
    """Insert or update markets, then their tokens; the last of several for one market wins."""
    latest = {market.condition_id: market for market in markets}.values()
    _upsert(connection, market_registry, "condition_id", [market_values(market) for market in latest])
    tokens = {values["token_id"]: values for market in latest for values in token_values(market)}
    _upsert(connection, market_token, "token_id", list(tokens.values()))


def all_markets(connection: Connection) -> tuple[Market, ...]:
    """Return every market by condition, its tokens in outcome order."""
    tokens: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(select(market_token).order_by(market_token.c.outcome_index)):
        tokens[row.condition_id].append(row)
    rows = connection.execute(select(market_registry).order_by(market_registry.c.condition_id))
    return tuple(market_of(row, tokens[row.condition_id]) for row in rows)


def recent_tokens(connection: Connection, *, since_ms: Millis) -> tuple[str, ...]:
    """Return tokens leaders traded since then and tokens we hold."""
    traded = select(leader_fill.c.token_id).where(leader_fill.c.fill_ts >= since_ms)
    held = select(position.c.token_id).where(position.c.shares > 0)
    return tuple(connection.execute(union(traded, held)).scalars())


def _upsert(connection: Connection, table: Table, key: str, rows: list[Values]) -> None:
    """Write rows over the stored ones, in one order for all writers; known payouts are not forgotten."""
    if not rows:
        return
    rows.sort(key=lambda values: str(values[key]))
    statement = insert(connection, table)
    given: dict[str, ColumnElement[Any]] = {name: statement.excluded[name] for name in rows[0] if name != key}
    if "payouts" in given:
        given["payouts"] = func.coalesce(statement.excluded.payouts, table.c.payouts)
    connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=given), rows)
