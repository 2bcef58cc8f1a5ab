"""The worker with all three sources against a real sandbox: three witnesses, one fill, one attempt."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.processes import WorkerProcess, World, a_world, copytrade, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def test_a_fill_that_three_sources_report_is_one_fill_and_one_attempt(tmp_path: Path) -> None:
    database = tmp_path / "worker.db"
    with a_world("--seed", "5", "--block-ms", "500") as world:
        environment = world.environment(f"sqlite:///{database}", TRIGGER_MODE="all", DATA_API_POLL_INTERVAL_MS="500")
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("DECIDE", count=8)
        world.command("pause", paused=True)
        wait_until(lambda: _is_settled(world, database))
        assert worker.stop() == 0
        truth = Counter(
            (fill["tx_hash"], fill["log_index"]) for fill in world.control("fills") if _is_followed(fill, database)
        )
        status = json.loads(copytrade("status", "--json", environment=environment, folder=tmp_path).stdout)
        table = copytrade("status", environment=environment, folder=tmp_path).stdout

    stored = _rows(database, f"SELECT tx_hash, log_index FROM leader_fill f JOIN leader l ON {_FOLLOWED}")
    assert Counter((row["tx_hash"], row["log_index"]) for row in stored) == truth
    assert _rows(database, _NOT_ONE_ATTEMPT) == []
    assert len(_rows(database, _SEEN_BY_ALL)) >= 5
    race = {row["source"]: row for row in status["race"]}
    assert set(race) == {"polygon", "data_api", "rtds"}
    assert sum(row["first"] for row in race.values()) == len(stored)
    assert race["data_api"]["behind_first_p50_ms"] > 0
    assert "race of the sources" in table


def test_the_stream_alone_is_enough_to_copy_and_confirms_nothing(tmp_path: Path) -> None:
    database = tmp_path / "worker.db"
    with a_world("--seed", "6", "--block-ms", "500") as world:
        environment = world.environment(f"sqlite:///{database}", TRIGGER_MODE="rtds", POLYGON_HTTP_URL="")
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("DECIDE", count=3)
        world.command("drop", kind="rtds")
        worker.read_until("RECONNECTED")
        worker.read_until("DECIDE", count=3)
        assert worker.stop() == 0

    stored = _rows(database, "SELECT source, confirmed_at, log_index FROM leader_fill")
    assert len(stored) >= 6
    assert {(row["source"], row["confirmed_at"], row["log_index"]) for row in stored} == {("rtds", None, None)}
    assert _rows(database, _NOT_ONE_ATTEMPT + " AND attempts > 1") == []


_FOLLOWED = "l.id = f.leader_id AND strftime('%s', f.fill_ts) + 0 >= strftime('%s', l.followed_since) + 0"
_NOT_ONE_ATTEMPT = (
    f"SELECT f.tx_hash, count(a.id) AS attempts FROM leader_fill f JOIN leader l ON {_FOLLOWED}"
    " LEFT JOIN execution_attempt a ON a.leader_fill_id = f.id GROUP BY f.id HAVING count(a.id) <> 1"
)
_SEEN_BY_ALL = (
    "SELECT leader_fill_id FROM leader_fill_raw WHERE leader_fill_id IS NOT NULL"
    " GROUP BY leader_fill_id HAVING count(DISTINCT source) = 3"
)


def _is_settled(world: World, database: Path) -> bool:
    """Tell whether the chain is read to its end and the other two have told all that was decided."""
    newest = max(fill["block_number"] for fill in world.control("fills"))
    [cursor] = _rows(database, "SELECT last_processed_block AS last FROM polygon_cursor WHERE leader_address = '*'")
    return bool(
        cursor["last"] >= newest and not _rows(database, _NOT_ONE_ATTEMPT) and len(_rows(database, _SEEN_BY_ALL)) >= 5
    )


def _is_followed(fill: dict[str, Any], database: Path) -> bool:
    [leader] = _rows(
        database, "SELECT strftime('%s', followed_since) AS since FROM leader WHERE address = ?", fill["maker"]
    )
    return bool(fill["canonical"] and fill["timestamp"] >= int(leader["since"]))


def _rows(database: Path, statement: str, *values: Any) -> list[dict[str, Any]]:
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(statement, values)]
    finally:
        connection.close()
