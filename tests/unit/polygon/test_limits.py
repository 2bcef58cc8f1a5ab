"""What providers refuse, cut off or say about it: the fills come out whole, in ranges as wide as they allow."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest

from copytrade.adapters.polygon.progress import TELL_EVERY_MS, Progress
from copytrade.ports.leader_fills import Cursor, CursorScope, SourceEvent, SourceProgress
from tests.unit.polygon.fake_chain import FakeChain, tx
from tests.unit.polygon.raw_logs import LEADER
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, since_block, virtual, watching
from tests.virtual_time import VirtualClock

CORPUS = [
    (400, -32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."),
    (200, -32602, "Log response size exceeded. this block range should work: [0x15, 0x1e]"),
    (200, -32005, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
    (200, -32005, "query returned more than 10000 results. Try with this block range [0x15, 0x1e]."),
    (413, -32614, "eth_getLogs is limited to a 10,000 range"),
    (413, -32602, "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range"),
    (400, 35, "ranges over 10000 blocks are not supported on free plan"),
    (400, 35, "ranges over 10000 blocks are not supported on freetier"),
    (200, -32701, "exceed maximum block range: 10000"),
    (200, -32002, "request timed out"),
    (200, -32600, "block range is too wide"),
    (200, -32602, "Block range limit exceeded."),
    (200, -32005, "Log response size exceeded. Maximum allowed number of requested blocks is 1000"),
    (200, -32000, "eth_getLogs is limited to 0 - 50 blocks range"),
    (200, -32602, "eth_getLogs is limited to 1024 block range. Please check the parameter requirements"),
    (200, -32602, "query exceeds max block range 100000"),
    (200, -32602, "query exceeds max results 20000, retry with the range 21-30"),
    (200, -32000, "backend response too large"),
]
BUSY = [
    (429, -32005, "Too Many Requests"),
    (200, -32005, "rate limit exceeded"),
    (503, -32000, "no backend is healthy"),
    (200, -32007, "50/second request limit reached - reduce calls per second: requests per second limit"),
]


def width_of(params: list[Any]) -> int:
    return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1


def is_range(method: str, params: list[Any]) -> bool:
    return method == "eth_getLogs" and "toBlock" in params[0] and "address" in params[0]


def refusal(status: int, code: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"id": 1, "error": {"code": code, "message": message}})


def a_gap(blocks: int = 200) -> tuple[FakeChain, Kept]:
    """Return a chain with a fill in each block, read up to block 20."""
    chain, kept = a_chain(), Kept()
    for at in range(blocks):
        chain.mine(chain.fill(at))
    kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=20, proved_block=20)
    scope = CursorScope(leader_address=LEADER)
    kept.cursors[scope] = Cursor(scope=scope, last_processed_block=20, proved_block=None)
    return chain, kept


async def read_gap(chain: FakeChain, kept: Kept, *, seconds: float = 40) -> None:
    async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("answer", CORPUS, ids=lambda answer: answer[2][:40])
def test_a_refused_width_is_narrowed_until_it_is_served(answer):
    async def story() -> None:
        chain, kept = a_gap()
        widths: list[int] = []

        def narrow(method: str, params: list[Any]) -> Any:
            if not is_range(method, params):
                return None
            widths.append(width_of(params))
            return refusal(*answer) if widths[-1] > 10 else None

        chain.faults = narrow
        await read_gap(chain, kept)

        assert kept.transactions() == sorted(tx(at) for at in range(200))
        refused = [width for width in widths if width > 10]
        assert len(refused) <= 12
        assert not kept.notes("UNREACHABLE")

    virtual(story)


@pytest.mark.parametrize("answer", BUSY, ids=lambda answer: answer[2][:40])
def test_a_busy_node_is_asked_again_for_the_same_width(answer):
    async def story() -> None:
        chain, kept = a_gap()
        widths: list[int] = []
        times: list[int] = []

        def busy(method: str, params: list[Any]) -> Any:
            if not is_range(method, params):
                return None
            widths.append(width_of(params))
            times.append(VirtualClock().monotonic_ms())
            return refusal(*answer) if len(widths) <= 3 else None

        chain.faults = busy
        await read_gap(chain, kept)

        assert kept.transactions() == sorted(tx(at) for at in range(200))
        assert len(set(widths[:4])) == 1
        assert all(later - earlier >= 250 for earlier, later in pairwise(times[:4]))

    virtual(story)


@pytest.mark.parametrize("cap", [1_000, 2_000])
def test_an_answer_of_exactly_a_known_cap_counts_as_cut_off(cap):
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        for at in range(90):
            chain.mine(*(chain.fill(f"{at} {n}") for n in range(30)))
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=20, proved_block=20)

        def cut(method: str, params: list[Any]) -> Any:
            return {"result": chain.logs(params[0])["result"][:cap]} if is_range(method, params) else None

        chain.faults = cut
        await read_gap(chain, kept)

        assert len(kept.transactions()) == 90 * 30

    virtual(story)


@pytest.mark.parametrize("how", ["refused", "refused as a page", "cut"])
def test_a_single_block_that_is_too_much_is_read_from_its_receipts(how):
    async def story() -> None:
        chain, kept = a_chain(), Kept()

        def too_much(method: str, params: list[Any]) -> Any:
            if method != "eth_getLogs":
                return None
            found = chain.logs(params[0])["result"]
            if len(found) < 3:
                return None
            if how == "refused":
                return refusal(200, -32005, "query returned more than 10000 results")
            return httpx.Response(413, text="<html>") if how != "cut" else {"result": (found * 400)[:1_000]}

        chain.faults = too_much
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(3.3)
            chain.mine(*(chain.fill(at) for at in range(4)))
            await asyncio.sleep(3.3)
        for at in range(200):
            chain.mine(*(chain.fill(f"{at} {n}") for n in range(4 if at == 90 else 0)))
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(30)

        assert kept.at() == chain.head.number
        assert kept.transactions() == sorted(tx(name) for name in (*range(4), *(f"90 {n}" for n in range(4))))

    virtual(story)


def test_a_leader_followed_from_an_earlier_time_is_read_back_to_it():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        for at in range(30):
            chain.mine(chain.fill(f"old {at}"))
        roll = Roll(since_block(45))
        async with watching(chain, roll, kept):
            await asyncio.sleep(5)
            assert kept.transactions() == sorted(tx(f"old {at}") for at in range(24, 30))
            roll.set(since_block(31))
            chain.mine_empty(6)
            await asyncio.sleep(5)

        assert kept.transactions() == sorted(tx(f"old {at}") for at in range(10, 30))

    virtual(story)


def test_a_long_read_says_how_far_it_is_every_few_seconds():
    async def story() -> None:
        told: list[SourceEvent] = []

        async def tell(event: SourceEvent) -> None:
            told.append(event)

        progress = Progress(tell, VirtualClock(), code="HISTORY_PROGRESS", first=101, last=200, leaders=1)
        for done in range(110, 201, 10):
            await asyncio.sleep(TELL_EVERY_MS / 2_000)
            await progress.tell(done, fills=3)

        details = [event.detail for event in told if isinstance(event, SourceProgress)]
        assert len(details) == len(told) == 4
        assert details[0] == {"blocks_done": 20, "blocks_left": 80, "seconds_left": 20, "leaders": 1, "fills": 6}
        assert [detail["seconds_left"] for detail in details] == [20, 15, 10, 5]
        assert progress.summary() == {"first": 101, "last": 200, "leaders": 1, "fills": 30}

    virtual(story)
