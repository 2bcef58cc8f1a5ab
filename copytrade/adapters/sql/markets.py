"""The registry as last synced."""

from __future__ import annotations

from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Table, delete, func, or_, select, union

from copytrade.adapters.sql.rows import Values, market_of, market_values, token_values
from copytrade.adapters.sql.statements import insert
from copytrade.adapters.sql.tables import leader_fill, market_registry, market_token, position, registry_sync
from copytrade.ports.markets import RegistrySync

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Select

    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis

OPEN_MARKETS: Final = "open"
ROWS_AT_ONCE: Final = 1_000
"""Rows are made into markets as they come: a hundred thousand of them are never in memory beside the markets."""


def save_markets(connection: Connection, markets: Sequence[Market]) -> None:
    """Insert or update markets, then their tokens; the last of several for one market wins."""
    latest = {market.condition_id: market for market in markets}.values()
    _upsert(connection, market_registry, "condition_id", [market_values(market) for market in latest])
    tokens = {values["token_id"]: values for market in latest for values in token_values(market)}
    _upsert(connection, market_token, "token_id", list(tokens.values()))


def all_markets(connection: Connection, *, settled_since_ms: Millis | None = None) -> tuple[Market, ...]:
    """Return markets by condition, their tokens in outcome order: every one, or those not settled before an instant."""
    by_market = select(market_token).order_by(market_token.c.condition_id, market_token.c.outcome_index)
    every = select(market_registry).order_by(market_registry.c.condition_id)
    if settled_since_ms is not None:
        matters = _matters(settled_since_ms)
        every = every.where(matters)
        conditions = select(market_registry.c.condition_id).where(matters)
        by_market = by_market.where(market_token.c.condition_id.in_(conditions))
    markets, tokens = (chain.from_iterable(_chunks(connection, rows)) for rows in (every, by_market))
    return tuple(_together(markets, groupby(tokens, key=attrgetter("condition_id"))))


def _matters(settled_since_ms: Millis) -> ColumnElement[bool]:
    held = select(market_token.c.condition_id).join(position, position.c.token_id == market_token.c.token_id)
    return or_(
        market_registry.c.closed.is_(False),
        market_registry.c.payouts.is_(None),
        market_registry.c.updated_at >= settled_since_ms,
        market_registry.c.condition_id.in_(held.where(position.c.shares > 0)),
    )


def _chunks(connection: Connection, rows: Select[Any]) -> Iterator[Sequence[Any]]:
    return connection.execute(rows, execution_options={"yield_per": ROWS_AT_ONCE}).partitions()


def _together(markets: Iterable[Any], tokens: Iterator[tuple[str, Iterator[Any]]]) -> Iterator[Market]:
    """Meet each market with its tokens; both come by condition, and some markets have none."""
    condition_id, group = next(tokens, ("", iter(())))
    for row in markets:
        if row.condition_id != condition_id:
            yield market_of(row, ())
            continue
        yield market_of(row, group)
        condition_id, group = next(tokens, ("", iter(())))


def save_sync(connection: Connection, sync: RegistrySync | None) -> None:
    """Keep the sync that is under way, or that none is."""
    if sync is None:
        connection.execute(delete(registry_sync))
        return
    row: Values = {
        "listing": OPEN_MARKETS,
        "cursor": sync.cursor,
        "started_at": sync.started_at_ms,
        "pages": sync.pages,
        "markets": sync.markets,
    }
    _upsert(connection, registry_sync, "listing", [row])


def find_sync(connection: Connection) -> RegistrySync | None:
    """Return the sync that is under way."""
    row = connection.execute(select(registry_sync).where(registry_sync.c.listing == OPEN_MARKETS)).one_or_none()
    if row is None:
        return None
    return RegistrySync(cursor=row.cursor, started_at_ms=row.started_at, pages=row.pages, markets=row.markets)


def recent_tokens(connection: Connection, *, since_ms: Millis) -> tuple[str, ...]:
    """Return tokens leaders traded since then and tokens we hold."""
    traded = select(leader_fill.c.token_id).where(leader_fill.c.fill_ts >= since_ms)
    held = select(position.c.token_id).where(position.c.shares > 0)
    return tuple(connection.execute(union(traded, held)).scalars())


def unlisted_tokens(connection: Connection, *, after: str, limit: int) -> tuple[str, ...]:
    """Return tokens of fills and positions that no market has, in order."""
    traded, held = (select(table.c.token_id).where(table.c.token_id > after) for table in (leader_fill, position))
    named = union(traded, held).subquery()
    listed = select(market_token.c.token_id).where(market_token.c.token_id == named.c.token_id).exists()
    statement = select(named.c.token_id).where(~listed).order_by(named.c.token_id).limit(limit)
    return tuple(connection.execute(statement).scalars())


def _upsert(connection: Connection, table: Table, key: str, rows: list[Values]) -> None:
    """Write rows over the stored ones, in one order for all writers; payouts once recorded stay."""
    if not rows:
        return
    rows.sort(key=lambda values: str(values[key]))
    statement = insert(connection, table)
    given: dict[str, ColumnElement[Any]] = {name: statement.excluded[name] for name in rows[0] if name != key}
    if "payouts" in given:
        given["payouts"] = func.coalesce(table.c.payouts, statement.excluded.payouts)
    connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=given), rows)
