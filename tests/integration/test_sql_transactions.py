"""Nothing is ever half done: every write, broken off at every statement, on both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.tables import metadata
from copytrade.domain.attempts import AttemptStatus, reason
from copytrade.domain.fills import Side, Source
from copytrade.ports.leader_fills import ChainConfirmed, Cursor, CursorScope, FillsRemoved, FillsSeen, LogRef
from tests.ledger_facts import BLOCK_B, a_log, a_row, a_submitted, an_attempt, an_execution
from tests.ledgers import sql_database
from tests.makers import LEADER, NOW_MS, OTHER, a_leader, a_market
from tests.statements import heard

Write = Callable[[SqlLedger], Awaitable[Any]]


class BrokenOffError(Exception):
    """The process dies here, as far as the database can tell."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = (
        f"sqlite:///{tmp_path}/ledger.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_database"))
    )
    schema.upgrade(database)
    return database


@contextmanager
def broken_off_at(statement: int) -> Iterator[list[str]]:
    """Break off at the n-th statement inside a transaction from now, from 0; give what was executed."""
    executed: list[str] = []

    def count(_connection: Connection, sql: str, _parameters: object) -> None:
        if sql.startswith("BEGIN"):
            return
        executed.append(sql)
        if len(executed) > statement:
            raise BrokenOffError

    with heard(count):
        yield executed


def everything(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
        for table in metadata.sorted_tables
    }


async def prepared(ledger: SqlLedger) -> dict[str, Write]:
    """Return every kind of write, each with something to change."""
    await ledger.add_leader(a_leader())
    await ledger.add_leader(a_leader(address=OTHER))
    await ledger.remove_leader(OTHER)
    buy = await a_submitted(ledger, tx="01")
    await ledger.book_execution(an_execution(buy))
    sell = await a_submitted(ledger, tx="02", side=Side.SELL)
    seen = FillsSeen(source=Source.POLYGON, sightings=(a_log(7), a_log(9, size="20"), a_log(11, tx_hash="0x03")))
    first, second, third = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    pending = an_attempt(first)
    await ledger.record_attempt(pending)
    cursor = Cursor(scope=CursorScope(), last_processed_block=200, proved_block=None)
    await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor), now_ms=NOW_MS)
    moved = {"block": BLOCK_B, "number": 101}
    batch = FillsSeen(
        source=Source.POLYGON,
        sightings=(a_log(9, **moved), a_log(7, size="20", **moved), a_log(1, tx_hash="0x04")),
        cursor=Cursor(scope=CursorScope(), last_processed_block=300, proved_block=250),
    )
    rows = FillsSeen(source=Source.DATA_API, sightings=(a_row(0), a_row(1, tx_hash="0x05")))
    gone = FillsRemoved(
        logs=tuple(
            LogRef(block_hash=place.block_hash, tx_hash=recorded.fill.tx_hash, log_index=place.log_index)
            for recorded in (first, second)
            if (place := recorded.fill.place)
        ),
        rewind_to=90,
    )
    return {
        "add": lambda changed: changed.add_leader(a_leader(address=OTHER, label="again")),
        "remove": lambda changed: changed.remove_leader(LEADER),
        "ingest logs": lambda changed: changed.ingest(batch, now_ms=NOW_MS),
        "ingest rows": lambda changed: changed.ingest(rows, now_ms=NOW_MS),
        "orphan": lambda changed: changed.orphan(gone, now_ms=NOW_MS),
        "confirm": lambda changed: changed.confirm(ChainConfirmed(block_number=500, at_ms=NOW_MS)),
        "record": lambda changed: changed.record_attempt(an_attempt(third)),
        "submit": lambda changed: changed.submit_attempt(pending.id, order_hash="0x", placed_at_ms=NOW_MS),
        "book a buy": lambda changed: changed.book_execution(an_execution(buy, trade="t2", shares="60")),
        "book a sell": lambda changed: changed.book_execution(an_execution(sell, trade="t3", shares="5")),
        "close": lambda changed: changed.close_attempt(
            buy.id, status=AttemptStatus.CANCELED, reason=reason("EXPIRED"), at_ms=NOW_MS
        ),
        "save": lambda changed: changed.save_markets([a_market()]),
        "note": lambda changed: changed.note("X", {}, at_ms=NOW_MS),
    }


KINDS = [
    *("add", "remove", "ingest logs", "ingest rows", "orphan", "confirm", "record", "submit"),
    *("book a buy", "book a sell", "close", "save", "note"),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_write_broken_off_at_any_statement_leaves_nothing(url: str, kind: str) -> None:
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        writes = await prepared(ledger)
        assert sorted(writes) == sorted(KINDS)
        before = await database.read(everything)

        statements = 0
        while True:
            with broken_off_at(statements) as executed:
                try:
                    await writes[kind](ledger)
                except BrokenOffError:
                    assert len(executed) == statements + 1
                else:
                    break
            assert await database.read(everything) == before, f"after {executed}"
            statements += 1

        assert statements >= 1
        assert await database.read(everything) != before
