"""Nodes that lag, lie, or talk nonsense: the cursor waits and the second read decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from copytrade.ports.leader_fills import Cursor
from tests.unit.polygon.fake_chain import FakeChain, tx
from tests.unit.polygon.raw_logs import STRANGER, data_v2
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, since_block, virtual, watching


def test_an_empty_answer_for_a_block_that_has_the_log_is_asked_for_again():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        lies = {"left": 1}

        def lie_once(method: str, params: list[Any]) -> Any:
            if method == "eth_getLogs" and params[0].get("blockHash") == chain.head.block_hash and lies["left"]:
                lies["left"] -= 1
                return {"result": []}
            return None

        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.mine(chain.fill("one"))
            chain.faults = lie_once
            await asyncio.sleep(1.5)

            assert lies["left"] == 0
            assert kept.transactions() == [tx("one")]

    virtual(story)


def test_a_node_that_keeps_lying_is_contradicted_by_what_was_pushed():
    async def story() -> None:
        chain, kept = a_chain(), Kept()

        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            chain.faults = lambda method, params: {"result": []} if method == "eth_getLogs" else None
            block = chain.mine(chain.fill("one"))
            await asyncio.sleep(0.3)

            assert kept.at() == block.number - 1
            assert kept.transactions() == [tx("one")]

            chain.faults = lambda method, params: None
            await asyncio.sleep(5)
            assert (kept.at(), kept.transactions()) == (block.number, [tx("one")])

    virtual(story)


def test_a_node_without_the_block_does_not_move_the_cursor():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        lag = {"blocks": 3}

        def behind(method: str, params: list[Any]) -> Any:
            if method != "eth_getLogs":
                return None
            known = {block.block_hash for block in chain.blocks[: len(chain.blocks) - lag["blocks"]]}
            if "blockHash" in params[0] and params[0]["blockHash"] not in known:
                return {"error": {"code": -32000, "message": "unknown block"}}
            return None

        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.faults = behind
            chain.mine(chain.fill("one"))
            await asyncio.sleep(5)
            assert kept.at() == 20
            lag["blocks"] = 0
            await asyncio.sleep(35)

            assert (kept.at(), kept.transactions()) == (21, [tx("one")])

    virtual(story)


def test_logs_of_another_block_are_refused_whole():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        foreign = chain.fill("foreign") | {"blockNumber": hex(21), "blockHash": tx("elsewhere")}
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.faults = lambda method, params: {"result": [foreign]} if method == "eth_getLogs" else None
            chain.mine()
            await asyncio.sleep(5)

            assert (kept.at(), kept.transactions()) == (20, [])

    virtual(story)


def test_a_log_that_only_the_second_read_has_is_adopted_and_told():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        hidden = tx("late")
        reads = {"left": 2}

        def hide_twice(method: str, params: list[Any]) -> Any:
            if method != "eth_getLogs" or params[0].get("blockHash") != chain.by_name(hex(21)).block_hash:
                return None
            if not reads["left"]:
                return None
            reads["left"] -= 1
            answer = chain.logs(params[0])
            return {"result": [log for log in answer["result"] if log["transactionHash"] != hidden]}

        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.mine(chain.fill("one"), chain.fill("late"))
            chain.faults = hide_twice
            await asyncio.sleep(1.5)
            reads["left"] = 0
            assert kept.transactions() == [tx("one")]
            chain.mine_empty(6)
            await asyncio.sleep(3.3)

            assert kept.transactions() == sorted([tx("one"), hidden])
            assert len(kept.notes("LATE_LOGS")) == 1

    virtual(story)


def test_what_makes_no_sense_is_quarantined_and_the_source_lives():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            chain.sockets[0].push_text("{not json" + "x" * 10_000)
            chain.sockets[0].push_text("[]")
            chain.sockets[0].push({"subscription": "0x2", "result": {"topics": ["0x00"]}})
            chain.mine(chain.fill("odd", data="0x12"), chain.fill("fine"))
            await asyncio.sleep(2.3)

            reasons = {note.detail["reason"] for note in kept.notes("QUARANTINED")}
            assert reasons == {"not-json", "not-a-notification", "address", "length"}
            assert all(len(str(note.detail["payload"])) <= 4096 for note in kept.notes("QUARANTINED"))
            assert kept.transactions() == [tx("fine")]
            assert kept.at() == chain.head.number

    virtual(story)


def test_a_flood_of_nonsense_is_counted_not_written():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            for _ in range(5_000):
                chain.sockets[0].push_text("?")
            await asyncio.sleep(2.3)

            assert len(kept.notes("QUARANTINED")) == 30

    virtual(story)


def garbled(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return logs whose data is cut off, as a node that stumbles gives them."""
    return [log | {"data": log["data"][:-3]} for log in answers]


