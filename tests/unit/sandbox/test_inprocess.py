"""Without sockets, the venue runs on virtual time and repeats itself exactly."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from copytrade.sandbox.server import SandboxConfig, serve_in_process
from tests.virtual_time import run_virtual

START_MS = 1_795_000_000_000
CONFIG = SandboxConfig(seed=11, start_ms=START_MS, history_blocks=5, filler_markets=0)


async def _session() -> list[str]:
    async with serve_in_process(CONFIG) as (venue, world):
        tokens = [str(token) for market in world.exchange.catalogue.all() for token in market.tokens]
        market, chain = venue.connect("/ws/market"), venue.connect("/rpc")
        market.send_to_venue(json.dumps({"type": "market", "assets_ids": tokens}))
        for at, kind in enumerate(("newHeads", "logs")):
            request = {"jsonrpc": "2.0", "id": at, "method": "eth_subscribe", "params": [kind, {}]}
            chain.send_to_venue(json.dumps(request))
        heard = [await market.receive() for _ in range(150)] + [await chain.receive() for _ in range(60)]
        answer = await venue.request("GET", "/data/v2/trades?taker_only=false&limit=50")
        return [*heard, answer.body.decode()]


def test_the_same_seed_sends_the_same_bytes_at_the_same_times():
    first = run_virtual(_session, epoch_ms=START_MS)
    second = run_virtual(_session, epoch_ms=START_MS)

    assert first == second
    assert len(json.loads(first[-1])["data"]) > 5


async def _dropped() -> None:
    async with serve_in_process(CONFIG) as (venue, _):
        socket = venue.connect("/rpc")
        answer = await venue.request("POST", "/control/drop", b'{"kind": "chain", "refuse": 503}')
        assert json.loads(answer.body) == {"dropped": 1}
        with pytest.raises(EOFError):
            await socket.receive()
        with pytest.raises(ConnectionRefusedError):
            venue.connect("/rpc")
        refused = await venue.request("GET", "/data/v2/trades?limit=0")
        assert refused.status == 400


def test_nothing_that_starts_a_sandbox_loads_the_curve():
    code = "import sys, copytrade.sandbox.command; sys.exit('coincurve' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0


def test_a_dropped_connection_ends_and_a_refused_one_does_not_begin():
    run_virtual(_dropped, epoch_ms=START_MS)
