"""The sandbox over real sockets: one port for requests and live feeds."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from copytrade.sandbox.digest import book_hash
from tests.unit.sandbox.venue_client import (
    DEADLINE_S,
    ORDER_FILLED,
    Venue,
    result_of,
    run_venue,
    subscribe_chain,
    subscribe_market,
    until,
)


@pytest.fixture
async def live() -> AsyncIterator[Venue]:
    async with run_venue(block_ms=200) as venue:
        yield venue


@pytest.fixture
async def scripted() -> AsyncIterator[Venue]:
    async with run_venue(manual=True, block_ms=0) as venue:
        yield venue


async def test_the_first_frame_is_an_array_of_books_and_ping_gets_a_text_pong(live):
    async with live.market_socket() as socket:
        books = await subscribe_market(socket, live.tokens[:6])
        await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            while await socket.recv() != "PONG":
                pass

    assert {book["event_type"] for book in books} == {"book"}
    assert [book["asset_id"] for book in books] == live.tokens[:6]
    assert all(book["timestamp"].isdigit() for book in books)


async def test_a_book_built_from_changes_has_the_hash_the_venue_states(live):
    async with live.market_socket() as socket:
        books = {book["asset_id"]: book for book in await subscribe_market(socket, live.tokens)}
        markets = {str(t): m for m in live.sandbox.world.exchange.catalogue.all() for t in m.tokens}
        checked = 0
        last_trade = {asset: book["last_trade_price"] for asset, book in books.items()}
        traded = set()
        for _ in range(120):
            change = await until(socket, lambda item: "price_changes" in item or "bids" in item)
            if "bids" in change:
                # After a trade the market's last price is stated by nobody: no check from here on.
                traded.add(change["market"])
                continue
            for entry in change["price_changes"]:
                _apply(books[entry["asset_id"]], entry)
                if change["market"] not in traded:
                    book, market = books[entry["asset_id"]], markets[entry["asset_id"]]
                    expected = book_hash(
                        {
                            "market": book["market"],
                            "asset_id": book["asset_id"],
                            "timestamp": change["timestamp"],
                            "hash": "",
                            "bids": book["bids"],
                            "asks": book["asks"],
                            "min_order_size": "5",
                            "tick_size": book["tick_size"],
                            "neg_risk": market.neg_risk,
                            "last_trade_price": last_trade[entry["asset_id"]],
                        }
                    )
                    checked += expected == entry["hash"]

    assert checked > 20


def _apply(book: dict, entry: dict) -> None:
    side = "bids" if entry["side"] == "BUY" else "asks"
    levels = {level["price"]: level["size"] for level in book[side]}
    levels[entry["price"]] = entry["size"]
    kept = [{"price": price, "size": size} for price, size in levels.items() if size != "0"]
    book[side] = sorted(kept, key=lambda level: float(level["price"]), reverse=side == "asks")


async def test_heads_link_and_logs_arrive_for_the_followed_wallets_only(live):
    leader = live.sandbox.leaders[0].address
    padded = "0x" + "0" * 24 + leader[2:]
    async with live.chain_socket() as socket:
        await subscribe_chain(socket, "newHeads")
        first = result_of(await until(socket, lambda m: "parentHash" in result_of(m)))
        second = result_of(await until(socket, lambda m: "parentHash" in result_of(m)))
        await subscribe_chain(socket, "logs", {"topics": [ORDER_FILLED, None, padded]})
        log = result_of(await until(socket, lambda m: "topics" in result_of(m)))

    assert second["parentHash"] == first["hash"]
    assert log["topics"][2] == padded
    assert log["removed"] is False


async def test_an_ended_subscription_is_silent_and_an_unknown_one_an_error(live):
    async with live.chain_socket() as socket:
        ended = await subscribe_chain(socket, "newHeads")
        kept = await subscribe_chain(socket, "newHeads")
        for at, subscription in ((11, ended), (12, "0xabc")):
            request = {"jsonrpc": "2.0", "id": at, "method": "eth_unsubscribe", "params": [subscription]}
            await socket.send(json.dumps(request))
        assert (await until(socket, lambda message: message.get("id") == 11))["result"] is True
        assert "error" in await until(socket, lambda message: message.get("id") == 12)
        heads = [await until(socket, lambda message: "params" in message) for _ in range(3)]

    assert {head["params"]["subscription"] for head in heads} == {kept}


async def test_a_keep_alive_connection_serves_many_requests(live):
    numbers = [int(await live.rpc("eth_blockNumber"), 16) for _ in range(20)]

    assert numbers == sorted(numbers)


async def test_bad_requests_are_answered_not_crashed_on(live):
    host, port = live.sandbox.urls["CONTROL_URL"].split("/")[2].split(":")
    for sent in (b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64 + b"\r\n\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()

    missing = await live.client.get(live.sandbox.urls["CONTROL_URL"] + "/nothing")
    bad_json = await live.client.post(live.sandbox.urls["CONTROL_URL"] + "/post", content=b"{")
    assert missing.status_code == 404
    assert bad_json.status_code == 400
    with pytest.raises(InvalidStatus):
        await connect(live.sandbox.urls["POLYGON_WS_URL"] + "/nowhere").__aenter__()


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_announces_itself_in_one_line_and_ends_on_a_signal(number):
    code = "from copytrade.sandbox.command import run; run(port=0, seed=1, manual=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = json.loads(process.stdout.readline())
        process.send_signal(number)
        rest, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()

    assert line["urls"]["POLYGON_HTTP_URL"].startswith("http://127.0.0.1:")
    assert len(line["leaders"]) == 4
    assert rest == ""
    assert process.returncode == 0
