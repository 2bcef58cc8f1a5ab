"""Migrations: up, down and up again on both databases, and the tables they leave."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, inspect, text

from copytrade.adapters.sql import schema, views
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.tables import metadata
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import LedgerUnavailableError, NoLedgerYetError, SchemaOutdatedError
from tests.ledgers import sql_database, sql_ledger
from tests.makers import NOW_MS, a_leader, a_market, a_sighting

VIEWS = {
    "trade",
    "attempt_summary",
    "pnl_by_leader",
    "pnl_by_day",
    "pnl_by_market",
    "pnl_by_category",
    "account_money",
}


def structure(url: str) -> dict[str, Any]:
    """Return all that the database knows about its tables, in no order."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        found = inspect(connection)
        return {
            table: {
                "columns": {
                    column["name"]: (str(column["type"]), column["nullable"], column["default"])
                    for column in found.get_columns(table)
                },
                "primary key": found.get_pk_constraint(table)["constrained_columns"],
                "foreign keys": sorted(
                    (str(key["name"]), key["constrained_columns"], key["referred_table"])
                    for key in found.get_foreign_keys(table)
                ),
                "unique": sorted(
                    (str(rule["name"]), rule["column_names"]) for rule in found.get_unique_constraints(table)
                ),
                "checks": sorted((str(rule["name"]), rule["sqltext"]) for rule in found.get_check_constraints(table)),
                "indexes": sorted(
                    (
                        str(index["name"]),
                        index["column_names"],
                        index["unique"],
                        {name: str(value) for name, value in index.get("dialect_options", {}).items()},
                    )
                    for index in found.get_indexes(table)
                ),
            }
            for table in found.get_table_names()
            if table != "alembic_version"
        }


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_a_leader_changed_by_hand_is_noticed(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db" if kind == "sqlite" else str(request.getfixturevalue("postgres_database"))
    schema.upgrade(url)
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        await ledger.add_leader(a_leader())
        for change in ("UPDATE leader SET copy_ratio = 2", "DELETE FROM leader"):
            before = await ledger.leaders_revision()
            await database.write(lambda connection, sql=change: connection.execute(text(sql)))
            assert await ledger.leaders_revision() != before


def views_of(url: str) -> set[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return set(inspect(connection).get_view_names())


def check_tables_are_what_migrations_make(migrated: str, created: str) -> None:
    schema.upgrade(migrated)
    engine = create_engine(created, poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()

    assert structure(migrated) == structure(created)


def test_on_sqlite_the_tables_are_what_the_migrations_make(tmp_path: Path) -> None:
    check_tables_are_what_migrations_make(f"sqlite:///{tmp_path}/m.db", f"sqlite:///{tmp_path}/c.db")


@pytest.mark.postgres
def test_on_postgres_the_tables_are_what_the_migrations_make(postgres_database: str) -> None:
    schema.upgrade(postgres_database)
    migrated = structure(postgres_database)
    schema.downgrade(postgres_database, to="base")
    engine = create_engine(postgres_database, poolclass=NullPool)
    metadata.create_all(engine)
    engine.dispose()

    assert migrated == structure(postgres_database)


async def check_up_down_up(url: str) -> None:
    assert schema.upgrade(url) == (None, schema.head())
    async with sql_ledger(url) as ledger:
        await ledger.add_leader(a_leader())
        await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=(a_sighting(),)), now_ms=NOW_MS)
        await ledger.save_markets([a_market()])
        await ledger.note("STARTED", {}, at_ms=NOW_MS)
    assert views_of(url) == VIEWS

    schema.downgrade(url, to="base")
    assert (structure(url), views_of(url), schema.current(url)) == ({}, set(), None)

    assert schema.upgrade(url) == (None, schema.head())
    assert schema.upgrade(url) == (schema.head(), schema.head())
    async with sql_ledger(url) as ledger:
        assert await ledger.add_leader(a_leader())


async def test_on_sqlite_migrations_go_up_down_and_up_again(tmp_path: Path) -> None:
    await check_up_down_up(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.postgres
async def test_on_postgres_migrations_go_up_down_and_up_again(postgres_database: str) -> None:
    await check_up_down_up(postgres_database)


async def check_each_step_keeps_the_rows(url: str) -> None:
    schema.upgrade(url)
    async with sql_ledger(url) as ledger:
        await ledger.add_leader(a_leader())

    schema.downgrade(url, to="-1")
    with pytest.raises(SchemaOutdatedError, match="run copytrade db upgrade"):
        schema.require_current(url)
    schema.upgrade(url)
    schema.require_current(url)

    async with sql_ledger(url, empty=False) as ledger:
        assert await ledger.leaders() == (a_leader(),)


async def test_a_step_back_and_forth_keeps_the_rows(tmp_path: Path) -> None:
    await check_each_step_keeps_the_rows(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.postgres
async def test_on_postgres_a_step_back_and_forth_keeps_the_rows(postgres_database: str) -> None:
    await check_each_step_keeps_the_rows(postgres_database)


def test_an_upgrade_that_fails_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE execution_fill (in_the_way integer)"))
    engine.dispose()

    with pytest.raises(LedgerUnavailableError, match="execution_fill already exists"):
        schema.upgrade(url)

    assert set(structure(url)) == {"execution_fill"}
    assert schema.current(url) is None


def test_the_views_read_as_they_are_declared(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        for view in VIEWS:
            made = {column["name"] for column in inspect(connection).get_columns(view)}
            assert set(getattr(views, view).c.keys()) <= made


def test_a_schema_is_asked_for_without_making_a_file(tmp_path: Path) -> None:
    path = tmp_path / "none.db"

    assert schema.current(f"sqlite:///{path}") is None
    assert not path.exists()
    for require in (schema.require_current, schema.require_file):
        with pytest.raises(NoLedgerYetError, match=r"no database here yet: there is no /.*/none\.db "):
            require(f"sqlite:///{path}")
    with pytest.raises(LedgerUnavailableError, match="there is no folder"):
        schema.require_file(f"sqlite:///{tmp_path}/slip/none.db")
    path.touch()
    with pytest.raises(SchemaOutdatedError, match=f"at nothing and {schema.head()} is needed"):
        schema.require_current(f"sqlite:///{path}")


def test_a_schema_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    for ask in (schema.require_current, schema.upgrade):
        with pytest.raises(SchemaOutdatedError, match="9999, which this version"):
            ask(url)


def test_the_schema_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert schema.upgrade("sqlite:///here.db") == (None, schema.head())
    assert (tmp_path / "here.db").exists()
