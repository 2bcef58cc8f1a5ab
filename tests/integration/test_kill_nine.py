"""The worker may die at any moment: the next start misses nothing and repeats nothing."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from copytrade.domain.attempts import Reason, reason
from copytrade.domain.units import MICRO
from tests.copying import waiting_by_reasons
from tests.processes import WorkerProcess, World, a_world, copytrade, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

DEATHS = ("STARTED", "FILL ", "DECIDE  TRADE", "FILLED", "ENDED", "SEEN", "DECIDE")
"""The last thing each life says before it is killed."""


def test_killed_at_every_stage_it_misses_no_fill_and_repeats_none(tmp_path: Path) -> None:
    database = tmp_path / "worker.db"
    with a_world("--seed", "11", "--block-ms", "500") as world:
        environment = world.environment(f"sqlite:///{database}", POLYGON_POLL_INTERVAL_MS="300")
        for last_words in DEATHS:
            worker = WorkerProcess(environment, tmp_path)
            worker.read_until(last_words)
            worker.kill()
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("ENDED", count=8)
        world.command("pause", paused=True)
        wait_until(lambda: _is_settled(world, database))
        assert worker.stop() == 0
        fills = world.control("fills")

    stored = _rows(database, "SELECT tx_hash, log_index, block_number FROM leader_fill")
    first = min(row["block_number"] for row in stored)
    truth = [
        (fill["tx_hash"], fill["log_index"]) for fill in fills if fill["canonical"] and fill["block_number"] >= first
    ]
    assert len(truth) > len(DEATHS)
    assert Counter((row["tx_hash"], row["log_index"]) for row in stored) == Counter(truth)
    _assert_one_attempt_each(database)
    _assert_executions_add_up(database)
    _assert_what_waits_adds_up(database)


def test_killed_while_it_reads_the_past_and_while_blocks_are_replaced_it_ends_with_what_the_chain_holds(
    tmp_path: Path,
) -> None:
    database = tmp_path / "worker.db"
    with a_world("--manual", "--seed", "12", "--block-ms", "0") as world:
        more = {"POLYGON_POLL_INTERVAL_MS": "200", "TRIGGER_MODE": "polygon", "LEADERS": ""}
        environment = world.environment(f"sqlite:///{database}", **more)
        leader = world.leaders[0]["address"]
        words = ("leaders", "add", leader, "--since", "1h", "--unchecked")
        added = copytrade(*words, environment=environment, folder=tmp_path)
        assert added.returncode == 0, added.stderr
        for _ in range(40):
            _trade(world, leader)
        world.command("mine", count=80)
        world.command("lag", range=5)
        for fills_read in (1, 6, 6):
            worker = WorkerProcess(environment, tmp_path)
            worker.read_until("FILL ", count=fills_read)
            worker.kill()
        for fate in ("dropped", "moved"):
            worker = WorkerProcess(environment, tmp_path)
            worker.read_until("HISTORY_READ" if fate == "dropped" else "STARTED")
            _trade(world, leader)
            worker.read_until("FILL ")
            world.command("reorg", depth=1, fate=fate)
            worker.read_until("REORG")
            worker.kill()
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("STARTED")
        world.command("mine", count=5)
        fills = [fill for fill in world.control("fills") if fill["canonical"] and fill["maker"] == leader]
        wait_until(lambda: len(_standing(database)) >= len(fills) and _is_read_to(world, database))
        assert worker.stop() == 0

    assert len(fills) == 41
    assert Counter(_standing(database)) == Counter((fill["tx_hash"], fill["log_index"]) for fill in fills)
    assert _rows(database, "SELECT count(*) AS n FROM leader_fill") == [{"n": 42}]
    _assert_executions_add_up(database)


def _standing(database: Path) -> list[tuple[str, int]]:
    rows = _rows(database, "SELECT tx_hash, log_index FROM leader_fill WHERE orphaned_at IS NULL")
    return [(row["tx_hash"], row["log_index"]) for row in rows]


def _trade(world: World, leader: str) -> None:
    token = world.control("markets")[0]["tokens"][0]
    world.command("post", leader=leader, token=token, side="BUY", size="25", price="0.4", role="maker", mine=True)


def _is_settled(world: World, database: Path) -> bool:
    """Tell whether the worker has read every block so far, and every order has ended."""
    busy = _rows(database, "SELECT 1 FROM execution_attempt WHERE status IN ('PENDING', 'SUBMITTED', 'PARTIAL')")
    return _is_read_to(world, database) and not busy and not _undecided(database)


def _is_read_to(world: World, database: Path) -> bool:
    cursors = _rows(database, "SELECT * FROM polygon_cursor WHERE leader_address = '*' AND exchange_address = '*'")
    newest = max(fill["block_number"] for fill in world.control("fills"))
    return bool(cursors[0]["last_processed_block"] >= newest)


def _assert_one_attempt_each(database: Path) -> None:
    assert _undecided(database) == []


def _undecided(database: Path) -> list[dict[str, Any]]:
    """Return the fills to be copied that have no attempt, or more than one."""
    return _rows(
        database,
        "SELECT f.tx_hash, count(a.id) AS attempts FROM leader_fill f JOIN leader l ON l.id = f.leader_id"
        " LEFT JOIN execution_attempt a ON a.leader_fill_id = f.id"
        " WHERE strftime('%s', f.fill_ts) + 0 >= strftime('%s', l.followed_since) + 0"
        " GROUP BY f.id HAVING count(a.id) <> 1",
    )


def _assert_executions_add_up(database: Path) -> None:
    over = _rows(
        database,
        "SELECT attempt_id FROM attempt_summary WHERE filled_shares > size_shares_target"
        " UNION ALL SELECT p.token_id FROM position p WHERE abs(p.shares - (SELECT total(CASE a.side WHEN 'BUY'"
        " THEN f.filled_shares ELSE -f.filled_shares END) FROM execution_fill f JOIN execution_attempt a"
        " ON a.id = f.attempt_id WHERE a.token_id = p.token_id) + (SELECT coalesce(sum(CASE s.kind"
        " WHEN 'migration_in' THEN -s.shares ELSE s.shares END), 0) FROM settlement s"
        " WHERE s.token_id = p.token_id)) > 0.0000005",
    )
    assert over == []


def _assert_what_waits_adds_up(database: Path) -> None:
    """What waits for further fills is what the reasons of the attempts say of it."""
    said: dict[tuple[str, str], list[list[Reason]]] = defaultdict(list)
    for row in _rows(
        database,
        "SELECT f.leader_id, a.token_id, a.decision_reason FROM execution_attempt a"
        " JOIN leader_fill f ON f.id = a.leader_fill_id",
    ):
        reasons = [reason(**one) for one in json.loads(row["decision_reason"])]
        said[row["leader_id"], row["token_id"]].append(reasons)
    kept = {(row["leader_id"], row["token_id"]): row["shares"] for row in _rows(database, "SELECT * FROM carry")}
    for key, reasons_of_each in said.items():
        assert waiting_by_reasons(reasons_of_each) == round(kept.get(key, 0) * MICRO)


def _rows(database: Path, statement: str, *values: Any) -> list[dict[str, Any]]:
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(statement, values)]
    finally:
        connection.close()
