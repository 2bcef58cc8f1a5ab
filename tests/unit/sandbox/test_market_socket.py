"""Subscriptions of the market socket."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox import frames
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.market_socket import IDS_PER_FRAME_MAX, MarketFeed, MarketSession
from copytrade.sandbox.sessions import Outlet
from copytrade.sandbox.world import World, WorldConfig


class FakeWire:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.closed_with: int | None = None

    def send(self, text: str) -> None:
        self.sent.append(text)

    def close(self, *, code: int = 1000, reason: str = "") -> None:
        self.closed_with = code

    def abort(self) -> None:
        self.closed_with = 1006

    def of_kind(self, kind: str) -> list[dict]:
        found = []
        for text in self.sent:
            message = json.loads(text)
            items = message if isinstance(message, list) else [message]
            found += [item for item in items if item["event_type"] == kind]
        return found


class Client:
    def __init__(self) -> None:
        self.world = World(
            WorldConfig(start_ms=1_795_000_000_000, invented_flow=False, history_blocks=1, filler_markets=0)
        )
        self.wire = FakeWire()
        exchange = self.world.exchange
        self.session = MarketSession(
            outlet=Outlet(self.wire, kind="market", faults=Faults()),
            exchange=exchange,
            snapshot=lambda market, outcome: frames.book(exchange, market, outcome),
        )
        feed = MarketFeed(exchange=exchange, sessions=lambda: [self.session])
        self.world.listen(feed.tell)
        self.markets = [market for market in exchange.catalogue.all() if market.has_book]

    def send(self, **frame: object) -> None:
        self.session.receive(json.dumps(frame))

    def move(self, market) -> None:
        self.world.exchange.set_levels(market, owner="0x" + "11" * 20, bids=[(100_000, 9_000_000)], asks=[])


@pytest.fixture
def client() -> Client:
    return Client()


def test_subscribing_to_one_outcome_brings_the_changes_of_both(client):
    market = client.markets[0]
    client.send(type="market", assets_ids=[str(market.tokens[0])])

    client.move(market)

    entries = [entry for change in client.wire.of_kind("price_change") for entry in change["price_changes"]]
    assert {entry["asset_id"] for entry in entries} == {str(token) for token in market.tokens}
    books = client.wire.of_kind("book")
    assert {book["asset_id"] for book in books} == {str(market.tokens[0])}


def test_an_empty_side_is_quoted_as_zero_or_one(client):
    market = client.markets[0]
    client.send(type="market", assets_ids=[str(market.tokens[0])])

    client.move(market)

    last = client.wire.of_kind("price_change")[-1]["price_changes"]
    assert [(entry["best_bid"], entry["best_ask"]) for entry in last] == [("0.1", "1"), ("0", "0.9")]


def test_a_second_subscription_sends_no_second_book(client):
    token = str(client.markets[0].tokens[0])
    client.send(type="market", assets_ids=[token])
    client.send(operation="subscribe", assets_ids=[token])

    assert len(client.wire.of_kind("book")) == 1


def test_later_tokens_are_added_and_removed_on_the_same_connection(client):
    first, second = client.markets[:2]
    client.send(type="market", assets_ids=[str(first.tokens[0])])
    client.send(operation="subscribe", assets_ids=[str(second.tokens[1])])
    client.send(operation="unsubscribe", assets_ids=[str(first.tokens[0])])
    client.wire.sent.clear()

    client.move(first)
    client.move(second)

    assert {change["market"] for change in client.wire.of_kind("price_change")} == {second.condition}


def test_no_dump_is_sent_when_none_is_asked_for(client):
    client.send(type="market", assets_ids=[str(client.markets[0].tokens[0])], initial_dump=False)

    assert client.wire.sent == []


def test_unknown_tokens_get_no_book_and_do_no_harm(client):
    client.send(type="market", assets_ids=["12", "not a token"])

    assert client.wire.sent == []


def test_protocol_v2_books_carry_their_version(client):
    market = next(market for market in client.markets if market.version == "v2")
    client.send(type="market", assets_ids=[str(market.tokens[0])])

    assert client.wire.of_kind("book")[0]["version"] == "v2"


def test_thousands_of_tokens_in_one_frame_end_the_connection(client):
    client.send(type="market", assets_ids=[str(number) for number in range(IDS_PER_FRAME_MAX + 1)])

    assert client.wire.closed_with == 1008


@pytest.mark.parametrize("text", ["{", "[]", '{"operation": "dance"}', '{"assets_ids": []}'])
def test_nonsense_is_refused_and_the_connection_stays(client, text):
    client.session.receive(text)

    assert client.wire.sent == ["INVALID OPERATION"]
    assert client.wire.closed_with is None


def test_the_touch_is_told_to_those_who_asked_for_more(client):
    market = client.markets[0]
    client.send(type="market", assets_ids=[str(market.tokens[1])], custom_feature_enabled=True)

    client.move(market)

    told = client.wire.of_kind("best_bid_ask")
    assert [(item["asset_id"], item["best_bid"], item["best_ask"], item["spread"]) for item in told] == [
        (str(market.tokens[1]), "0", "0.9", "0.9")
    ]


def test_new_markets_are_announced_only_to_those_who_asked(client):
    client.world.exchange.open_market(client.markets[0])
    assert client.wire.sent == []

    client.send(type="market", assets_ids=[], custom_feature_enabled=True)
    client.world.exchange.open_market(client.markets[0])

    announced = client.wire.of_kind("new_market")[0]
    assert announced["fee_schedule"]["rate"] == "0.04"
    assert "version" not in announced
