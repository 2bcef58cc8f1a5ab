"""A tiny order end to end on a real node: its own `OrderFilled`, with the hash we signed, is in the node's blocks."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.evm import orders
from tests.evm.anvil import running_anvil
from tests.integration.live_world import KEY, WALLET, ready
from tests.integration.test_live_worker import SETTLED, UNSETTLED, compare, micro, rows_of
from tests.processes import WorkerProcess, World, a_world, copytrade, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

BLOCK_MS = 1_200
"""At least a second from block to block, for no two blocks of the node have the same time."""
PAST_S = 3_600
DEADLINE_S = 120.0
OUR_TRADES = (
    "SELECT a.order_hash, f.side, f.filled_shares, f.fee_usdc FROM execution_fill f "
    "JOIN execution_attempt a ON a.id = f.attempt_id WHERE f.settlement = 'confirmed'"
)
LEADERS_FILLS = "SELECT tx_hash, order_hash, maker FROM leader_fill WHERE orphaned_at IS NULL"
STREAM_TROUBLES = "SELECT code, detail FROM worker_event WHERE code LIKE 'USER_STREAM%'"
UNCONFIRMED = "SELECT 1 FROM leader_fill WHERE confirmed_at IS NULL AND orphaned_at IS NULL"


def test_a_tiny_order_is_on_the_node_as_it_is_in_the_ledger(tmp_path: Path) -> None:
    database = tmp_path / "worker.db"
    with (
        running_anvil(genesis_s=int(time.time()) - PAST_S) as node,
        a_world(
            *("--seed", "5", "--block-ms", str(BLOCK_MS)), program=("tests.evm.settling", f"http://{node.address}")
        ) as sandbox,
    ):
        world = on_node(sandbox, node.address)
        world.command("account", wallet=WALLET, collateral="1000")
        environment = ready(world, tmp_path, f"sqlite:///{database}")
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("DECIDE", count=2, deadline_s=DEADLINE_S)
        wait_until(lambda: len(rows_of(database, SETTLED)) >= 1, deadline_s=DEADLINE_S)
        world.command("pause", paused=True)
        wait_until(lambda: not rows_of(database, UNSETTLED), deadline_s=DEADLINE_S)
        wait_until(lambda: not rows_of(database, UNCONFIRMED), deadline_s=DEADLINE_S)
        assert worker.stop() == 0
        compare(world, database)
        assert rows_of(database, STREAM_TROUBLES) == [], "what was read was pushed too"
        on_chain(node.address, database)
        compared = copytrade("reconcile", environment=environment, folder=tmp_path)
        output = "".join(worker.lines) + (tmp_path / "worker.err").read_text("utf-8") + compared.stdout

    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert KEY[2:] not in output
    assert KEY[2:].encode() not in database.read_bytes()


def on_node(world: World, address: str) -> World:
    """Return the world with the chain of a node in place of its own."""
    return replace(
        world, urls=world.urls | {"POLYGON_HTTP_URL": f"http://{address}", "POLYGON_WS_URL": f"ws://{address}"}
    )


def on_chain(address: str, database: Path) -> None:
    """Hold the ledger to the node's own logs: our orders, and the leaders' fills they follow."""
    where = {"fromBlock": "0x0", "toBlock": "latest", "address": list(orders.LIVE), "topics": [[orders.FILLED]]}
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [where]}
    found = [orders.row(log) for log in httpx.post(f"http://{address}", json=request, timeout=60).json()["result"]]
    booked = rows_of(database, OUR_TRADES)
    assert booked
    ours: dict[str, Any] = {one.order_hash: one for one in found if one.maker == WALLET}
    assert set(ours) == {row["order_hash"] for row in booked}
    for order_hash, log in ours.items():
        logs = [one for one in found if one.order_hash == order_hash]
        trades = [row for row in booked if row["order_hash"] == order_hash]
        assert sum(one.shares for one in logs) == sum(micro(row["filled_shares"]) for row in trades)
        assert sum(one.fee or 0 for one in logs) == sum(micro(row["fee_usdc"]) for row in trades)
        assert {log.side} == {row["side"] for row in trades}
    followed = {tuple(row.values()) for row in rows_of(database, LEADERS_FILLS)}
    assert followed
    assert followed <= {(one.tx_hash, one.order_hash, one.maker) for one in found}
