"""The chain source on a real node whose sockets break and whose answers lag or lie: no fill is lost, none doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from copytrade.adapters.polygon import websocket
from tests.evm.anvil import FINAL_BEHIND
from tests.evm.chain import EvmChain, a_chain
from tests.evm.following import OFTEN_MS, Book, followed, following, memory_book, sqlite_book
from tests.evm.proxy import DoubtfulHttp

pytestmark = pytest.mark.processes

ANN = followed(1)
STRANGER = "0x" + "b2" * 20
in_memory_and_on_disk = pytest.mark.parametrize("book", ["memory", "sqlite"], indirect=True)


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


async def test_the_subscription_alone_wakes_the_source(chain, book):
    async with following(chain, book, ANN) as feed:
        for _ in range(3):
            await chain.mine(chain.fill(ANN.address), chain.fill(STRANGER))
            await feed.until_stored(await chain.rows(ANN.address))


async def test_polling_finds_the_fills_while_the_subscription_is_mute(chain, book):
    async with following(chain, book, ANN, poll_interval_ms=OFTEN_MS) as feed:
        chain.sockets.mute = True
        for _ in range(3):
            await chain.mine(chain.fill(ANN.address), chain.fill(STRANGER))
            await feed.until_stored(await chain.rows(ANN.address))


async def test_polling_needs_no_socket_at_all(chain, book):
    async with following(chain, book, ANN, ws_urls=(), poll_interval_ms=OFTEN_MS) as feed:
        await chain.mine(chain.fill(ANN.address))
        await feed.until_stored(await chain.rows(ANN.address))


@pytest.mark.parametrize("blocks", [1, 100], ids=["short", "long"])
async def test_what_happens_while_the_socket_is_cut_is_read_afterwards(chain, book, blocks):
    async with following(chain, book, ANN) as feed:
        await chain.mine(chain.fill(ANN.address))
        await feed.until_stored(await chain.rows(ANN.address))

        chain.sockets.refusing = True
        chain.sockets.cut()
        for _ in range(2):
            await chain.mine(chain.fill(ANN.address), chain.fill(ANN.address))
            await chain.mine_empty(blocks)
        await chain.sockets.until_no_one_is_connected()
        chain.sockets.refusing = False
        await feed.until_subscribed(chain)
        await chain.mine()

        await feed.until_stored(await chain.rows(ANN.address))
        stored = await feed.until_settled(chain)
        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
    assert "RECONNECTED" in feed.codes()
    assert ("GAP_FILLED" in feed.codes()) == (blocks == 100)


async def test_a_socket_that_is_open_but_silent_is_replaced(chain, book, monkeypatch):
    monkeypatch.setattr(websocket, "HEAD_SILENCE_S", 0.3)
    async with following(chain, book, ANN) as feed:
        chain.sockets.mute = True
        await chain.mine(chain.fill(ANN.address))
        await chain.sockets.until_no_one_is_connected()
        chain.sockets.mute = False
        await feed.until_subscribed(chain)
        await chain.mine()

        await feed.until_stored(await chain.rows(ANN.address))


@in_memory_and_on_disk
@pytest.mark.parametrize("blocks", [0, 100], ids=["short", "long"])
async def test_a_restart_goes_on_from_the_cursor(chain, book, blocks):
    async with following(chain, book, ANN) as feed:
        await chain.mine(chain.fill(ANN.address), chain.fill(ANN.address))
        await feed.until_stored(await chain.rows(ANN.address))
    for _ in range(2):
        await chain.mine(chain.fill(ANN.address))
        await chain.mine_empty(blocks)

    async with following(chain, book, ANN) as feed:
        await feed.until_stored(await chain.rows(ANN.address))
        stored = await feed.until_settled(chain)

        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
        assert stored.orphaned == []


@in_memory_and_on_disk
async def test_frames_that_come_late_twice_and_out_of_order_make_each_fill_one_row(chain, book):
    chain.sockets.copies = 2
    chain.sockets.delay_s_max = 0.1
    async with following(chain, book, ANN) as feed:
        for _ in range(8):
            await chain.mine(chain.fill(ANN.address), chain.fill(STRANGER), chain.fill(ANN.address))
        stored = await feed.until_settled(chain)

        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
        assert stored.orphaned == []
        assert len(stored.standing) == 16


@pytest.mark.parametrize("fault", ["lag", "hide", "fail"])
async def test_a_node_that_lags_lies_or_fails_costs_no_fill_while_another_is_honest(chain, book, fault):
    doubtful = DoubtfulHttp()
    urls = (f"{chain.http_url}/doubtful", chain.http_url)
    async with following(chain, book, ANN, http_urls=urls, transport=doubtful, poll_interval_ms=OFTEN_MS) as feed:
        doubtful.lag_blocks = 3 * (fault == "lag")
        doubtful.hides_logs = fault == "hide"
        doubtful.fails = fault == "fail"
        for _ in range(5):
            await chain.mine(chain.fill(ANN.address))
            await chain.mine_empty(2)
        # One that lags behind shows its blocks only when others come after them.
        await chain.mine_empty(3)

        await feed.until_stored(await chain.rows(ANN.address))
        # What one node says is not proved until the other says it too.
        doubtful.lag_blocks, doubtful.hides_logs, doubtful.fails = 0, False, False
        stored = await feed.until_settled(chain)
        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)


async def test_logs_that_the_only_node_hides_for_a_while_are_found_before_they_are_final(chain, book):
    doubtful = DoubtfulHttp()
    urls = (f"{chain.http_url}/doubtful",)
    async with following(chain, book, ANN, http_urls=urls, transport=doubtful, poll_interval_ms=OFTEN_MS) as feed:
        chain.sockets.mute = doubtful.hides_logs = True
        await chain.mine(chain.fill(ANN.address))
        await chain.mine_empty(3)
        await feed.until_at_head(chain)
        assert (await book.stored()).standing == []

        doubtful.hides_logs = False
        stored = await feed.until_settled(chain)

        assert stored.standing == stored.confirmed == await chain.rows(ANN.address)
    assert "LATE_LOGS" in feed.codes()


async def test_logs_that_the_only_node_hides_for_good_are_found_in_its_receipts(chain, book):
    doubtful = DoubtfulHttp()
    urls = (f"{chain.http_url}/doubtful",)
    async with following(chain, book, ANN, http_urls=urls, transport=doubtful, poll_interval_ms=OFTEN_MS) as feed:
        chain.sockets.mute = doubtful.hides_logs = True
        await chain.mine(chain.fill(ANN.address), chain.fill(STRANGER))
        await chain.mine_empty(FINAL_BEHIND + 4)
        await feed.until_stored(await chain.rows(ANN.address))
        await chain.mine()
        await feed.until_at_head(chain)

        assert (await book.stored()).confirmed == await chain.rows(ANN.address)
    assert "LATE_LOGS" in feed.codes()


async def test_logs_that_the_only_node_hides_in_its_receipts_too_are_never_proved_absent(chain, book):
    doubtful = DoubtfulHttp()
    urls = (f"{chain.http_url}/doubtful",)
    async with following(chain, book, ANN, http_urls=urls, transport=doubtful, poll_interval_ms=OFTEN_MS) as feed:
        chain.sockets.mute = doubtful.hides_logs = doubtful.hides_receipts = True
        await chain.mine(chain.fill(ANN.address))
        number = await chain.head()
        for _ in range(FINAL_BEHIND + 4):
            await chain.mine()
            await feed.until_at_head(chain)

        assert await book.proved() < number


async def test_a_node_that_hangs_for_a_while_is_read_when_it_answers_again(chain, book):
    async with following(chain, book, ANN, poll_interval_ms=OFTEN_MS) as feed:
        await chain.mine(chain.fill(ANN.address))
        await feed.until_stored(await chain.rows(ANN.address))
        with chain.hanging():
            await asyncio.sleep(5 * OFTEN_MS / 1000)
        await chain.mine(chain.fill(ANN.address))

        await feed.until_stored(await chain.rows(ANN.address))
