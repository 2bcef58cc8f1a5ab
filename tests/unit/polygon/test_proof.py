"""What counts as proof that blocks were read completely, and what never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from copytrade.adapters.polygon.proof import RECEIPTS_BURST, RECEIPTS_EVERY_MS
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsRemoved, ProofMethod
from tests.makers import a_leader
from tests.unit.polygon.fake_chain import FakeChain, tx
from tests.unit.polygon.raw_logs import LEADER, STRANGER
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, since_block, virtual, watching

TWO = ("https://one.test", "https://two.test")
Answer = Callable[[str, list[Any]], Any]


def two_nodes(chain: FakeChain, **faults: Answer) -> httpx.MockTransport:
    """Serve a chain from two hosts; a host's fault answers in its stead."""

    async def respond(request: httpx.Request) -> httpx.Response:
        call = json.loads(request.content)
        method, params = call["method"], call["params"]
        fault = faults.get(str(request.url.host).split(".")[0], lambda _method, _params: None)
        return httpx.Response(200, json={"id": 1} | (fault(method, params) or chain.answer(method, params)))

    return httpx.MockTransport(respond)


def empty_logs(method: str, _params: list[Any]) -> Any:
    return {"result": []} if method == "eth_getLogs" else None


def pruned(method: str, params: list[Any]) -> Any:
    return {"result": None} if method == "eth_getBlockReceipts" else empty_logs(method, params)


def refusal() -> dict[str, Any]:
    return {"error": {"code": -32601, "message": "the method is not available"}}


def own(log: dict[str, Any]) -> bool:
    return LEADER[2:] in str(log["topics"][2])


def no_bloom(chain: FakeChain) -> Answer:
    """Tell headers whose bloom excludes nothing."""

    def answer(method: str, params: list[Any]) -> Any:
        if method != "eth_getBlockByNumber":
            return None
        header = chain.answer(method, params)["result"]
        return {"result": header and header | {"logsBloom": "0x" + "ff" * 256}}

    return answer


async def some_blocks(chain: FakeChain, count: int = 20) -> None:
    for _ in range(count):
        chain.mine()
        await asyncio.sleep(1.5)


def test_two_providers_prove_blocks_with_and_without_fills():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept, http_urls=TWO, transport=two_nodes(chain)):
            await some_blocks(chain, 3)
            chain.mine(chain.fill("one"))
            await some_blocks(chain)

        assert {one.is_single_source for one in kept.proved} == {False}
        assert set().union(*(one.methods for one in kept.proved)) == {ProofMethod.BLOOM, ProofMethod.SECOND_PROVIDER}
        blocks = [block for one in kept.proved for block in range(one.from_block, one.to_block + 1)]
        assert blocks == list(range(blocks[0], blocks[-1] + 1))
        assert kept.cursors[GLOBAL].proved_block == blocks[-1] >= chain.head.number - 8

    virtual(story)


def test_one_provider_proves_by_bloom_and_receipts_and_says_so():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await some_blocks(chain, 3)
            chain.mine(chain.fill("one"))
            await some_blocks(chain)

        assert {one.is_single_source for one in kept.proved} == {True}
        assert set().union(*(one.methods for one in kept.proved)) == {ProofMethod.BLOOM, ProofMethod.RECEIPTS}
        proved = kept.cursors[GLOBAL].proved_block
        assert proved is not None
        assert proved >= chain.head.number - 8

    virtual(story)


@pytest.mark.parametrize("gap", [0, 300])
def test_silence_of_a_pruned_node_proves_nothing(gap):
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=16, proved_block=16)
        chain.mine_empty(gap)
        chain.mine(chain.fill("unseen"))
        bloomless = no_bloom(chain)
        chain.faults = lambda method, params: bloomless(method, params) or pruned(method, params)
        async with watching(chain, Roll(since_block(16)), kept, ws_urls=()):
            await some_blocks(chain)

        assert kept.at() == chain.head.number
        assert kept.cursors[GLOBAL].proved_block == 16
        assert kept.proved == []

    virtual(story)


def test_a_node_that_hides_a_leaders_logs_is_found_out_by_a_wider_read():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        chain.mine(chain.fill("hidden"), chain.fill("other", maker=STRANGER, taker=LEADER))

        def hide(method: str, params: list[Any]) -> Any:
            return {"result": []} if method == "eth_getLogs" and len(params[0]["topics"]) > 1 else None

        chain.faults = hide
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await some_blocks(chain)

        assert kept.transactions() == [tx("hidden")]
        assert kept.notes("LATE_LOGS")

    virtual(story)


def test_receipts_that_come_one_by_one_prove_a_block_too():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        chain.faults = lambda method, _params: refusal() if method == "eth_getBlockReceipts" else None
        async with watching(chain, Roll(since_block(20)), kept):
            chain.mine(*(chain.fill(at) for at in range(40)))
            await some_blocks(chain)

        assert set().union(*(one.methods for one in kept.proved)) == {ProofMethod.BLOOM, ProofMethod.RECEIPTS}

    virtual(story)


def test_the_only_node_proves_no_silence_where_it_shows_no_receipts():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        bloomless = no_bloom(chain)
        chain.faults = lambda method, params: refusal() if "Receipt" in method else bloomless(method, params)
        async with watching(chain, Roll(since_block(20)), kept):
            for at in range(3):
                chain.mine(chain.fill(at), chain.fill("another", maker=STRANGER))
                await asyncio.sleep(1.5)
            silent = chain.mine(chain.fill("a stranger", maker=STRANGER))
            await some_blocks(chain)

        # A block of no transactions has the root of no receipts.
        methods = {method for one in kept.proved for method in one.methods}
        assert methods == {ProofMethod.SECOND_READ, ProofMethod.RECEIPTS}
        assert kept.cursors[GLOBAL].proved_block == silent.number - 1
        assert [note.detail["block"] for note in kept.notes("DISAGREEMENT")] == [silent.number]

    virtual(story)


