"""A node that lags or withholds serves last, and gets its place back; a chain that stands still is told of."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import httpx

from tests.unit.polygon.fake_chain import FakeChain, tx
from tests.unit.polygon.test_proof import TWO, some_blocks
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, since_block, virtual, watching

LAG_MS = 10_000


class Nodes:
    """Two nodes of one chain; the first is behind by `lag` blocks, and is silent about logs while it `hides`."""

    def __init__(self, chain: FakeChain) -> None:
        self.chain = chain
        self.lag = 0
        self.hides = False
        self.asked: Counter[str] = Counter()

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._respond)

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        call = json.loads(request.content)
        method, params = call["method"], call["params"]
        host = str(request.url.host)
        if method == "eth_getLogs":
            self.asked[host] += 1
        is_first = host == "one.test"
        return httpx.Response(200, json={"id": 1} | self._answer(method, params, is_first=is_first))

    def _answer(self, method: str, params: list[Any], *, is_first: bool) -> dict[str, Any]:
        if is_first and self.hides and method == "eth_getLogs":
            return {"result": []}
        if not is_first or not self.lag:
            return self.chain.answer(method, params)
        known = self.chain.blocks[: len(self.chain.blocks) - self.lag]
        if method == "eth_getBlockByNumber":
            names = {"latest": known[-1].number, "finalized": known[-1].number - self.chain.finality}
            number = names[params[0]] if params[0] in names else int(params[0], 16)
            block = self.chain.by_number(number)
            return {"result": block.header() if block and block in known else None}
        if "blockHash" in (params[0] if params else {}) and params[0]["blockHash"] not in {b.block_hash for b in known}:
            return {"error": {"code": -32000, "message": "unknown block"}}
        return self.chain.answer(method, params)


def codes(kept: Kept) -> list[str]:
    return [code for code in ("NODE_LAGS", "NODE_CAUGHT_UP", "CHAIN_LAGS", "CHAIN_CAUGHT_UP") if kept.notes(code)]


def test_a_node_that_falls_behind_serves_last_until_it_has_caught_up():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        nodes = Nodes(chain)
        changes: dict[str, Any] = {
            "http_urls": TWO,
            "transport": nodes.transport(),
            "lag_max_ms": LAG_MS,
            "ws_urls": (),
        }
        async with watching(chain, Roll(since_block(20)), kept, **changes):
            await some_blocks(chain, 4)
            nodes.lag = 10
            await some_blocks(chain, 10)
            block = chain.mine(chain.fill("fresh"))
            await asyncio.sleep(3)
            assert kept.at() == block.number
            assert kept.transactions() == [tx("fresh")]
            (told,) = kept.notes("NODE_LAGS")
            assert (told.detail["host"], told.detail["blocks"]) == ("one.test", 10)
            nodes.asked.clear()
            await some_blocks(chain, 10)
            assert nodes.asked["two.test"] > nodes.asked["one.test"]
            assert kept.notes("UNREACHABLE") == []

            nodes.lag = 0
            await some_blocks(chain, 30)
            nodes.asked.clear()
            for at in range(5):
                chain.mine(chain.fill(at))
                await asyncio.sleep(1.5)
            assert nodes.asked["one.test"] >= nodes.asked["two.test"]

        assert len(kept.notes("NODE_LAGS")) == len(kept.notes("NODE_CAUGHT_UP")) == 1

    virtual(story)


def test_a_second_node_that_lags_for_good_stops_the_proof_and_not_the_cursor():
    async def story() -> None:
        chain, kept = a_chain(60), Kept()
        nodes = Nodes(chain)
        nodes.lag = 40
        urls = tuple(reversed(TWO))
        async with watching(
            chain, Roll(since_block(60)), kept, http_urls=urls, transport=nodes.transport(), ws_urls=()
        ):
            await some_blocks(chain, 4)
            chain.mine(chain.fill("one"))
            await some_blocks(chain, 10)

            assert kept.at() == chain.head.number
            assert kept.transactions() == [tx("one")]
            assert kept.notes("UNREACHABLE") == []
            assert (kept.cursors[GLOBAL].proved_block or 0) < 65

    virtual(story)


def test_a_node_that_withheld_a_log_serves_last_for_a_while():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        nodes = Nodes(chain)
        changes: dict[str, Any] = {"http_urls": TWO, "transport": nodes.transport(), "ws_urls": ()}
        async with watching(chain, Roll(since_block(20)), kept, **changes):
            await some_blocks(chain, 4)
            nodes.hides = True
            chain.mine(chain.fill("hidden"))
            await some_blocks(chain, 2)
            assert kept.transactions() == [tx("hidden")]
            nodes.asked.clear()
            chain.mine(chain.fill("next"))
            await asyncio.sleep(1.5)

            assert (nodes.asked["one.test"], nodes.asked["two.test"]) == (0, 1)

    virtual(story)


def test_a_chain_that_stands_still_is_told_once_and_so_is_its_return():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept, lag_max_ms=LAG_MS, ws_urls=()):
            await asyncio.sleep(60)
            assert (codes(kept), len(kept.notes("CHAIN_LAGS"))) == (["CHAIN_LAGS"], 1)
            chain.mine_empty(40)
            await asyncio.sleep(10)
            assert codes(kept) == ["CHAIN_LAGS", "CHAIN_CAUGHT_UP"]

    virtual(story)
