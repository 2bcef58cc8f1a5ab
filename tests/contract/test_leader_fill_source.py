"""What a source of fills promises, on a real EVM node and on the sandbox alike."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from copytrade.domain.leaders import Leader
from tests.contract.chains import World, evm_world, sandbox_world
from tests.evm.following import OFTEN_MS, Book, followed, following, memory_book

pytestmark = pytest.mark.processes

STRANGER = "0x" + "b2" * 20


def ann() -> Leader:
    return followed(1)


@pytest.fixture(params=[evm_world, sandbox_world], ids=["evm", "sandbox"])
async def chain(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with request.param() as world:
        yield world


@pytest.fixture
def book() -> Book:
    return memory_book()


async def test_every_fill_of_a_leader_is_stored_as_it_is_on_the_chain_and_nobody_elses(chain, book):
    async with following(chain, book, ann()) as feed:
        await chain.trade(ann().address, STRANGER)
        await chain.trade_twice(ann().address)
        await chain.trade(STRANGER)
        expected = await chain.rows(ann().address)
        assert len(expected) == 3

        await feed.until_stored(expected)
        stored = await feed.until_settled(chain)

    assert stored.standing == stored.confirmed == expected


async def test_reading_alone_finds_what_the_subscription_does_not_tell(chain, book):
    async with following(chain, book, ann(), poll_interval_ms=OFTEN_MS) as feed:
        chain.sockets.mute = True
        await chain.trade(ann().address)

        await feed.until_stored(await chain.rows(ann().address))


async def test_what_happens_while_nobody_looks_is_read_at_the_next_start(chain, book):
    async with following(chain, book, ann()) as feed:
        await chain.trade(ann().address)
        await feed.until_stored(await chain.rows(ann().address))
    await chain.trade(ann().address)
    await chain.pass_blocks(80)
    await chain.trade(ann().address)

    async with following(chain, book, ann()) as feed:
        await feed.until_stored(await chain.rows(ann().address))


@pytest.mark.parametrize("told", [True, False], ids=["told", "silent"])
async def test_a_transaction_that_moves_is_the_same_fill_at_its_new_place(chain, book, told):
    async with following(chain, book, ann(), poll_interval_ms=OFTEN_MS) as feed:
        await chain.pass_blocks(2)
        await chain.trade(ann().address)
        await feed.until_stored(await chain.rows(ann().address))
        before = (await book.stored()).standing
        chain.sockets.mute = not told
        await chain.replace(2, drops=False)
        expected = await chain.rows(ann().address)
        assert expected != before

        await feed.until_stored(expected)
        stored = await feed.until_settled(chain)

    assert (stored.standing, stored.confirmed, stored.orphaned) == (expected, expected, [])


@pytest.mark.parametrize("told", [True, False], ids=["told", "silent"])
async def test_a_transaction_that_vanishes_leaves_an_orphaned_fill(chain, book, told):
    async with following(chain, book, ann(), poll_interval_ms=OFTEN_MS) as feed:
        await chain.trade(ann().address)
        await chain.pass_blocks(chain.final_behind)
        await chain.trade(ann().address)
        await feed.until_stored(await chain.rows(ann().address))
        gone = (await book.stored()).standing[-1]
        chain.sockets.mute = not told
        await chain.replace(1, drops=True)

        await feed.until_stored(await chain.rows(ann().address))
        stored = await feed.until_settled(chain)

    assert (len(stored.standing), stored.orphaned) == (1, [gone])


async def test_a_leader_added_while_running_is_seen_from_the_next_block_on(chain, book):
    bob = followed(2, since_s=4_000_000_000)
    async with following(chain, book, ann()) as feed:
        await chain.trade(bob.address)
        await feed.until_at_head(chain)
        await book.ledger.add_leader(bob)
        feed.roll.set(ann(), bob)
        await chain.trade(ann().address, bob.address)

        await feed.until_stored((await chain.rows(ann().address, bob.address))[-2:])
