"""Gamma, the Data API, the CLOB and the node answer as the venue and Polygon do."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from copytrade.sandbox.clob import ClobService
from copytrade.sandbox.data_api import DataApiService
from copytrade.sandbox.faults import ErrorRule, Faults
from copytrade.sandbox.gamma import GammaService
from copytrade.sandbox.http_message import BadRequestError, Request, split_target
from copytrade.sandbox.quotes import summary
from copytrade.sandbox.rpc import RpcService
from copytrade.sandbox.world import World, WorldConfig

START_MS = 1_795_000_000_000


@pytest.fixture(scope="module")
def world() -> World:
    return World(WorldConfig(start_ms=START_MS, seed=5, history_blocks=40, filler_markets=110))


def _get(service, path: str, *params: tuple[str, object]):
    target = f"{path}?{urlencode([(name, str(value)) for name, value in params])}"
    inner, query = split_target(target)
    return json.loads(service.respond(Request(method="GET", path=inner, query=query)).body)


@pytest.fixture
def gamma(world):
    return GammaService(exchange=world.exchange)


@pytest.fixture
def data_api(world):
    return DataApiService(
        exchange=world.exchange,
        ledger=world.ledger,
        now_ms=lambda: world.now_ms,
        delay_ms=2_000,
        leaders=[(leader.address, leader.label) for leader in world.leaders],
    )


@pytest.fixture
def clob(world):
    return ClobService(
        exchange=world.exchange,
        summary=lambda market, outcome: summary(world.exchange, market, outcome),
        now_ms=lambda: world.now_ms,
    )


def test_keyset_pages_are_clamped_and_the_last_has_no_cursor(world, gamma):
    seen, cursor, pages = [], None, 0
    while True:
        params = [("limit", 1_000), ("version", "v1"), ("version", "v2")]
        page = _get(gamma, "/markets/keyset", *params, *([("after_cursor", cursor)] if cursor else []))
        pages += 1
        assert len(page["markets"]) <= 100
        seen.extend(market["id"] for market in page["markets"])
        cursor = page.get("next_cursor")
        if cursor is None:
            break

    open_markets = [market for market in world.exchange.catalogue.all() if not market.closed]
    assert pages == 2
    assert sorted(seen) == sorted(market.market_id for market in open_markets)


def test_lists_hide_protocol_v2_and_closed_markets_unless_asked(world, gamma):
    def slugs(*params):
        page = _get(gamma, "/markets/keyset", ("limit", 100), *params)
        return {market["slug"] for market in page["markets"]}

    assert "lunar-cargo-lands" not in slugs()
    assert "lunar-cargo-lands" in slugs(("version", "v2"))
    assert "harbour-bridge-open" not in slugs()
    assert slugs(("closed", "true")) == {"harbour-bridge-open"}


def test_lookups_by_token_and_condition_find_one_market(world, gamma):
    v1 = next(m for m in world.exchange.catalogue.all() if m.version == "v1")
    v2 = next(m for m in world.exchange.catalogue.all() if m.version == "v2")

    by_token = _get(gamma, "/markets/keyset", ("clob_token_ids", v1.tokens[1]))["markets"]
    by_condition = _get(gamma, "/markets/keyset", ("condition_ids", v1.condition))["markets"]
    unseen = _get(gamma, "/markets/keyset", ("position_ids", v2.tokens[0]))["markets"]
    by_position = _get(gamma, "/markets/keyset", ("position_ids", v2.tokens[0]), ("version", "v2"))["markets"]

    assert [market["id"] for market in by_token] == [v1.market_id]
    assert [market["id"] for market in by_condition] == [v1.market_id]
    assert unseen == []
    assert len(by_position[0]["conditionId"]) == 64
    assert by_position[0]["clobTokenIds"] is None
    assert by_position[0]["positionIds"] == [str(token) for token in v2.tokens]


def test_lists_inside_a_market_are_json_in_strings(gamma, world):
    market = _get(gamma, "/markets/keyset", ("limit", 1), ("include_tag", "true"))["markets"][0]

    assert json.loads(market["outcomes"]) == ["Yes", "No"]
    assert all(token.isdigit() for token in json.loads(market["clobTokenIds"]))
    assert market["tags"][0]["label"]
    assert _get(gamma, f"/markets/slug/{market['slug']}")["id"] == market["id"]
    assert _get(gamma, f"/markets/{market['id']}")["slug"] == market["slug"]


def test_an_offset_is_refused_by_both_list_apis(gamma, data_api):
    for service, path, status in ((gamma, "/markets/keyset", 422), (data_api, "/v2/trades", 400)):
        with pytest.raises(BadRequestError) as refused:
            _get(service, path, ("offset", 5))
        assert refused.value.status == status


def test_trades_hide_makers_unless_asked_and_page_without_loss(world, data_api):
    maker = next(leader for leader in world.leaders if leader.habit == "maker").address
    delayed_ms = world.now_ms - 2_000
    expected = [record.tx_hash for record in world.ledger.of_owner(maker) if record.mined_ms <= delayed_ms]

    assert _get(data_api, "/v2/trades", ("user", maker))["data"] == []
    seen, cursor = [], None
    while True:
        params = [("user", maker), ("taker_only", "false"), ("limit", 3)]
        page = _get(data_api, "/v2/trades", *params, *([("cursor", cursor)] if cursor else []))
        seen.extend(row["transaction_hash"] for row in page["data"])
        cursor = page["pagination"]["next_cursor"]
        assert page["pagination"]["has_more"] is (cursor is not None)
        if cursor is None:
            break

    assert expected
    assert seen == expected[::-1]


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v2/trades", [("limit", 1_001)]),
        ("/v2/trades", [("user", "0x12")]),
        ("/v2/trades", [("side", "HOLD")]),
        ("/v2/trades", [("condition", "0x" + "0" * 62)]),
        ("/v2/activity", []),
        ("/v2/resolutions", []),
        ("/v2/trades", [("cursor", "not a cursor")]),
    ],
)
def test_the_data_api_names_the_parameter_it_refuses(data_api, path, params):
    with pytest.raises(BadRequestError) as refused:
        _get(data_api, path, *params)

    assert refused.value.status == 400
    assert {"error", "code", "retryable", "trace_id", "parameter"} <= refused.value.body.keys()


def test_a_resolution_pays_in_millionths(world, data_api):
    resolved = next(m for m in world.exchange.catalogue.all() if m.closed)

    row = _get(data_api, "/v2/resolutions", ("condition", resolved.condition))["data"][0]

    assert row["payouts"] == [1_000_000, 0]


def test_positions_value_and_leaderboard_agree_with_the_record(world, data_api):
    for leader in world.leaders:
        held = world.ledger.holdings(leader.address)
        rows = _get(data_api, "/v2/positions", ("user", leader.address))["data"]
        expected = {str(token): one.shares for token, one in held.items() if one.shares >= 100_000}
        assert {row["token_id"]: round(row["current_size"] * 1_000_000) for row in rows} == expected
    board = _get(data_api, "/v2/leaderboard", ("sort_by", "VOLUME"))["data"]
    assert [row["rank"] for row in board] == [str(at + 1) for at in range(len(world.leaders))]
    assert _get(data_api, "/v2/status")["data"]["ingestion"]["max_synced_block"] > 0


def test_books_come_in_another_order_and_unknown_ones_are_left_out(world, clob):
    tokens = [str(token) for market in world.exchange.catalogue.all()[:8] for token in market.tokens]
    body = json.dumps([{"token_id": token} for token in [*tokens, "12345"]]).encode()

    books = json.loads(clob.respond(Request(method="POST", path="/books", body=body)).body)
    served = [book["asset_id"] for book in books]

    assert served != tokens
    assert sorted(served) == sorted(tokens)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{}", "Invalid payload"),
        (b"not json", "Invalid payload"),
        (b'[{"token": "1"}]', "Invalid payload"),
        (json.dumps([{"token_id": "1"}] * 501).encode(), "Payload exceeds the limit"),
    ],
)
def test_bad_book_requests_are_refused_in_the_venues_words(clob, body, error):
    with pytest.raises(BadRequestError) as refused:
        clob.respond(Request(method="POST", path="/books", body=body))

    assert refused.value.body == {"error": error}


def test_price_and_midpoint_follow_the_book(world, clob):
    market = world.exchange.catalogue.all()[0]
    token = ("token_id", market.tokens[0])
    book = _get(clob, "/book", token)

    assert _get(clob, "/price", token, ("side", "BUY"))["price"] == book["bids"][-1]["price"]
    assert _get(clob, "/price", token, ("side", "SELL"))["price"] == book["asks"][-1]["price"]
    assert _get(clob, "/tick-size", token) == {"minimum_tick_size": 0.01}
    assert _get(clob, "/neg-risk", token) == {"neg_risk": False}
    assert _get(clob, f"/markets-by-token/{market.tokens[1]}")["condition_id"] == market.condition
    record = _get(clob, f"/clob-markets/{market.condition}")
    assert record["fd"] == {"r": 0.04, "e": 1, "to": True}
    assert [item["o"] for item in record["t"]] == ["Yes", "No"]


class _Node:
    def __init__(self, world: World) -> None:
        self.faults = Faults()
        self.service = RpcService(chain=world.chain, faults=self.faults)

    def call(self, method: str, *params: object):
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = json.loads(self.service.answer_text(text) or "null")
        return answer.get("result") if "error" not in answer else answer["error"]


@pytest.fixture
def node(world):
    return _Node(world)


def test_tags_name_blocks_and_the_unknown_is_null(world, node):
    head = world.chain.head

    assert node.call("eth_chainId") == "0x89"
    assert node.call("eth_blockNumber") == hex(head.number)
    assert node.call("eth_getBlockByNumber", "latest", False)["hash"] == head.block_hash
    finalized = node.call("eth_getBlockByNumber", "finalized", False)
    assert int(finalized["number"], 16) == head.number - 3
    assert node.call("eth_getBlockByNumber", hex(head.number + 1), False) is None
    assert node.call("eth_getBlockByHash", "0x" + "00" * 32, False) is None


def test_ranges_are_clamped_at_the_head_and_unknown_hashes_are_errors(world, node):
    head = world.chain.head

    by_range = node.call("eth_getLogs", {"fromBlock": hex(head.number), "toBlock": hex(head.number + 99)})
    by_hash = node.call("eth_getLogs", {"blockHash": head.block_hash})
    unknown = node.call("eth_getLogs", {"blockHash": "0x" + "00" * 32})
    backwards = node.call("eth_getLogs", {"fromBlock": hex(head.number), "toBlock": "earliest"})

    assert by_range == by_hash
    assert len(by_hash) == len(head.logs)
    assert unknown["code"] == -32000
    assert backwards["code"] == -32602


def test_receipts_hold_the_blocks_logs_and_blooms(world, node):
    block = node.call("eth_getBlockByNumber", "latest", False)

    receipts = node.call("eth_getBlockReceipts", block["number"])

    assert [one["transactionHash"] for one in receipts] == block["transactions"]
    logs = [log for one in receipts for log in one["logs"]]
    assert logs == node.call("eth_getLogs", {"blockHash": block["hash"]})
    bloom = 0
    for one in receipts:
        bloom |= int(one["logsBloom"], 16)
    assert bloom == int(block["logsBloom"], 16)
    last = receipts[-1]
    assert node.call("eth_getTransactionReceipt", last["transactionHash"]) == last


def test_a_batch_is_answered_as_a_batch_and_notifications_are_not_answered(node):
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_nonsense", "params": []},
        {"jsonrpc": "2.0", "method": "eth_blockNumber", "params": []},
    ]

    answers = json.loads(node.service.answer_text(json.dumps(batch)) or "[]")

    assert [answer["id"] for answer in answers] == ["a", 2]
    assert answers[1]["error"]["code"] == -32601
    assert json.loads(node.service.answer_text("{"))["error"]["code"] == -32700
    assert json.loads(node.service.answer_text("[]"))["error"]["code"] == -32600
    assert json.loads(node.service.answer_text("5"))["error"]["code"] == -32600


def test_a_lagging_node_does_not_know_the_newest_blocks(world, node):
    head = world.chain.head
    node.faults.rpc_lag_blocks = 5

    assert node.call("eth_blockNumber") == hex(head.number - 5)
    assert node.call("eth_getBlockByHash", head.block_hash, False) is None
    assert node.call("eth_getLogs", {"blockHash": head.block_hash})["code"] == -32000


def test_a_blind_node_answers_nothing_for_the_newest_blocks(world, node):
    head = world.chain.head
    everything = node.call("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"})
    node.faults.logs_blind_blocks = 2

    seen = node.call("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest"})

    assert 0 < len(seen) < len(everything)
    assert all(int(log["blockNumber"], 16) <= head.number - 2 for log in seen)


def test_a_scheduled_rpc_error_is_given_as_often_as_asked(node):
    body = {"code": -32005, "message": "rate limit"}
    node.faults.rules.append(ErrorRule(target="eth_chainId", status=200, body=body, remaining=2))

    answers = [node.call("eth_chainId") for _ in range(3)]

    assert answers == [body, body, "0x89"]
