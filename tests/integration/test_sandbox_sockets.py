"""The sandbox over real sockets: one port, live feeds, faults and scripted scenarios."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from copytrade.sandbox import contracts
from copytrade.sandbox.digest import book_hash
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve

DEADLINE_S = 10
ORDER_FILLED = contracts.ORDER_FILLED


class Venue:
    """A running sandbox and a client of it."""

    def __init__(self, sandbox: Sandbox, client: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.client = client
        self.tokens = [
            str(token)
            for market in sandbox.world.exchange.catalogue.all()
            if market.has_book
            for token in market.tokens
        ]

    async def rpc(self, method: str, *params: object):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = (await self.client.post(self.sandbox.urls["POLYGON_HTTP_URL"], json=body)).json()
        return answer.get("result", answer.get("error"))

    async def control(self, command: str, **body: object):
        url = f"{self.sandbox.urls['CONTROL_URL']}/{command}"
        answer = await self.client.post(url, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fills(self) -> list[dict]:
        url = f"{self.sandbox.urls['CONTROL_URL']}/fills"
        return (await self.client.get(url)).json()

    def market_socket(self):
        return connect(self.sandbox.urls["CLOB_MARKET_WS_URL"], ping_interval=None)

    def chain_socket(self):
        return connect(self.sandbox.urls["POLYGON_WS_URL"], ping_interval=None)


@contextlib.asynccontextmanager
async def _venue(**config: object) -> AsyncIterator[Venue]:
    defaults = {"history_blocks": 10, "filler_markets": 0, "seed": 3}
    async with (
        serve(SandboxConfig(**{**defaults, **config})) as sandbox,
        httpx.AsyncClient() as client,
    ):
        yield Venue(sandbox, client)


@pytest.fixture
async def live() -> AsyncIterator[Venue]:
    async with _venue(block_ms=200) as venue:
        yield venue


@pytest.fixture
async def scripted() -> AsyncIterator[Venue]:
    async with _venue(manual=True, block_ms=0) as venue:
        yield venue


async def _until(socket: ClientConnection, wanted: Callable[[dict], bool]) -> dict:
    async with asyncio.timeout(DEADLINE_S):
        async for text in socket:
            if text == "PONG":
                continue
            message = json.loads(text)
            for item in message if isinstance(message, list) else [message]:
                if wanted(item):
                    return item
    pytest.fail("the socket closed first")


async def _subscribe_market(socket: ClientConnection, tokens: list[str]) -> list[dict]:
    frame = {"type": "market", "assets_ids": tokens, "custom_feature_enabled": True}
    await socket.send(json.dumps(frame))
    async with asyncio.timeout(DEADLINE_S):
        return json.loads(await socket.recv())


async def _subscribe_chain(socket: ClientConnection, *params: object) -> str:
    request = {"jsonrpc": "2.0", "id": 9, "method": "eth_subscribe", "params": params}
    await socket.send(json.dumps(request))
    return (await _until(socket, lambda message: message.get("id") == 9))["result"]


async def _drain(socket: ClientConnection) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            await socket.recv()


def _result(message: dict) -> dict:
    return message.get("params", {}).get("result", {})


async def test_the_first_frame_is_an_array_of_books_and_ping_gets_a_text_pong(live):
    async with live.market_socket() as socket:
        books = await _subscribe_market(socket, live.tokens[:6])
        await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            while await socket.recv() != "PONG":
                pass

    assert {book["event_type"] for book in books} == {"book"}
    assert [book["asset_id"] for book in books] == live.tokens[:6]
    assert all(book["timestamp"].isdigit() for book in books)


async def test_a_book_built_from_changes_has_the_hash_the_venue_states(live):
    async with live.market_socket() as socket:
        books = {book["asset_id"]: book for book in await _subscribe_market(socket, live.tokens)}
        markets = {str(t): m for m in live.sandbox.world.exchange.catalogue.all() for t in m.tokens}
        checked = 0
        last_trade = {asset: book["last_trade_price"] for asset, book in books.items()}
        traded = set()
        for _ in range(120):
            change = await _until(socket, lambda item: "price_changes" in item or "bids" in item)
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
        await _subscribe_chain(socket, "newHeads")
        first = _result(await _until(socket, lambda m: "parentHash" in _result(m)))
        second = _result(await _until(socket, lambda m: "parentHash" in _result(m)))
        await _subscribe_chain(socket, "logs", {"topics": [ORDER_FILLED, None, padded]})
        log = _result(await _until(socket, lambda m: "topics" in _result(m)))

    assert second["parentHash"] == first["hash"]
    assert log["topics"][2] == padded
    assert log["removed"] is False


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


async def test_a_scripted_fill_is_on_chain_in_the_record_and_in_the_data_api(scripted):
    token = scripted.tokens[0]
    wallet = "0x" + "ab" * 20

    posted = await scripted.control(
        "post",
        leader=wallet,
        token=token,
        side="BUY",
        role="taker",
        kind="mint",
        legs=[["10", "0.41"], ["5.5", "0.42"]],
        size="15.5",
        price="0.42",
        mine=True,
    )
    fills = [fill for fill in await scripted.fills() if fill["maker"] == wallet]
    logs = await scripted.rpc("eth_getLogs", {"blockHash": posted["block_hash"], "topics": [ORDER_FILLED]})
    own = [log for log in logs if log["topics"][2].endswith(wallet[2:])]

    assert len(fills) == len(own) == 1
    assert fills[0]["tx_hash"] == posted["tx_hash"]
    assert (fills[0]["maker_amount"], fills[0]["taker_amount"]) == (6_410_000, 15_500_000)
    assert int(own[0]["logIndex"], 16) == fills[0]["log_index"]
    assert len(logs) == 3
    await scripted.control("lag", data_api_ms=0)
    url = scripted.sandbox.urls["DATA_API_HTTP_URL"] + "/v2/trades"
    rows = (await scripted.client.get(url, params={"user": wallet})).json()["data"]
    assert [(row["transaction_hash"], row["size"], row["token_id"]) for row in rows] == [
        (posted["tx_hash"], 15.5, token)
    ]


async def test_two_fills_can_share_a_transaction_and_an_order(scripted):
    trade = {
        "leader": "patient-maker",
        "token": scripted.tokens[2],
        "side": "SELL",
        "role": "maker",
        "size": "6",
        "price": "0.5",
        "order_hash": "0x" + "77" * 32,
    }

    posted = await scripted.control("post", trades=[trade, trade], mine=True)
    fills = [fill for fill in await scripted.fills() if fill["tx_hash"] == posted["tx_hash"]]

    assert len(fills) == 2
    assert {fill["order_hash"] for fill in fills} == {"0x" + "77" * 32}
    assert fills[0]["log_index"] < fills[1]["log_index"]
    assert {fill["role"] for fill in fills} == {"maker"}


async def test_an_exact_book_is_served_and_a_sweep_arrives_in_pieces_of_one_timestamp(scripted):
    token = scripted.tokens[0]
    await scripted.control("book", token=token, bids=[["0.4", "10"]], asks=[["0.5", "10"], ["0.51", "20"]])
    async with scripted.market_socket() as socket:
        book = (await _subscribe_market(socket, [token]))[0]
        await scripted.control(
            "post",
            wallet="0x" + "cd" * 20,
            token=token,
            side="BUY",
            role="maker",
            match="book",
            size="45",
            price="0.52",
        )
        pieces = [await _until(socket, lambda item: "price_changes" in item) for _ in range(3)]
        after = await _until(socket, lambda item: item.get("event_type") == "book")
        printed = await _until(socket, lambda item: item.get("event_type") == "last_trade_price")

    assert book["asks"] == [{"price": "0.51", "size": "20"}, {"price": "0.5", "size": "10"}]
    own = [entry for piece in pieces for entry in piece["price_changes"] if entry["asset_id"] == token]
    assert [(entry["side"], entry["price"], entry["size"]) for entry in own] == [
        ("BUY", "0.52", "15"),
        ("SELL", "0.5", "0"),
        ("SELL", "0.51", "0"),
    ]
    assert len({piece["timestamp"] for piece in pieces}) == 1
    assert {entry["hash"] for entry in own} == {after["hash"]}
    assert all(len(piece["price_changes"]) == 2 for piece in pieces)
    assert "tick_size" not in after
    assert (printed["size"], printed["price"], printed["side"]) == ("30", "0.51", "BUY")


async def test_a_reorg_takes_logs_back_and_sends_them_again_elsewhere(scripted):
    async with scripted.chain_socket() as socket:
        await _subscribe_chain(socket, "newHeads")
        await _subscribe_chain(socket, "logs", {"address": list(contracts.EXCHANGES), "topics": [ORDER_FILLED]})
        posted = await scripted.control(
            "post", leader="sweeper", token=scripted.tokens[0], side="BUY", size="8", price="0.5", mine=True
        )
        first = _result(await _until(socket, lambda m: "topics" in _result(m)))
        await scripted.control("reorg", depth=1)
        removed = _result(await _until(socket, lambda m: _result(m).get("removed") is True))
        head = _result(await _until(socket, lambda m: "parentHash" in _result(m)))
        again = _result(await _until(socket, lambda m: _result(m).get("removed") is False))

    assert removed == {**first, "removed": True}
    assert head["number"] == first["blockNumber"]
    assert head["hash"] != posted["block_hash"]
    assert again["transactionHash"] == first["transactionHash"]
    assert again["blockHash"] != first["blockHash"]
    record = await scripted.fills()
    assert [fill["canonical"] for fill in record if fill["tx_hash"] == posted["tx_hash"]] == [False, True]


async def test_a_frozen_socket_answers_pings_and_nothing_else_until_thawed(live):
    async with live.market_socket() as socket:
        await _subscribe_market(socket, live.tokens)
        await live.control("freeze", kind="market")
        await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            while await socket.recv() != "PONG":
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await socket.recv()
        await live.control("freeze", kind="market", frozen=False)
        await _until(socket, lambda item: "event_type" in item)


async def test_dropped_sockets_end_and_refused_ones_cannot_return(live):
    async with live.chain_socket() as socket:
        await _subscribe_chain(socket, "newHeads")
        await live.control("drop", kind="chain", refuse=503)
        with pytest.raises(ConnectionClosed):
            await _drain(socket)
    with pytest.raises(InvalidStatus):
        await live.chain_socket().__aenter__()
    await live.control("heal")
    async with live.chain_socket() as socket:
        assert await _subscribe_chain(socket, "newHeads")


async def test_muted_logs_leave_heads_alone(live):
    await live.control("mute", logs=True)
    async with live.chain_socket() as socket:
        await _subscribe_chain(socket, "logs", {})
        await _subscribe_chain(socket, "newHeads")
        seen = [_result(await _until(socket, lambda m: "params" in m)) for _ in range(8)]

    assert all("parentHash" in item for item in seen)


async def test_errors_latency_and_stalled_finality_can_be_switched_on(scripted):
    clob = scripted.sandbox.urls["CLOB_HTTP_URL"]
    await scripted.control("error", target="/clob", status=425, count=1, body={"error_msg": "restarting"})
    refused = await scripted.client.get(clob + "/ok")
    fine = await scripted.client.get(clob + "/ok")
    await scripted.control("latency", path="/clob", ms=150)
    slow = await scripted.client.get(clob + "/ok")
    stalled = (await scripted.control("finality", stalled=True))["finalized"]
    await scripted.control("mine", count=10)
    block = await scripted.rpc("eth_getBlockByNumber", "finalized", False)

    assert (refused.status_code, refused.json()) == (425, {"error_msg": "restarting"})
    assert fine.status_code == 200
    assert slow.elapsed.total_seconds() >= 0.15
    assert int(block["number"], 16) == stalled


async def test_markets_open_change_tick_and_resolve_on_the_socket(scripted):
    async with scripted.market_socket() as socket:
        await _subscribe_market(socket, scripted.tokens[:2])
        opened = await scripted.control("market", slug="scripted-market", tick="0.001", fee_rate="0.04")
        announced = await _until(socket, lambda item: item.get("event_type") == "new_market")
        await scripted.control("tick", token=scripted.tokens[0], tick="0.001")
        tick = await _until(socket, lambda item: item.get("event_type") == "tick_size_change")
        await scripted.control("resolve", token=scripted.tokens[0], winner=1)
        resolved = await _until(socket, lambda item: item.get("event_type") == "market_resolved")

    assert announced["clob_token_ids"] == opened["tokens"]
    assert (tick["old_tick_size"], tick["new_tick_size"]) == ("0.01", "0.001")
    assert resolved["winning_asset_id"] == scripted.tokens[1]
    url = scripted.sandbox.urls["CLOB_HTTP_URL"] + "/book"
    gone = await scripted.client.get(url, params={"token_id": scripted.tokens[0]})
    assert gone.status_code == 404


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
