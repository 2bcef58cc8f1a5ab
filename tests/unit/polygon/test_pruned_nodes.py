"""Nodes that have lost the past: what they lack is told, and their silence proves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from copytrade.adapters.polygon import dating
from copytrade.ports.leader_fills import Cursor
from tests.unit.polygon.fake_chain import FakeChain, tx
from tests.unit.polygon.raw_logs import STRANGER
from tests.unit.polygon.test_proof import TWO, Answer, two_nodes
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, since_block, virtual, watching

OLDEST = 100


@pytest.fixture(autouse=True)
def _short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dating, "YOUNG_BLOCKS", 20)
    monkeypatch.setattr(dating, "PROBE_BLOCKS", 50)


def a_busy_chain() -> FakeChain:
    """Return 300 blocks, each with an order of the leader and one of a stranger."""
    chain = a_chain(1)
    for at in range(2, 301):
        chain.mine(chain.fill(at), chain.fill(f"stranger {at}", maker=STRANGER))
    return chain


def no_headers(method: str, params: list[Any]) -> Any:
    if method == "eth_getBlockByNumber" and params[0].startswith("0x") and int(params[0], 16) < OLDEST:
        return {"result": None}
    return None


def no_logs(method: str, params: list[Any]) -> Any:
    if method == "eth_getLogs" and int(params[0].get("fromBlock", hex(OLDEST)), 16) < OLDEST:
        return {"error": {"code": -32000, "message": "History has been pruned for this block"}}
    return None


def silence(method: str, params: list[Any]) -> Any:
    if method != "eth_getLogs":
        return None
    is_old = int(params[0].get("fromBlock", hex(OLDEST)), 16) < OLDEST
    return {"result": []} if is_old or "blockHash" in params[0] else None


@pytest.mark.parametrize("fault", [no_headers, no_logs], ids=["no headers", "no logs"])
def test_history_is_read_from_the_first_block_that_is_kept_and_the_rest_is_told(fault: Answer):
    async def story() -> None:
        chain, kept = a_busy_chain(), Kept()
        chain.faults = fault
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(60)

        assert kept.transactions() == sorted(tx(at) for at in range(OLDEST, 301))
        assert [note.detail["from_block"] for note in kept.notes("HISTORY_PRUNED")] == [OLDEST]

    virtual(story)


@pytest.mark.parametrize("fault", [no_headers, no_logs], ids=["no headers", "no logs"])
def test_what_one_node_has_lost_is_asked_of_the_other(fault: Answer):
    async def story() -> None:
        chain, kept = a_busy_chain(), Kept()
        transport = two_nodes(chain, one=fault)
        async with watching(chain, Roll(since_block(20)), kept, http_urls=TWO, ws_urls=(), transport=transport):
            await asyncio.sleep(120)

        assert kept.transactions() == sorted(tx(at) for at in range(20, 301))
        assert kept.notes("HISTORY_PRUNED") == []

    virtual(story)


@pytest.mark.parametrize("probe", [50, 1_000], ids=["old chain", "young chain"])
def test_a_node_that_lags_has_lost_nothing(monkeypatch: pytest.MonkeyPatch, probe: int):
    monkeypatch.setattr(dating, "PROBE_BLOCKS", probe)

    async def story() -> None:
        chain, kept = a_busy_chain(), Kept()
        lagging = {"left": 5}

        def lag(method: str, params: list[Any]) -> Any:
            young = method == "eth_getBlockByNumber" and params[0].startswith("0x") and int(params[0], 16) > 295
            lagging["left"] -= young
            return {"result": None} if young and lagging["left"] >= 0 else None

        chain.faults = lag
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(120)

        assert kept.transactions() == sorted(tx(at) for at in range(20, 301))
        assert kept.notes("HISTORY_PRUNED") == []

    virtual(story)


def test_two_nodes_that_are_both_silent_about_what_they_lost_prove_no_range():
    async def story() -> None:
        chain, kept = a_busy_chain(), Kept()
        chain.mine_empty(200)
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=16, proved_block=16)
        transport = two_nodes(chain, one=silence, two=silence)
        async with watching(chain, Roll(since_block(480)), kept, http_urls=TWO, ws_urls=(), transport=transport):
            await asyncio.sleep(20)

        assert kept.at() == chain.head.number
        assert kept.cursors[GLOBAL].proved_block == 16

    virtual(story)


def test_a_chain_that_begins_after_a_leader_was_followed_is_read_from_its_beginning():
    async def story() -> None:
        chain, kept = a_busy_chain(), Kept()
        del chain.blocks[:290]
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(60)

        assert kept.transactions() == sorted(tx(at) for at in range(291, 301))
        assert [note.detail["from_block"] for note in kept.notes("HISTORY_PRUNED")] == [291]

    virtual(story)
