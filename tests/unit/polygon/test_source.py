"""The chain source over a fake node: fills at once, sockets that heal, starts that cannot work."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from copytrade.domain.fills import LeaderRole
from copytrade.ports.leader_fills import (
    SourceUnusableError,
)
from tests.unit.polygon.fake_chain import tx
from tests.unit.polygon.raw_logs import LEADER, STANDARD, STRANGER, data_v2
from tests.unit.polygon.watching import Kept, Roll, a_chain, seen, since_block, source_of, virtual, watching


def test_a_fill_is_pushed_at_once_and_its_block_moves_the_cursor():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(3.3)
            block = chain.mine(chain.fill("one"))
            await asyncio.sleep(0.1)

            pushed, read = seen(kept)
            assert (pushed.cursor, len(pushed.sightings)) == (None, 1)
            assert read.cursor is not None
            assert read.cursor.last_processed_block == block.number
            assert pushed.sightings[0].source_key == read.sightings[0].source_key
            assert pushed.sightings[0].fill.fill_ts_ms == block.timestamp_s * 1000

    virtual(story)


def test_a_leader_who_takes_has_one_aggregate_fill_and_makers_of_his_match_are_not_his():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(3.3)
            maker_legs = [chain.fill("match", maker=STRANGER, taker=LEADER) for _ in range(2)]
            taker_leg = chain.fill("match", taker=STANDARD, data=data_v2(given=4_000_000, got=5_000_000))
            chain.mine(*maker_legs, taker_leg)
            await asyncio.sleep(5)

            fills = {one.source_key: one.fill for event in seen(kept) for one in event.sightings}
            assert [(fill.role, fill.size) for fill in fills.values()] == [(LeaderRole.TAKER, 5_000_000)]

    virtual(story)


def test_a_muted_subscription_costs_time_but_no_fill():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(3.3)
            chain.sockets[0].mute = True
            chain.mine(chain.fill("one"))
            await asyncio.sleep(1.5)

            assert kept.transactions() == [tx("one")]

    virtual(story)


def test_a_dropped_socket_heals_and_says_how_long_it_was_silent():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(3.3)
            chain.mine()
            await asyncio.sleep(0.1)
            chain.sockets[0].drop()
            chain.mine(chain.fill("while away"))
            await asyncio.sleep(2.3)
            chain.mine(chain.fill("after"))
            await asyncio.sleep(2.3)

            (note,) = kept.notes("RECONNECTED")
            assert 0 < note.detail["seconds_without_data"] < 5
            assert kept.transactions() == sorted([tx("while away"), tx("after")])

    virtual(story)


def test_a_frozen_socket_is_replaced():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(1.3)
            chain.mine()
            await asyncio.sleep(1.3)
            (frozen,) = chain.sockets
            frozen.mute = True
            await asyncio.sleep(15)

            (fresh,) = chain.sockets
            assert fresh is not frozen

    virtual(story)


def test_another_chain_ends_the_start_naming_both():
    async def story() -> None:
        chain = a_chain()
        chain.faults = lambda method, params: {"result": "0x1"} if method == "eth_chainId" else None

        with pytest.raises(SourceUnusableError, match=r"node\.test: is on chain 1, expected chain 137"):
            await anext(source_of(chain, Roll(since_block(20)), Kept()).events())

    virtual(story)


def test_a_web_page_ends_the_start_naming_the_host_and_not_the_key():
    async def story() -> None:
        chain = a_chain()
        chain.faults = lambda method, params: httpx.Response(200, text="<html>welcome</html>")

        with pytest.raises(SourceUnusableError, match=r"node\.test: answered a web page") as refused:
            await anext(source_of(chain, Roll(since_block(20)), Kept()).events())
        assert "key" not in str(refused.value)

    virtual(story)


def test_a_node_that_is_down_at_the_start_is_waited_for():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        chain.faults = lambda method, params: httpx.Response(502, text="<html>bad gateway</html>")
        async with watching(chain, Roll(since_block(20)), kept):
            await asyncio.sleep(120)
            chain.faults = lambda method, params: None
            await asyncio.sleep(31)
            chain.mine(chain.fill("one"))
            await asyncio.sleep(2.3)

            assert kept.transactions() == [tx("one")]

    virtual(story)


def test_an_outage_is_told_once_and_nothing_is_missed():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        async with watching(chain, Roll(since_block(20)), kept, ws_urls=()):
            await asyncio.sleep(2.3)
            chain.faults = lambda method, params: httpx.Response(503)
            for at in range(100):
                chain.mine(chain.fill(at))
                await asyncio.sleep(2.3)
            chain.faults = lambda method, params: None
            await asyncio.sleep(60)

            assert (len(kept.notes("UNREACHABLE")), len(kept.notes("RECONNECTED"))) == (1, 1)
            assert kept.transactions() == sorted(tx(at) for at in range(100))

    virtual(story)


def test_the_second_node_serves_while_the_first_is_down():
    async def story() -> None:
        chain, kept = a_chain(), Kept()
        down = {"first": False}

        async def route(request: httpx.Request) -> httpx.Response:
            if request.url.host == "first.test" and down["first"]:
                raise httpx.ConnectError("refused")
            return await chain.respond(request)

        urls = ("https://first.test", "https://second.test")
        transport = httpx.MockTransport(route)
        async with watching(chain, Roll(since_block(20)), kept, http_urls=urls, transport=transport, ws_urls=()):
            await asyncio.sleep(2.3)
            down["first"] = True
            chain.mine(chain.fill("one"))
            await asyncio.sleep(2.3)

            assert kept.transactions() == [tx("one")]
            assert not kept.notes("UNREACHABLE")

    virtual(story)