def garbling(chain: FakeChain, left: dict[str, int], *, with_receipts: bool) -> Callable[[str, list[Any]], Any]:
    """Return a fault that garbles so many answers that hold logs, of a node that may keep no receipts."""

    def garble(method: str, params: list[Any]) -> Any:
        if "Receipt" in method and not with_receipts:
            return {"error": {"code": -32601, "message": "the method does not exist"}}
        if method != "eth_getLogs" or not left["times"] or not (logs := chain.logs(params[0]).get("result")):
            return None
        left["times"] -= 1
        return {"result": garbled(logs)}

    return garble


@pytest.mark.parametrize(("times", "with_receipts"), [(1, True), (2, True), (1, False), (2, False), (5, False)])
def test_a_log_that_some_answers_garble_is_taken_from_the_next_one(times, with_receipts):
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        left = {"times": times}

        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.faults = garbling(chain, left, with_receipts=with_receipts)
            block = chain.mine(chain.fill("one"))
            for _ in range(12):
                await asyncio.sleep(2)
                chain.mine()
            await asyncio.sleep(2)

            assert left["times"] == 0
            assert kept.transactions() == [tx("one")]
            assert {note.detail["reason"] for note in kept.notes("QUARANTINED")} == {"length"}
            assert (kept.cursors[GLOBAL].proved_block or 0) >= block.number

    virtual(story)


@pytest.mark.parametrize("with_receipts", [True, False])
def test_a_log_that_nobody_can_read_is_refused_and_holds_up_no_proof(with_receipts):
    async def story() -> None:
        chain, kept = a_chain(), Kept()

        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.faults = garbling(chain, {"times": 0}, with_receipts=with_receipts)
            block = chain.mine(chain.fill("none", data=data_v2(given=0)), chain.fill("one"))
            for _ in range(20):
                await asyncio.sleep(2)
                chain.mine()
            await asyncio.sleep(2)

            assert kept.transactions() == [tx("one")]
            assert {note.detail["reason"] for note in kept.notes("QUARANTINED")} == {"zero-amount"}
            assert len(kept.notes("DISAGREEMENT")) == (0 if with_receipts else 1)
            assert (kept.cursors[GLOBAL].proved_block or 0) > block.number

    virtual(story)


def test_a_newcomers_log_that_the_only_node_leaves_out_is_in_the_receipts():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        block = chain.mine(chain.fill("one"), chain.fill("of somebody else", maker=STRANGER))
        for _ in range(6):
            chain.mine()

        def leave_out(method: str, params: list[Any]) -> Any:
            if method != "eth_getLogs":
                return None
            logs = chain.logs(params[0]).get("result", [])
            return {"result": [log for log in logs if log["transactionHash"] != tx("one")]}

        chain.faults = leave_out
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=block.number, proved_block=block.number)
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(10)

            assert kept.transactions() == [tx("one")]

    virtual(story)


def test_a_log_that_one_of_two_nodes_garbles_in_a_range_is_taken_from_the_other():
    async def story() -> None:
        chain, kept = a_chain(blocks=100), Kept()
        block = chain.mine(chain.fill("one"))
        chain.mine_empty(100)
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=90, proved_block=90)

        async def respond(request: httpx.Request) -> httpx.Response:
            answer = await chain.respond(request)
            told = answer.json()
            if request.url.host == "first.test" and isinstance(told.get("result"), list):
                told["result"] = garbled(told["result"])
            return httpx.Response(200, json=told)

        urls = ("https://first.test", "https://second.test")
        transport = httpx.MockTransport(respond)
        async with watching(chain, Roll(since_block(80)), kept, ws_urls=(), http_urls=urls, transport=transport):
            await asyncio.sleep(20)

            assert kept.transactions() == [tx("one")]
            assert (kept.cursors[GLOBAL].proved_block or 0) < block.number

    virtual(story)
