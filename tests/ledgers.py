"""The ledgers that the contract is held to, each opened empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Connection, text

from copytrade.adapters.sql.engine import Database, open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.tables import leader_roll, metadata


@asynccontextmanager
async def sql_database(url: str, *, empty: bool = True) -> AsyncIterator[Database]:
    """Open a migrated database, without what an earlier test left in it unless that is wanted."""
    async with open_database(url) as database:
        if empty:
            await database.write_alone(_empty)
        yield database


@asynccontextmanager
async def sql_ledger(url: str, *, empty: bool = True) -> AsyncIterator[SqlLedger]:
    async with sql_database(url, empty=empty) as database:
        yield SqlLedger(database)


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        if table is not leader_roll:
            connection.execute(table.delete())


def rows(connection: Connection, query: str) -> list[dict[str, object]]:
    """Return what a person gets who types this query."""
    return [dict(row) for row in connection.execute(text(query)).mappings()]
