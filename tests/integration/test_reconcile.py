"""`reconcile` against the sandbox, over real sockets: it names everything that was tampered with, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from copytrade.adapters.sql import schema
from tests.makers import OTHER
from tests.processes import WorkerProcess, a_world, clean_environment, copytrade, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

IDLE = """
SELECT f.id FROM leader_fill f JOIN execution_attempt a ON a.leader_fill_id = f.id
WHERE f.confirmed_at IS NOT NULL AND a.status = 'SKIPPED' ORDER BY f.fill_ts, f.id
"""


FIRST_OF_EACH = """
SELECT tx_hash FROM (
    SELECT tx_hash, row_number() OVER (PARTITION BY leader_id ORDER BY fill_ts, block_number NULLS LAST, log_index) AS n
    FROM leader_fill WHERE token_id = ? AND orphaned_at IS NULL
) WHERE n = 1
"""
MADE_UP = "0x" + "99" * 32


def reconciled(environment: dict[str, str], folder: Path, *words: str) -> tuple[int, Any, str]:
    ended = copytrade("reconcile", *words, "--json", environment=environment, folder=folder)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else None, ended.stderr


def told(found: Any) -> Counter[tuple[str, str | None]]:
    """Count what is said, but for fills of the last seconds: no worker runs that would store them."""
    late = {("missing_fill", "pending"), ("missing_trade", "pending")}
    return Counter(
        (one["kind"], one["tx_hash"]) for one in found["differences"] if (one["kind"], one["severity"]) not in late
    )


def asked(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def tamper(path: Path) -> Counter[tuple[str, str | None]]:
    """Break the ledger in every way that can be told from outside; return what must be said of it."""
    with closing(sqlite3.connect(path)) as database, database:
        unmapped, lost, forgotten, doubled = (row[0] for row in database.execute(IDLE).fetchmany(4))
        tx = dict(database.execute("SELECT id, tx_hash FROM leader_fill").fetchall())
        for table, column in (
            ("execution_attempt", "leader_fill_id"),
            ("leader_fill_raw", "leader_fill_id"),
            ("leader_fill", "id"),
        ):
            database.execute(f"DELETE FROM {table} WHERE {column} = ?", (lost,))
        database.execute("DELETE FROM execution_attempt WHERE leader_fill_id = ?", (forgotten,))
        store_again(database, doubled, tx_hash=tx[doubled])
        store_again(database, doubled, tx_hash=MADE_UP)
        (token,) = database.execute("SELECT token_id FROM leader_fill WHERE id = ?", (unmapped,)).fetchone()
        database.execute("DELETE FROM market_token WHERE token_id = ?", (token,))
        holders = database.execute(FIRST_OF_EACH, (token,)).fetchall()
        database.execute(
            "UPDATE position SET shares = shares + 1 WHERE token_id = (SELECT min(token_id) FROM position)"
        )
        database.execute("UPDATE proved_range SET to_block = to_block - 3, proved_at = '2020-01-01 00:00:00.000'")
    return Counter(
        {
            ("missing_fill", tx[lost]): 1,
            ("undecided_fill", tx[forgotten]): 1,
            ("duplicate_fill", tx[doubled]): 1,
            ("extra_fill", MADE_UP): 1,
            ("position_mismatch", None): 1,
            ("missing_blocks", None): 1,
        }
    ) + Counter(("unmapped_token", row[0]) for row in holders)


def store_again(database: sqlite3.Connection, fill: str, **changes: str) -> None:
    """Store a fill again as only an API could have told it, with its report and its attempt."""
    new = str(uuid4())
    no_log = dict.fromkeys(
        ("block_number", "block_hash", "log_index", "order_hash", "exchange_address", "confirmed_at")
    )
    for table, column, changed in (
        ("leader_fill", "id", {"id": new, "dedupe_key": new, **no_log, **changes}),
        ("leader_fill_raw", "leader_fill_id", {"id": new, "leader_fill_id": new, "source_key": new}),
        ("execution_attempt", "leader_fill_id", {"id": new, "leader_fill_id": new}),
    ):
        cursor = database.execute(f"SELECT * FROM {table} WHERE {column} = ? LIMIT 1", (fill,))
        row = dict(zip([one[0] for one in cursor.description], cursor.fetchone(), strict=True)) | changed
        database.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
        )


def test_everything_that_was_tampered_with_is_named_and_repaired_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with a_world("--block-ms", "100") as world:
        environment = world.environment(f"sqlite:///{path}")
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("FILLED", count=1)
        assert copytrade("halt", "enough is held", environment=environment, folder=tmp_path).returncode == 0
        wait_until(lambda: len(asked(path, IDLE)) >= 4)
        worker.stop()
        code, found, said = reconciled(environment, tmp_path)
        assert (code, said, found["ok"], told(found)) == (0, "", True, Counter()), found
        assert {one["severity"] for one in found["differences"]} <= {"pending"}
        assert sum(day["ledger"] for leader in found["leaders"] for day in leader["days"]) > 4

        expected = tamper(path)
        code, found, _ = reconciled(environment, tmp_path)
        assert (code, found["ok"]) == (1, False)
        assert told(found) == expected

        code, found, _ = reconciled(environment, tmp_path, "--repair")
        assert (code, told(found)) == (0, Counter()), found
        assert len(found["repaired"]["done"]) == 7, found["repaired"]
        before = asked(path, "SELECT count(*), sum(orphaned_at IS NULL), sum(awaits_decision) FROM leader_fill")
        address = found["leaders"][0]["address"]
        code, found, _ = reconciled(environment, tmp_path, "--repair", "--leader", address)
        assert (code, "repaired" in found) == (0, False)
        assert [leader["address"] for leader in found["leaders"]] == [address]
        assert asked(path, "SELECT count(*), sum(orphaned_at IS NULL), sum(awaits_decision) FROM leader_fill") == before


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        ((), {}, "POLYGON_HTTP_URL is not set"),
        (("--day", "2020-01-01"), {"POLYGON_HTTP_URL": "http://127.0.0.1:9"}, "POLYGON_HTTP_URL: "),
        (("--leader", OTHER), {"POLYGON_HTTP_URL": "http://127.0.0.1:9"}, "is no leader of ours"),
        (("--day", "yesterday"), {}, "is no day"),
    ],
)
def test_wrong_use_exits_2_with_a_reason(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    schema.upgrade(f"sqlite:///{tmp_path}/empty.db")
    environment = clean_environment() | {"DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"} | variables

    ended = copytrade("reconcile", *words, environment=environment, folder=tmp_path)

    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.split())
