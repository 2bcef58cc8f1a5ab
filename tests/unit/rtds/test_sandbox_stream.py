"""The sandbox's live stream over real sockets behaves as the venue's is known to."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from copytrade.sandbox.digest import checksummed
from tests.unit.sandbox.venue_client import DEADLINE_S, Venue, run_venue

BOTH = ("orders_matched", "trades")


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with run_venue(block_ms=200) as running:
        await running.control("lag", rtds_ms=0)
        yield running


def stream(venue: Venue) -> connect:
    return connect(venue.sandbox.urls["RTDS_WS_URL"], ping_interval=None)


async def subscribe(socket: ClientConnection, *types: str) -> None:
    subscriptions = [{"topic": "activity", "type": one} for one in types]
    await socket.send(json.dumps({"action": "subscribe", "subscriptions": subscriptions}))


async def messages(socket: ClientConnection, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(DEADLINE_S):
        return [json.loads(await socket.recv()) for _ in range(count)]


async def is_silent(socket: ClientConnection, seconds: float = 1.5) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await socket.recv()
    except TimeoutError:
        return True
    return False


def test_an_address_has_the_capitals_of_its_checksum():
    stated = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"

    assert checksummed(stated.lower()) == stated


async def test_every_settlement_is_told_with_its_taker_and_then_all(venue):
    async with stream(venue) as socket:
        await subscribe(socket, *BOTH)
        seen = await messages(socket, 25)

    takers = Counter(json.dumps(one["payload"]) for one in seen if one["type"] == "orders_matched")
    everyone = Counter(json.dumps(one["payload"]) for one in seen if one["type"] == "trades")
    assert len(takers) > 1
    assert len(everyone) > len(takers)
    assert len(set(takers) & set(everyone)) > 1
    by_tx = {fill["tx_hash"]: fill["timestamp"] for fill in await _all_fills(venue)}
    early = [
        by_tx[one["payload"]["transactionHash"]] - one["payload"]["timestamp"]
        for one in seen
        if one["payload"]["transactionHash"] in by_tx
    ]
    assert early
    assert set(early) <= {0, 1, 2}


async def test_messages_look_like_the_recorded_one(venue):
    async with stream(venue) as socket:
        await subscribe(socket, "trades")
        (message,) = await messages(socket, 1)

    payload = message["payload"]
    assert list(message) == ["connection_id", "payload", "topic", "type", "timestamp"]
    assert payload["proxyWallet"] == checksummed(payload["proxyWallet"])
    assert payload["asset"] in venue.tokens
    assert message["timestamp"] // 1000 - payload["timestamp"] in range(3)


async def test_only_what_is_subscribed_is_sent(venue):
    async with stream(venue) as socket:
        await socket.send(json.dumps({"subscriptions": [{"topic": "activity", "type": "trades"}]}))
        assert await is_silent(socket), "a subscription without an action is accepted and ignored"
        await subscribe(socket, "orders_matched")
        assert {one["type"] for one in await messages(socket, 4)} == {"orders_matched"}


async def test_nonsense_is_answered_with_an_error(venue):
    async with stream(venue) as socket:
        for text in ("{", '{"action": "subscribe"}', '{"action": "jump", "subscriptions": []}'):
            await socket.send(text)
        answers = await messages(socket, 3)

    assert [answer["statusCode"] for answer in answers] == [400, 400, 400]


async def test_a_ping_is_answered_by_a_word_or_by_nothing_much(venue):
    async with stream(venue) as socket:
        for _ in range(4):
            await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            assert [await socket.recv() for _ in range(4)] == ["PONG", "", "PONG", ""]


async def test_without_a_ping_the_stream_ends_and_stays_open(venue):
    await venue.control("lag", rtds_silence_ms=700)
    async with stream(venue) as socket:
        await subscribe(socket, *BOTH)
        await asyncio.sleep(1.2)
        async with asyncio.timeout(DEADLINE_S):
            while not await is_silent(socket, 0.6):
                pass
        await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            assert await socket.recv() == "PONG"
        assert await is_silent(socket, 0.6), "a late PING does not bring it back"


async def test_a_frozen_stream_answers_pings_and_tells_nothing(venue):
    async with stream(venue) as socket:
        await subscribe(socket, *BOTH)
        await messages(socket, 1)
        await venue.control("freeze", kind="rtds")
        await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            while await socket.recv() != "PONG":
                pass
        assert await is_silent(socket)


async def test_the_stream_can_be_dropped_and_refused(venue):
    async with stream(venue) as socket:
        await subscribe(socket, *BOTH)
        await messages(socket, 1)
        dropped = await venue.control("drop", kind="rtds", refuse=503)
        await asyncio.wait_for(socket.wait_closed(), DEADLINE_S)

    assert dropped == {"dropped": 1}


async def _all_fills(venue: Venue) -> list[dict[str, Any]]:
    url = f"{venue.sandbox.urls['CONTROL_URL']}/fills?all=true"
    return (await venue.client.get(url)).json()
