"""A tiny order end to end: the worker in live mode and a sandbox, two processes and real sockets between them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.live_world import KEY, WALLET, ready
from tests.processes import WorkerProcess, World, a_world, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

SETTLED = "SELECT 1 FROM execution_fill WHERE settlement = 'confirmed'"
UNSETTLED = "SELECT 1 FROM execution_fill WHERE settlement NOT IN ('confirmed', 'failed')"


def test_a_tiny_order_is_signed_posted_matched_seen_settled_and_in_the_position(tmp_path: Path) -> None:
    database = tmp_path / "worker.db"
    with a_world("--seed", "5", "--block-ms", "500") as world:
        world.command("account", wallet=WALLET, collateral="1000")
        environment = ready(world, tmp_path, f"sqlite:///{database}")
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("DECIDE", count=4)
        wait_until(lambda: len(rows_of(database, SETTLED)) >= 2)
        _dumps_no_core(worker.pid)
        world.command("pause", paused=True)
        wait_until(lambda: not rows_of(database, UNSETTLED))
        assert worker.stop() == 0
        compare(world, database)
        output = "".join(worker.lines) + (tmp_path / "worker.err").read_text("utf-8")

    assert KEY[2:] not in output
    assert KEY[2:].encode() not in database.read_bytes()


def _dumps_no_core(pid: int) -> None:
    """Look at a process that holds a key as the system sees it."""
    limits = Path(f"/proc/{pid}/limits")
    if limits.exists():
        (line,) = (one for one in limits.read_text().splitlines() if one.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"]


def compare(world: World, database: Path) -> None:
    """Hold the ledger to the venue's own record and to the chain."""
    posts = [post for post in world.control("posts") if post["outcome"] not in {"", "lost on the way"}]
    sent = {row["order_hash"] for row in rows_of(database, "SELECT order_hash FROM live_order")}
    assert {post["order_id"] for post in posts} == sent
    logs = [fill for fill in world.control("fills?all=true") if fill["order_hash"] in sent]
    booked = rows_of(
        database,
        "SELECT a.order_hash, f.side, f.filled_shares, f.fee_usdc FROM execution_fill f "
        "JOIN execution_attempt a ON a.id = f.attempt_id WHERE f.settlement = 'confirmed'",
    )
    assert logs
    assert Counter((log["order_hash"], _shares(log), log["fee"]) for log in logs) == Counter(
        (row["order_hash"], micro(row["filled_shares"]), micro(row["fee_usdc"])) for row in booked
    )
    held = {row["token_id"]: micro(row["shares"]) for row in rows_of(database, "SELECT * FROM position")}
    (account,) = (one for one in world.control("accounts") if one["wallet"] == WALLET)
    assert {token: shares for token, shares in held.items() if shares} == account["shares"]
    (cash,) = rows_of(database, "SELECT * FROM account_balance WHERE account_id LIKE 'live-%'")
    assert micro(cash["start_cash_usdc"]) == 1_000 * 10**6
    # An average price is kept with six decimals: each share of a fill may be told half a millionth off.
    off_by_price = sum(micro(row["filled_shares"]) for row in booked) // (2 * 10**6)
    assert abs(micro(cash["cash_usdc"]) - account["collateral"]) <= off_by_price + len(booked)


def _shares(log: dict[str, Any]) -> int:
    return int(log["taker_amount"] if log["side"] == "BUY" else log["maker_amount"])


def micro(value: float) -> int:
    return round(value * 10**6)


def rows_of(database: Path, query: str) -> list[dict[str, Any]]:
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]
