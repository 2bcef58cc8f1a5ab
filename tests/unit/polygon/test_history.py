"""What happened before: gaps after a restart, and leaders who join late."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from copytrade.ports.leader_fills import Cursor, CursorScope, SourceProgress
from tests.makers import a_leader
from tests.unit.polygon.fake_chain import GENESIS_S, tx
from tests.unit.polygon.raw_logs import LEADER, STRANGER
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, seen, since_block, virtual, watching


def test_a_restart_reads_what_happened_meanwhile():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            chain.mine(chain.fill("before"))
            await asyncio.sleep(3.3)
        for at in range(300):
            chain.mine(*([chain.fill(f"away {at}")] if at % 50 == 0 else []))
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(5)

        assert kept.at() == chain.head.number
        assert kept.transactions() == sorted(
            tx(name) for name in ("before", *(f"away {at}" for at in range(0, 300, 50)))
        )
        assert kept.notes("GAP_FILLED")

    virtual(story)


def test_a_leader_added_while_running_is_watched_and_read_back_to_when_he_was_followed():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        other = a_leader(address=STRANGER, followed_since_ms=(GENESIS_S + 2 * 10) * 1000)
        for at in range(30):
            chain.mine(chain.fill(f"old {at}", maker=STRANGER, taker=LEADER))
        roll = Roll(since_block(20))
        async with watching(chain, roll, kept):
            await asyncio.sleep(3.3)
            assert kept.transactions() == []
            roll.set(*roll.current.values(), other)
            chain.mine(chain.fill("new", maker=STRANGER, taker=LEADER))
            await asyncio.sleep(0.1)
            assert tx("new") in kept.transactions()
            chain.mine_empty(6)
            await asyncio.sleep(5)

            assert kept.transactions() == sorted([tx("new"), *(tx(f"old {at}") for at in range(30))])
            row = kept.cursors[CursorScope(leader_address=STRANGER)]
            assert row.last_processed_block >= 50

    virtual(story)


def test_young_history_is_not_believed_empty_because_a_node_has_not_indexed_it():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        for at in range(30):
            chain.mine(chain.fill(f"old {at}", maker=STRANGER, taker=LEADER))
        chain.mine_empty(6)
        late = a_leader(address=STRANGER, followed_since_ms=(GENESIS_S + 2 * 10) * 1000)
        chain.faults = lambda method, _: {"result": []} if method == "eth_getLogs" else None
        async with watching(chain, Roll(since_block(20), late), kept):
            await asyncio.sleep(5)

        assert kept.transactions() == sorted(tx(f"old {at}") for at in range(30))
        assert kept.cursors[CursorScope(leader_address=STRANGER)].last_processed_block == 52

    virtual(story)


def test_the_history_of_a_leader_resumes_from_his_row():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        scope = CursorScope(leader_address=LEADER)
        for at in range(30):
            chain.mine(chain.fill(f"old {at}"))
        kept.cursors[scope] = Cursor(scope=scope, last_processed_block=40, proved_block=None)
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=46, proved_block=46)
        async with watching(chain, Roll(since_block(5)), kept):
            await asyncio.sleep(5)

        assert kept.transactions() == sorted(tx(f"old {at}") for at in range(20, 30))
        assert kept.cursors[scope].last_processed_block == 46

    virtual(story)


def test_a_restart_knows_what_every_leader_has_been_read_for():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(5)), kept):
            await asyncio.sleep(3.3)
            for _ in range(800):
                chain.mine()
                await asyncio.sleep(0.05)

        row = kept.cursors[CursorScope(leader_address=LEADER)]
        assert row.last_processed_block >= 600

    virtual(story)


def test_nothing_is_read_without_leaders():
    async def story() -> None:
        chain, kept, roll = a_chain(), Kept(), Roll()
        async with watching(chain, roll, kept):
            await asyncio.sleep(60)
            assert set(chain.calls) == {"eth_chainId"}
            roll.set(since_block(20))
            await asyncio.sleep(3.3)
            chain.mine(chain.fill("one"))
            await asyncio.sleep(1.3)

            assert kept.transactions() == [tx("one")]

    virtual(story)


def test_logs_without_a_time_get_that_of_their_block():
    async def story() -> None:
        chain, kept = a_chain(with_stamps=False), Kept()
        chain.mine(chain.fill("old"))
        chain.mine_empty(9)
        async with watching(chain, Roll(since_block(21)), kept):
            await asyncio.sleep(3.3)
            block = chain.mine(chain.fill("new"))
            await asyncio.sleep(1.3)

            times = {one.fill.tx_hash: one.fill.fill_ts_ms for event in seen(kept) for one in event.sightings}
            assert times == {tx("old"): (GENESIS_S + 42) * 1000, tx("new"): block.timestamp_s * 1000}

    virtual(story)


def test_a_range_that_is_too_wide_is_narrowed():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        for at in range(400):
            chain.mine(chain.fill(at))

        def narrow(method: str, params: list[Any]) -> Any:
            if method == "eth_getLogs" and "fromBlock" in params[0]:
                width = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
                if width > 10:
                    message = "You can make eth_getLogs requests with up to a 10 block range."
                    return httpx.Response(400, json={"error": {"code": -32600, "message": message}})
            return None

        chain.faults = narrow
        kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=20, proved_block=20)
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(30)

        assert kept.transactions() == sorted(tx(at) for at in range(400))

    virtual(story)


@pytest.mark.parametrize("code", ["HISTORY_PROGRESS", "GAP_PROGRESS"])
def test_a_long_read_tells_how_far_it_is_and_estimates_the_rest(code):
    async def story() -> None:
        chain, kept = a_chain(3_000), Kept()
        chain.mine(chain.fill("one"))
        chain.mine_empty(400)
        is_gap = code == "GAP_PROGRESS"
        if is_gap:
            kept.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=20, proved_block=None)

        async def slow(request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(4.0)
            return await chain.respond(request)

        roll = Roll(since_block(3_000 if is_gap else 20))
        async with watching(chain, roll, kept, ws_urls=(), transport=httpx.MockTransport(slow)):
            await asyncio.sleep(400)

        told = [event.detail for event in kept.events if isinstance(event, SourceProgress) and event.code == code]
        assert len(told) > 3
        done = [int(str(detail["blocks_done"])) for detail in told]
        assert done == sorted(done)
        assert len({int(str(detail["blocks_done"])) + int(str(detail["blocks_left"])) for detail in told}) == 1
        left = [int(str(detail["seconds_left"])) for detail in told]
        assert left[0] > left[-1] > 0

    virtual(story)
