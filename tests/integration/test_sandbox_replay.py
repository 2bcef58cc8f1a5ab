"""Recorded data comes out of the sandbox as it went in, only later and renumbered."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from websockets.asyncio.client import connect

from copytrade.sandbox import contracts
from copytrade.sandbox.digest import book_hash
from copytrade.sandbox.happening import FrameReplayed
from copytrade.sandbox.replay import PRINT_MAKER, PRINT_TAKER, Replay, read_recording
from copytrade.sandbox.server import SandboxConfig, serve
from copytrade.sandbox.world import World, WorldConfig

START_MS = 1_795_000_000_000
DEADLINE_S = 20

pytestmark = pytest.mark.recorded


@pytest.fixture(scope="module")
def recording(recorded_data):
    return read_recording(recorded_data, now_ms=START_MS)


@pytest.fixture
def world(recording):
    made = World(
        WorldConfig(start_ms=START_MS, invented_flow=False, history_blocks=40),
        listings=recording.listings,
        past=recording.past,
    )
    Replay(world=made, recording=recording, speed=1).begin()
    return made


def _logs(world):
    return [log for block in world.chain.between(0, 10**9) for log in block.logs]


def test_every_recorded_log_is_mined_with_its_hash_index_topics_and_data(recorded_data, world):
    raw = json.loads((recorded_data / "onchain/receipt_v2_standard_b5d41ea9.json").read_text())["logs"]
    raw += [
        log
        for row in json.loads((recorded_data / "onchain/v2_fills_poly_shadow.json").read_text())
        for log in row["logs"]
    ]

    world.advance(START_MS + 120_000)
    mined = {(log.tx_hash, log.log_index): log for log in _logs(world)}

    for log in raw:
        placed = mined[log["transactionHash"], int(log["logIndex"], 16)]
        assert list(placed.topics) == log["topics"]
        assert placed.data == log["data"]
        assert placed.address == log["address"]


def test_recorded_blocks_keep_their_order_and_are_fresh(recording, world):
    world.advance(START_MS + 120_000)

    placed = {log.tx_hash: log.block_number for log in _logs(world) if contracts.ORDER_FILLED in log.topics}
    order = [
        placed[transaction.tx_hash]
        for block in recording.live
        for transaction in block.transactions
        if transaction.tx_hash in placed
    ]
    assert order == sorted(order)
    first = world.chain.by_number(min(order))
    assert first is not None
    assert first.mined_ms > START_MS
    for block in world.chain.between(0, 10**9):
        indexes = [log.log_index for log in block.logs]
        assert indexes == sorted(set(indexes))


def test_logs_of_the_first_exchanges_lie_before_the_start(recording, world):
    hashes = {transaction.tx_hash for batch in recording.past for transaction in batch}

    assert hashes
    assert hashes <= {log.tx_hash for log in _logs(world)}


def test_replayed_books_have_the_hash_of_their_new_timestamp(recording, world):
    books: dict[str, dict] = {}
    last: dict[tuple[str, str], tuple[str, str]] = {}
    stream = recording.streams[0]
    market = stream.market

    def hear(happening):
        if not isinstance(happening, FrameReplayed):
            return
        frame = happening.frame
        for entry in frame.get("price_changes", ()):
            own = {level["price"]: level["size"] for level in books[entry["asset_id"]][entry["side"]]}
            own[entry["price"]] = entry["size"]
            books[entry["asset_id"]][entry["side"]] = _sorted(own, entry["side"])
            last[entry["asset_id"], frame["timestamp"]] = (entry["hash"], _hash(entry["asset_id"], frame["timestamp"]))

    def _hash(asset: str, stamp: str) -> str:
        return book_hash(
            {
                "market": market.condition,
                "asset_id": asset,
                "timestamp": stamp,
                "hash": "",
                "bids": books[asset]["BUY"],
                "asks": books[asset]["SELL"],
                "min_order_size": "5",
                "tick_size": "0.01",
                "neg_risk": False,
                "last_trade_price": quotes.last_trade_text(world.exchange, market),
            }
        )

    from copytrade.sandbox import quotes

    for outcome, token in enumerate(market.tokens):
        summary = quotes.summary(world.exchange, market, outcome)
        books[str(token)] = {"BUY": summary["bids"], "SELL": summary["asks"]}
    world.listen(hear)
    world.advance(START_MS + 200_000)

    assert len(last) > 100
    assert all(stated == computed for stated, computed in last.values())
    assert world.exchange.last_trade(market) == 630_000


def _sorted(levels: dict[str, str], side: str) -> list[dict[str, str]]:
    kept = [{"price": price, "size": size} for price, size in levels.items() if size != "0"]
    return sorted(kept, key=lambda level: float(level["price"]), reverse=side == "SELL")


def test_the_opening_book_of_the_stream_is_the_recorded_one(recorded_data, world):
    from copytrade.sandbox import quotes

    lines = (recorded_data / "ws/opentape_polymarket_ws_20260907.jsonl").read_text().splitlines()
    for recorded in json.loads(lines[0]):
        market = world.exchange.catalogue.by_token(int(recorded["asset_id"]))
        assert market is not None
        outcome = market.outcome_of(int(recorded["asset_id"]))
        summary = quotes.summary(world.exchange, market, outcome, at_ms=int(recorded["timestamp"]))
        assert summary["hash"] == recorded["hash"]


def test_each_print_becomes_a_pair_of_fills_of_placeholder_wallets(recording, world):
    world.advance(START_MS + 200_000)

    fills = [
        (record.fill.owner, record.fill.role, record.fill.side, record.fill.size, record.fill.collateral)
        for record in world.ledger.records
        if record.fill.owner in (PRINT_TAKER, PRINT_MAKER)
    ]
    assert fills == [
        (PRINT_MAKER, "maker", 0, 31_740_000, 19_678_800),
        (PRINT_TAKER, "taker", 1, 31_740_000, 19_678_800),
        (PRINT_MAKER, "maker", 1, 7_555_554, 4_759_999),
        (PRINT_TAKER, "taker", 0, 7_555_554, 4_759_999),
    ]


def test_fills_without_a_recorded_market_are_on_record_without_one(recording, world):
    world.advance(START_MS + 120_000)
    recorded = [record for record in world.ledger.records if record.fill.owner not in (PRINT_TAKER, PRINT_MAKER)]

    assert len(recorded) >= 10
    assert {record.fill.condition for record in recorded} == {""}
    assert {record.fill.owner for record in recorded} <= {leader.address for leader in world.leaders}


async def test_a_recorded_session_runs_over_sockets_faster_than_it_was(recorded_data):
    config = SandboxConfig(recorded=recorded_data, speed=100, block_ms=200, history_blocks=25)
    async with serve(config) as sandbox, httpx.AsyncClient() as client:
        stream = next(m for m in sandbox.world.exchange.catalogue.all() if m.slug == "recorded-market-0")
        token = str(stream.tokens[0])
        async with connect(sandbox.urls["CLOB_MARKET_WS_URL"], ping_interval=None) as socket:
            await socket.send(json.dumps({"type": "market", "assets_ids": [token]}))
            kinds = await _collect(socket, until="last_trade_price")
        gamma = sandbox.urls["GAMMA_HTTP_URL"] + "/markets/keyset"
        known = (await client.get(gamma, params={"clob_token_ids": token})).json()["markets"]
        trades = sandbox.urls["DATA_API_HTTP_URL"] + "/v2/trades"
        old = (await client.get(trades, params={"limit": 1000, "taker_only": "false"})).json()["data"]
        fills = await _fills(client, sandbox.urls["CONTROL_URL"])

    assert {"book", "price_change", "last_trade_price"} <= kinds
    assert known[0]["slug"] == "recorded-market-0"
    assert len(old) > 500
    assert {"proxy_wallet", "token_id", "transaction_hash", "outcome_index"} <= old[-1].keys()
    assert {PRINT_TAKER, PRINT_MAKER} <= {fill["maker"] for fill in fills}


async def _collect(socket, *, until: str) -> set[str]:
    kinds: set[str] = set()
    async with asyncio.timeout(DEADLINE_S):
        async for text in socket:
            message = json.loads(text)
            kinds.update(item["event_type"] for item in (message if isinstance(message, list) else [message]))
            if until in kinds:
                return kinds
    return kinds


async def _fills(client: httpx.AsyncClient, control: str) -> list[dict]:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            fills = (await client.get(control + "/fills")).json()
            if PRINT_TAKER in {fill["maker"] for fill in fills}:
                return fills
            await asyncio.sleep(0.1)


async def test_a_directory_without_anything_is_a_venue_without_anything(tmp_path):
    async with serve(SandboxConfig(recorded=tmp_path, history_blocks=2)) as sandbox:
        assert sandbox.leaders == ()
        assert sandbox.world.exchange.catalogue.all() == []


async def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotADirectoryError, match="nowhere"):
        await serve(SandboxConfig(recorded=tmp_path / "nowhere")).__aenter__()
