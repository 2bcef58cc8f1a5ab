"""The queries of the hot path find their rows by index, however much history there is."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.tables import IS_OPEN
from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import ChainConfirmed, FillsConfirmed, FillsRemoved, FillsSeen, LogRef
from tests.ledger_facts import a_log, a_row, a_submitted, an_attribution, an_execution
from tests.ledgers import sql_ledger
from tests.makers import LEADER, NOW_MS, YES, a_leader

Statement = tuple[str, Any]
GROWING = (
    *("leader_fill_raw", "leader_fill", "execution_attempt", "execution_fill", "leader_event"),
    *("attempt_attribution", "fill_markout"),
)
FULL_SCAN = re.compile(
    rf"SCAN ({'|'.join(GROWING)})(?! USING (COVERING )?INDEX ix_\w+_(undecided|open|unconfirmed|created_at|unresolved))"
)


@contextmanager
def listened() -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    def keep(_connection: Connection, _cursor: object, sql: str, parameters: Any, _context: object, many: bool) -> None:
        if sql.startswith(("SELECT", "UPDATE")):
            statements.append((sql, parameters[0] if many else parameters))

    event.listen(Engine, "after_cursor_execute", keep)
    try:
        yield statements
    finally:
        event.remove(Engine, "after_cursor_execute", keep)


def scans(path: Path, statements: list[Statement]) -> list[str]:
    """Return the steps of SQLite's plans that read a growing table from end to end."""
    connection = sqlite3.connect(path)
    steps = [
        f"{step} in {sql}"
        for sql, parameters in statements
        for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
    ]
    connection.close()
    return [step for step in steps if FULL_SCAN.match(step)]


async def test_no_query_of_the_hot_path_reads_a_whole_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    log = a_log(7)
    refs = (LogRef(block_hash="0x", tx_hash=log.fill.tx_hash, log_index=7),)
    async with sql_ledger(url) as ledger:
        with listened() as statements:
            await ledger.add_leader(a_leader())
            await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=(log,)), now_ms=NOW_MS)
            await ledger.ingest(FillsSeen(source=Source.DATA_API, sightings=(a_row(),)), now_ms=NOW_MS)
            attempt = await a_submitted(ledger, tx="01")
            await ledger.book_execution(an_execution(attempt))
            await ledger.close_attempt(attempt.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS)
            await ledger.orphan(FillsRemoved(logs=refs), now_ms=NOW_MS)
            await ledger.confirm(ChainConfirmed(block_number=1, at_ms=NOW_MS))
            await ledger.confirm(FillsConfirmed(source=Source.RTDS, source_keys=("a", "b"), at_ms=NOW_MS))
            await ledger.undecided(limit=10)
            await ledger.open_attempts()
            await ledger.fill(attempt.leader_fill_id)
            await ledger.recent_tokens(since_ms=NOW_MS)
            await ledger.fills_of(LEADER, YES, since_ms=NOW_MS)
            await ledger.leader_events_of(LEADER)
            await ledger.keep_attributions([an_attribution(attempt)], now_ms=NOW_MS)
            await ledger.attributions_of([attempt.id])
            await ledger.prices_followed([attempt.id])
            await ledger.executions_of([attempt.id])
            await ledger.unattributed(newest=10)
            await ledger.marks_of([attempt.id])
            await ledger.unmarked(newest=10)
            await ledger.open_marks(limit=10)
            await ledger.mark_resolved(limit=10)
            await ledger.copied_moves("copy", "paper", since_ms=NOW_MS)
            await ledger.copied_attempts("copy", "paper", since_ms=NOW_MS)
            await ledger.day_figures("copy", "paper", from_ms=NOW_MS, to_ms=NOW_MS + 86_400_000)

    assert len(statements) > 20
    assert scans(tmp_path / "ledger.db", statements) == []


def test_a_whole_table_would_be_noticed(tmp_path: Path) -> None:
    schema.upgrade(f"sqlite:///{tmp_path}/ledger.db")

    found = scans(tmp_path / "ledger.db", [("SELECT * FROM leader_fill WHERE maker = ?", ("0x",))])

    assert found == ["SCAN leader_fill in SELECT * FROM leader_fill WHERE maker = ?"]


def test_the_open_statuses_of_the_index_are_those_of_the_domain() -> None:
    assert set(re.findall(r"'(\w+)'", IS_OPEN)) == {status.value for status in OPEN_STATUSES}


@pytest.mark.postgres
async def test_on_postgres_open_work_is_found_by_its_index(postgres_database: str) -> None:
    schema.upgrade(postgres_database)
    async with sql_ledger(postgres_database) as ledger:
        with listened() as statements:
            await ledger.undecided(limit=10)
            await ledger.open_attempts()
        plans = await ledger._database.read(lambda connection: [_plan(connection, *one) for one in statements])

    assert "ix_leader_fill_undecided" in plans[0]
    assert "ix_execution_attempt_open" in plans[1]


def _plan(connection: Connection, sql: str, parameters: Any) -> str:
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", parameters))
