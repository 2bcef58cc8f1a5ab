"""The worker over real sockets against books and trades that the test sets itself."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.processes import WorkerProcess, World, a_world, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

Outcome = list[tuple[Any, ...]]


def test_the_same_script_gives_the_same_executions_and_each_fill_comes_from_both_sources(tmp_path: Path) -> None:
    first = _play(tmp_path / "first")
    second = _play(tmp_path / "second")

    assert first == second
    assert first == [
        ("BUY", 30.0, 0.5, 0.30002, "taker"),
        ("BUY", 20.0, 0.51, 0.19994, "taker"),
        ("SELL", 25.0, 0.49, 0.2499, "taker"),
    ]


def _play(folder: Path) -> Outcome:
    folder.mkdir()
    database = folder / "worker.db"
    with a_world("--manual", "--seed", "3", "--block-ms", "300") as world:
        world.command("market", slug="scripted", tick="0.01", fee_rate="0.04")
        token = next(market for market in world.control("markets") if market["slug"] == "scripted")["tokens"][0]
        leader = world.leaders[0]["address"]
        worker = WorkerProcess(world.environment(f"sqlite:///{database}", DATA_API_POLL_INTERVAL_MS="300"), folder)
        worker.read_until("STARTED")
        world.command("book", token=token, bids=[["0.48", "100"]], asks=[["0.50", "30"], ["0.51", "100"]])
        _trade(world, leader, token=token, side="BUY", size="50", price="0.50", role="taker")
        worker.read_until("ENDED")
        world.command("book", token=token, bids=[["0.49", "100"]], asks=[["0.51", "100"]])
        _trade(world, leader, token=token, side="SELL", size="25", price="0.49", role="maker")
        worker.read_until("ENDED")
        wait_until(lambda: _both_sources_saw_both(database))
        assert worker.stop() == 0
    assert _rows(database, "SELECT count(*), count(confirmed_at) > 0 FROM leader_fill") == [(2, 1)]
    assert _rows(database, "SELECT leader_role FROM leader_fill ORDER BY block_number") == [("taker",), ("maker",)]
    assert _rows(database, "SELECT count(*), count(DISTINCT leader_fill_id) FROM execution_attempt") == [(2, 2)]
    return _rows(
        database,
        "SELECT a.side, f.filled_shares, f.fill_price, f.fee_usdc, f.liquidity FROM execution_fill f"
        " JOIN execution_attempt a ON a.id = f.attempt_id ORDER BY f.fill_at, f.fill_price",
    )


def _trade(world: World, leader: str, **trade: str) -> None:
    world.command("post", leader=leader, match="direct", **trade)


def _both_sources_saw_both(database: Path) -> bool:
    seen = _rows(
        database,
        "SELECT leader_fill_id FROM leader_fill_raw WHERE leader_fill_id IS NOT NULL"
        " GROUP BY leader_fill_id HAVING count(DISTINCT source) = 2",
    )
    return len(seen) == len(("the buy", "the sell"))


def _rows(database: Path, statement: str) -> Outcome:
    connection = sqlite3.connect(database)
    try:
        return [tuple(row) for row in connection.execute(statement)]
    finally:
        connection.close()
