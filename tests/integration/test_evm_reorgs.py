"""The chain source on a real node whose newest blocks are replaced: one row a fill, at the place it has in the end.

Run more seeds with `EVM_SEEDS=50 pytest tests/integration/test_evm_reorgs.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.evm.chain import EvmChain, Transaction, a_chain
from tests.evm.following import OFTEN_MS, Book, Feed, followed, following, memory_book, sqlite_book
from tests.evm.orders import Row
from tests.evm.proxy import DoubtfulHttp

pytestmark = pytest.mark.processes

ANN, BOB = followed(1), followed(2)
STRANGER = "0x" + "b2" * 20
in_memory_and_on_disk = pytest.mark.parametrize("book", ["memory", "sqlite"], indirect=True)
SEEDS = int(os.environ.get("EVM_SEEDS", "3"))
STEPS = 15
STEP_S_MAX = 0.04
DEPTH_MAX = 5
"""Below FINAL_BEHIND: nothing final is ever replaced."""


@pytest.fixture
async def chain() -> AsyncIterator[EvmChain]:
    async with a_chain() as fresh:
        yield fresh


@pytest.fixture
async def book(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Book]:
    if getattr(request, "param", "memory") == "memory":
        yield memory_book()
        return
    async with sqlite_book(tmp_path) as opened:
        yield opened


def identities(rows: list[Row]) -> list[tuple[str, str]]:
    return sorted((row.tx_hash, row.order_hash) for row in rows)


async def mine_fills(chain: EvmChain, feed: Feed, count: int) -> list[Transaction]:
    """Mine a fill a block and wait until all are stored."""
    made = [chain.fill(ANN.address) for _ in range(count)]
    for transaction in made:
        await chain.mine(transaction)
    await feed.until_stored(await chain.rows(ANN.address))
    return made


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("depth", [1, DEPTH_MAX])
async def test_a_transaction_in_another_block_is_the_same_fill_at_a_new_place(chain, book, depth, told):
    async with following(chain, book, ANN) as feed:
        kept, *moved = await mine_fills(chain, feed, 1 + depth)
        before = await book.stored()

        # The other way round, behind a stranger's, in fewer blocks: number, hash and index all change.
        await chain.reorg(depth, [chain.fill(STRANGER), *reversed(moved)], [], tell=told)

        after = await chain.rows(ANN.address)
        await feed.until_stored(after)
        stored = await feed.until_settled(chain)
    assert stored.standing == stored.confirmed == after
    assert stored.orphaned == []
    assert identities(after) == identities(before.standing)
    assert after[0] == before.standing[0], f"{kept} was not touched"
    assert not {row.block_hash for row in after[1:]} & {row.block_hash for row in before.standing}


@in_memory_and_on_disk
@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("depth", [1, DEPTH_MAX])
async def test_a_transaction_that_vanishes_leaves_an_orphaned_fill(chain, book, depth, told):
    async with following(chain, book, ANN) as feed:
        _, lost, *moved = await mine_fills(chain, feed, 1 + depth)
        gone = (await book.stored()).standing[1]

        await chain.reorg(depth, *([one] for one in moved), [], tell=told)

        await feed.until_stored(await chain.rows(ANN.address))
        stored = await feed.until_settled(chain)
        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
        assert stored.orphaned == [gone]

        # It may still come back.
        await chain.mine(lost)
        await feed.until_stored(await chain.rows(ANN.address))
        stored = await feed.until_settled(chain)
        assert stored.orphaned == []
        assert gone.tx_hash == stored.standing[-1].tx_hash
        assert len(stored.standing) == 1 + depth


async def test_fills_that_only_a_replacing_block_has_are_new_fills(chain, book):
    async with following(chain, book, ANN, BOB) as feed:
        await mine_fills(chain, feed, 2)

        await chain.reorg(1, [chain.fill(BOB.address), chain.fill(ANN.address)], [])

        await feed.until_stored(await chain.rows(ANN.address, BOB.address))
        assert len((await book.stored()).orphaned) == 1


async def test_a_removal_that_is_told_twice_late_and_out_of_order_does_no_harm(chain, book):
    chain.sockets.copies = 2
    chain.sockets.delay_s_max = 0.1
    async with following(chain, book, ANN) as feed:
        made = await mine_fills(chain, feed, DEPTH_MAX)

        await chain.reorg(DEPTH_MAX, *([one] for one in reversed(made)), [])

        stored = await feed.until_settled(chain)
        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
        assert stored.orphaned == []


async def test_polling_alone_notices_that_blocks_were_replaced(chain, book):
    async with following(chain, book, ANN, ws_urls=(), poll_interval_ms=OFTEN_MS) as feed:
        await feed.until_at_head(chain)
        first, lost, last = await mine_fills(chain, feed, 3)

        await chain.reorg(3, [last], [first], [])

        await feed.until_stored(await chain.rows(ANN.address))
        (gone,) = (await book.stored()).orphaned
        assert lost["from"] == (await chain.rpc("eth_accounts"))[1]
        assert gone.block_number == 12


async def test_blocks_that_were_replaced_while_the_socket_was_cut_are_read_again(chain, book):
    async with following(chain, book, ANN) as feed:
        made = await mine_fills(chain, feed, 4)
        chain.sockets.refusing = True
        chain.sockets.cut()
        await chain.sockets.until_no_one_is_connected()

        await chain.reorg(3, [made[3]], [made[1]], [])
        chain.sockets.refusing = False
        await feed.until_subscribed(chain)
        await chain.mine()

        await feed.until_stored(await chain.rows(ANN.address))
        assert len((await book.stored()).orphaned) == 1


@in_memory_and_on_disk
async def test_blocks_that_were_replaced_while_nobody_looked_are_read_again(chain, book):
    async with following(chain, book, ANN) as feed:
        made = await mine_fills(chain, feed, DEPTH_MAX)
    await chain.reorg(DEPTH_MAX, *([one] for one in reversed(made)), [])

    async with following(chain, book, ANN) as feed:
        await feed.until_stored(await chain.rows(ANN.address))
        stored = await feed.until_settled(chain)

        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
        assert stored.orphaned == []


class Trouble:
    """A walk through everything at once, drawn from one seed."""

    def __init__(self, seed: int, chain: EvmChain) -> None:
        self.rng = random.Random(seed)
        self.chain = chain
        self.http = DoubtfulHttp()
        self.recent: list[list[Transaction]] = []
        self.restarts = self.rng.random() < 0.5

    def some_fills(self) -> list[Transaction]:
        owners = (ANN.address, BOB.address, STRANGER)
        return [self.chain.fill(self.rng.choice(owners)) for _ in range(self.rng.choice((0, 1, 1, 3)))]

    async def step(self) -> None:
        self.http.lag_blocks = self.rng.choice((0, 0, 2))
        self.http.hides_logs = self.rng.random() < 0.3
        self.http.fails = self.rng.random() < 0.1
        self.chain.sockets.mute = self.rng.random() < 0.2
        if self.rng.random() < 0.15:
            self.chain.sockets.cut()
        if self.rng.random() < 0.25 and len(self.recent) >= DEPTH_MAX:
            await self.reorg(self.rng.randint(1, DEPTH_MAX))
        await self.mine(self.some_fills())

    async def mine(self, transactions: list[Transaction]) -> None:
        await self.chain.mine(*transactions)
        self.recent = [*self.recent, transactions][-DEPTH_MAX:]

    async def reorg(self, depth: int) -> None:
        made = [one for block in self.recent[-depth:] for one in block]
        # A fill that vanishes while nobody looks cannot be told from the chain alone.
        kept = [one for one in made if self.restarts or self.rng.random() < 0.7]
        self.rng.shuffle(kept)
        blocks = [kept[at::depth] for at in range(depth)]
        self.recent[-depth:] = blocks
        await self.chain.reorg(depth, *blocks, tell=self.rng.random() < 0.5)

    def end(self) -> None:
        self.http.lag_blocks, self.http.hides_logs, self.http.fails = 0, False, False
        self.chain.sockets.mute = False
        self.chain.sockets.cut()


@in_memory_and_on_disk
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_after_all_kinds_of_trouble_the_stored_fills_are_those_on_the_chain(chain, book, seed):
    trouble = Trouble(seed, chain)
    chain.sockets.copies, chain.sockets.delay_s_max = trouble.rng.choice(((1, 0.0), (2, 0.02)))
    urls = (f"{chain.http_url}/doubtful", chain.http_url)
    steps = iter(range(STEPS))
    lives = 3 if trouble.restarts else 1
    for life in range(lives):
        changes = {"http_urls": urls, "transport": trouble.http, "poll_interval_ms": OFTEN_MS}
        async with following(chain, book, ANN, BOB, is_live=False, **changes) as feed:
            for _ in zip(range(STEPS // lives), steps, strict=False):
                await trouble.step()
                await asyncio.sleep(trouble.rng.uniform(0, STEP_S_MAX))
            if life == lives - 1:
                trouble.end()
                stored = await feed.until_settled(chain)
                assert stored.standing == stored.confirmed == await chain.rows(ANN.address, BOB.address)
                assert not set(identities(stored.orphaned)) & set(identities(stored.standing))
