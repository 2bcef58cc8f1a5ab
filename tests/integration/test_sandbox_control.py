"""Faults and scripted scenarios, switched on over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from copytrade.sandbox import contracts
from tests.unit.sandbox.venue_client import (
    DEADLINE_S,
    ORDER_FILLED,
    Venue,
    drain,
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
        book = (await subscribe_market(socket, [token]))[0]
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
        pieces = [await until(socket, lambda item: "price_changes" in item) for _ in range(3)]
        after = await until(socket, lambda item: item.get("event_type") == "book")
        printed = await until(socket, lambda item: item.get("event_type") == "last_trade_price")

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
        await subscribe_chain(socket, "newHeads")
        await subscribe_chain(socket, "logs", {"address": list(contracts.EXCHANGES), "topics": [ORDER_FILLED]})
        posted = await scripted.control(
            "post", leader="sweeper", token=scripted.tokens[0], side="BUY", size="8", price="0.5", mine=True
        )
        first = result_of(await until(socket, lambda m: "topics" in result_of(m)))
        await scripted.control("reorg", depth=1)
        removed = result_of(await until(socket, lambda m: result_of(m).get("removed") is True))
        head = result_of(await until(socket, lambda m: "parentHash" in result_of(m)))
        again = result_of(await until(socket, lambda m: result_of(m).get("removed") is False))

    assert removed == {**first, "removed": True}
    assert head["number"] == first["blockNumber"]
    assert head["hash"] != posted["block_hash"]
    assert again["transactionHash"] == first["transactionHash"]
    assert again["blockHash"] != first["blockHash"]
    record = await scripted.fills()
    assert [fill["canonical"] for fill in record if fill["tx_hash"] == posted["tx_hash"]] == [False, True]


async def test_a_frozen_socket_answers_pings_and_nothing_else_until_thawed(live):
    async with live.market_socket() as socket:
        await subscribe_market(socket, live.tokens)
        await live.control("freeze", kind="market")
        await socket.send("PING")
        async with asyncio.timeout(DEADLINE_S):
            while await socket.recv() != "PONG":
                pass
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await socket.recv()
        await live.control("freeze", kind="market", frozen=False)
        await until(socket, lambda item: "event_type" in item)


async def test_dropped_sockets_end_and_refused_ones_cannot_return(live):
    async with live.chain_socket() as socket:
        await subscribe_chain(socket, "newHeads")
        await live.control("drop", kind="chain", refuse=503)
        with pytest.raises(ConnectionClosed):
            await drain(socket)
    with pytest.raises(InvalidStatus):
        await live.chain_socket().__aenter__()
    await live.control("heal")
    async with live.chain_socket() as socket:
        assert await subscribe_chain(socket, "newHeads")


async def test_muted_logs_leave_heads_alone(live):
    await live.control("mute", logs=True)
    async with live.chain_socket() as socket:
        await subscribe_chain(socket, "logs", {})
        await subscribe_chain(socket, "newHeads")
        seen = [result_of(await until(socket, lambda m: "params" in m)) for _ in range(8)]

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


async def test_a_method_can_fail_as_an_rpc_error_or_as_an_http_status(scripted):
    limited = {"code": -32005, "message": "rate limit"}
    await scripted.control("error", target="eth_chainId", body=limited)
    await scripted.control("error", target="eth_blockNumber", status=429, body={"error": "slow down"})
    url = scripted.sandbox.urls["POLYGON_HTTP_URL"]
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}

    assert await scripted.rpc("eth_chainId") == limited
    assert await scripted.rpc("eth_chainId") == "0x89"
    assert (await scripted.client.post(url, json=request)).status_code == 429
    assert (await scripted.client.post(url, json=request)).status_code == 200


async def test_markets_open_change_tick_and_resolve_on_the_socket(scripted):
    async with scripted.market_socket() as socket:
        await subscribe_market(socket, scripted.tokens[:2])
        opened = await scripted.control("market", slug="scripted-market", tick="0.001", fee_rate="0.04")
        announced = await until(socket, lambda item: item.get("event_type") == "new_market")
        await scripted.control("tick", token=scripted.tokens[0], tick="0.001")
        tick = await until(socket, lambda item: item.get("event_type") == "tick_size_change")
        await scripted.control("resolve", token=scripted.tokens[0], winner=1)
        resolved = await until(socket, lambda item: item.get("event_type") == "market_resolved")

    assert announced["clob_token_ids"] == opened["tokens"]
    assert (tick["old_tick_size"], tick["new_tick_size"]) == ("0.01", "0.001")
    assert resolved["winning_asset_id"] == scripted.tokens[1]
    url = scripted.sandbox.urls["CLOB_HTTP_URL"] + "/book"
    gone = await scripted.client.get(url, params={"token_id": scripted.tokens[0]})
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("command", "body", "named"),
    [
        ("post", {"leader": "nobody", "token": "TOKEN", "side": "BUY", "size": "5", "price": "0.5"}, "leader"),
        ("post", {"leader": "sweeper", "token": "12", "side": "BUY", "size": "5", "price": "0.5"}, "token"),
        ("post", {"leader": "sweeper", "token": "TOKEN", "side": "HOLD", "size": "5", "price": "0.5"}, "side"),
        ("post", {"leader": "sweeper", "token": "TOKEN", "side": "BUY", "size": "-5", "price": "0.5"}, "size"),
        ("post", {"leader": "sweeper", "token": "TOKEN", "side": "BUY", "size": "5", "price": "1"}, "price"),
        (
            "post",
            {"leader": "sweeper", "token": "TOKEN", "side": "BUY", "size": "5", "price": "0.5", "kind": "merge"},
            "kind",
        ),
        ("book", {"token": "TOKEN", "bids": [["0.5"]]}, "bids"),
        ("reorg", {"fate": "lost"}, "fate"),
        ("lag", {"blocks": "many"}, "blocks"),
        ("drop", {"kind": "all"}, "kind"),
        ("error", {"status": 500}, "target"),
    ],
)
async def test_a_wrong_command_names_what_is_wrong_and_changes_nothing(scripted, command, body, named):
    filled = {key: scripted.tokens[0] if value == "TOKEN" else value for key, value in body.items()}
    before = await scripted.rpc("eth_blockNumber")

    answer = await scripted.client.post(f"{scripted.sandbox.urls['CONTROL_URL']}/{command}", json=filled)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)
    assert await scripted.rpc("eth_blockNumber") == before
