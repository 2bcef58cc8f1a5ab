"""Reorgs: what left the chain is taken back, what came is read, and finality settles it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from copytrade.ports.leader_fills import (
    ChainConfirmed,
    FillsRemoved,
)
from tests.unit.polygon.fake_chain import tx
from tests.unit.polygon.watching import GLOBAL, Kept, Roll, a_chain, since_block, virtual, watching


def test_a_block_replaced_while_the_worker_was_down_is_read_again():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            chain.mine()
            await asyncio.sleep(3.3)
        chain.reorg(1)
        chain.mine(chain.fill("in the other block"))
        chain.mine_empty(1)
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(3.3)

        assert kept.transactions() == [tx("in the other block")]

    virtual(story)


@pytest.mark.parametrize("tell", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("depth", [1, 3])
def test_a_reorg_takes_back_what_left_the_chain_and_reads_what_came(depth, tell):
    async def story() -> None:
        chain, kept = a_chain(finality=10), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            for at in range(depth):
                chain.mine(chain.fill(f"gone {at}"), chain.fill(f"moved {at}"))
            await asyncio.sleep(2.3)
            chain.reorg(depth, tell=tell)
            chain.mine(*[chain.fill(f"moved {at}") for at in range(depth)])
            chain.mine_empty(depth)
            await asyncio.sleep(5)

            assert kept.transactions() == sorted(tx(f"moved {at}") for at in range(depth))
            (note,) = kept.notes("REORG")
            assert note.detail["depth"] == depth
            rewind = next(event for event in kept.events if isinstance(event, FillsRemoved) and event.rewind_to)
            assert rewind.rewind_to == 20
            assert kept.at() == chain.head.number

    virtual(story)


def test_a_reorg_to_the_same_height_is_seen():
    async def story() -> None:
        chain, kept = a_chain(finality=10), Kept()
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.mine(chain.fill("gone"))
            await asyncio.sleep(2.3)
            chain.reorg(1)
            chain.mine(chain.fill("came"))
            await asyncio.sleep(3.3)

            assert kept.transactions() == [tx("came")]

    virtual(story)


def test_a_pushed_log_of_a_block_that_lost_is_taken_back():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            ghost = chain.fill("ghost") | {"blockNumber": hex(21), "blockHash": tx("losing block"), "logIndex": "0x0"}
            chain.sockets[0].push_log(ghost)
            await asyncio.sleep(0.1)
            assert kept.transactions() == [tx("ghost")]
            chain.mine()
            await asyncio.sleep(1.3)

            assert kept.transactions() == []

    virtual(story)


def test_a_log_wrongly_taken_back_stands_again_once_final():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            block = chain.mine(chain.fill("one"))
            await asyncio.sleep(1.3)
            chain.sockets[0].take_back(block)
            await asyncio.sleep(1.3)
            assert kept.transactions() == []
            chain.mine_empty(6)
            await asyncio.sleep(2.3)

            assert kept.transactions() == [tx("one")]

    virtual(story)


def test_final_blocks_are_confirmed_and_proved_by_a_second_read():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            block = chain.mine(chain.fill("one"))
            await asyncio.sleep(2.3)
            assert kept.final < block.number
            chain.mine_empty(5)
            await asyncio.sleep(2.3)
            chain.mine()
            await asyncio.sleep(2.3)

            assert kept.final >= block.number
            proved = kept.cursors[GLOBAL].proved_block
            assert proved is not None
            assert block.number <= proved <= kept.final

    virtual(story)


def test_confirmation_waits_for_finality_to_move():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        chain.finality = 100
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            block = chain.mine(chain.fill("one"))
            await asyncio.sleep(20)

            confirmed = [event.block_number for event in kept.events if isinstance(event, ChainConfirmed)]
            assert max(confirmed, default=0) < block.number

    virtual(story)


def test_a_log_pushed_late_for_a_block_that_lost_is_not_reported():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(2.3)
            chain.mine()
            await asyncio.sleep(0.3)
            ghost = chain.fill("ghost") | {"blockNumber": hex(21), "blockHash": tx("losing block"), "logIndex": "0x0"}
            chain.sockets[0].push_log(ghost)
            await asyncio.sleep(5)

            assert kept.transactions() == []

    virtual(story)


def test_a_reorg_during_a_long_outage_is_found_before_the_gap_is_read():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.mine(chain.fill("gone"))
            await asyncio.sleep(1.3)
            chain.faults = lambda method, params: httpx.Response(503)
            chain.reorg(1)
            chain.mine(chain.fill("came"))
            chain.mine_empty(100)
            await asyncio.sleep(60)
            chain.faults = lambda method, params: None
            await asyncio.sleep(60)

            assert kept.transactions() == [tx("came")]
            assert kept.notes("GAP_FILLED")

    virtual(story)


def test_blocks_replaced_between_the_look_at_the_head_and_their_reading_cost_one_round():
    async def story() -> None:
        chain, kept = a_chain(finality=10), Kept()

        def replace_once(method: str, params: list[object]) -> None:
            if method == "eth_getBlockByNumber" and params[0] == hex(21):
                chain.faults = lambda *_: None
                chain.reorg(2, tell=False)
                chain.mine(chain.fill("in the other block"))
                chain.mine()

        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.faults = replace_once
            chain.mine(chain.fill("gone"))
            chain.mine()
            await asyncio.sleep(5)

        assert kept.transactions() == [tx("in the other block")]
        assert kept.at() == chain.head.number
        assert kept.notes("REORG") == []

    virtual(story)