def test_receipts_that_are_not_those_of_the_header_prove_nothing():
    async def story() -> None:
        chain, kept = a_chain(), Kept()

        def hide_everywhere(method: str, params: list[Any]) -> Any:
            if method == "eth_getBlockReceipts":
                answer = chain.answer(method, params)
                return {
                    "result": [one | {"logs": [log for log in one["logs"] if not own(log)]} for one in answer["result"]]
                }
            answer = chain.answer(method, params)
            return {"result": [log for log in answer["result"] if not own(log)]} if method == "eth_getLogs" else None

        chain.faults = hide_everywhere
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            hidden = chain.mine(chain.fill("hidden"), chain.fill("other", maker=STRANGER))
            await some_blocks(chain)
            assert kept.cursors[GLOBAL].proved_block == hidden.number - 1
            assert len(kept.notes("DISAGREEMENT")) == 1

            chain.faults = lambda method, _params: None
            await some_blocks(chain)
            proved = kept.cursors[GLOBAL].proved_block

        assert kept.transactions() == [tx("hidden")]
        assert proved is not None
        assert proved > hidden.number

    virtual(story)


def test_a_node_that_leaves_blooms_out_proves_nothing_by_them():
    async def story() -> None:
        chain, kept = a_chain(), Kept()

        def blank(method: str, params: list[Any]) -> Any:
            answer = chain.answer(method, params)
            fields = {"logsBloom": "0x" + "00" * 256, "transactionsRoot": tx("some")}
            return {"result": answer["result"] and answer["result"] | fields} if "BlockByNumber" in method else None

        chain.faults = lambda method, params: empty_logs(method, params) or blank(method, params)
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            chain.mine(chain.fill("hidden"))
            await some_blocks(chain)

        assert kept.transactions() == [tx("hidden")]
        assert {method for one in kept.proved for method in one.methods} == {ProofMethod.RECEIPTS}

    virtual(story)


def test_the_receipts_of_few_blocks_are_asked_for_at_a_time():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        chain.faults = no_bloom(chain)
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2)
            chain.mine_empty(80)
            await asyncio.sleep(10)

        due = 12_000 // RECEIPTS_EVERY_MS
        assert due < chain.calls["eth_getBlockReceipts"] <= due + RECEIPTS_BURST

    virtual(story)


def test_a_second_provider_that_lies_stops_the_proof_and_not_the_cursor():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        transport = two_nodes(chain, two=empty_logs)
        async with watching(chain, Roll(since_block(20)), kept, http_urls=TWO, transport=transport):
            await some_blocks(chain, 3)
            block = chain.mine(chain.fill("one"))
            await some_blocks(chain)

        assert kept.at() == chain.head.number
        assert kept.cursors[GLOBAL].proved_block == block.number - 1
        assert kept.transactions() == [tx("one")]

    virtual(story)


def test_a_range_that_the_second_provider_does_not_reach_is_not_proved():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=16, proved_block=16)
        chain.mine_empty(300)

        def behind(method: str, params: list[Any]) -> Any:
            if method == "eth_getBlockByNumber" and params[0].startswith("0x") and int(params[0], 16) > 20:
                return {"result": None}
            return empty_logs(method, params)

        transport = two_nodes(chain, two=behind)
        async with watching(chain, Roll(since_block(310)), kept, http_urls=TWO, ws_urls=(), transport=transport):
            await asyncio.sleep(20)

        assert kept.at() == chain.head.number
        assert kept.cursors[GLOBAL].proved_block == 16

    virtual(story)


def test_a_fill_whose_block_vanished_while_nobody_looked_is_taken_back_before_it_counts_as_final():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await some_blocks(chain, 3)
            chain.mine(chain.fill("gone"), chain.fill("moved"))
            await asyncio.sleep(1.3)
        assert kept.transactions() == sorted([tx("gone"), tx("moved")])

        chain.reorg(1)
        chain.mine(chain.fill("moved"))
        chain.mine_empty(200)
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(5)

        assert kept.transactions() == [tx("moved")]
        assert kept.final > 24

    virtual(story)


def test_a_vanished_fill_of_someone_followed_no_more_is_taken_back_too():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await some_blocks(chain, 3)
            chain.mine(chain.fill("gone"))
            chain.mine(chain.fill("stays"))
            await asyncio.sleep(1.3)
        chain.reorg(2)
        chain.mine()
        chain.mine_empty(10)
        kept.standing.pop(next(ref for ref in kept.standing if ref.tx_hash == tx("stays")))
        async with watching(chain, Roll(a_leader(address=STRANGER)), kept):
            await asyncio.sleep(5)

        assert kept.transactions() == []
        assert kept.final >= 24
        assert [event.rewind_to for event in kept.events if isinstance(event, FillsRemoved)] == [None]

    virtual(story)


def test_what_one_leader_was_read_for_by_two_providers_is_proved_for_him():
    async def story() -> None:
        chain, kept = a_chain(60), Kept()
        async with watching(chain, Roll(since_block(10)), kept, http_urls=TWO, transport=two_nodes(chain)):
            await asyncio.sleep(5)

        scope = CursorScope(leader_address=LEADER)
        (own,) = [one for one in kept.proved if one.scope == scope]
        assert (own.from_block, own.to_block) == (10, 56)
        assert own.methods == {ProofMethod.SECOND_PROVIDER}

    virtual(story)
