"""Databases with the schema in place, made once for all contract tests and emptied before each."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.sql import schema
from copytrade.ports.ledger import Ledger
from tests.ledgers import sql_ledger

ON_EVERY_DATABASE = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db"
    schema.upgrade(url)
    return url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[str]:
    name = f"copytrade_contract_{os.getpid()}_{secrets.token_hex(4)}"
    dsn = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name)))
        try:
            url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
            schema.upgrade(url)
            yield url
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(params=ON_EVERY_DATABASE)
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of a migrated database of each kind; it may hold what an earlier test left."""
    return str(request.getfixturevalue(f"migrated_{request.param}"))


@pytest.fixture(params=["memory", *ON_EVERY_DATABASE])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """Give each implementation in turn, empty."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    async with sql_ledger(request.getfixturevalue(f"migrated_{request.param}")) as opened:
        yield opened
