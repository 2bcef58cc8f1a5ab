"""Books are spelled and hashed as the venue does it."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox import digest, quotes
from copytrade.sandbox.world import World, WorldConfig


def _quiet_world() -> World:
    return World(WorldConfig(start_ms=1_795_000_000_000, invented_flow=False, history_blocks=1, filler_markets=0))


def test_a_summary_hashes_to_its_own_hash():
    world = _quiet_world()
    market = world.exchange.catalogue.all()[0]

    summary = quotes.summary(world.exchange, market, 0)

    assert list(summary) == [
        "market",
        "asset_id",
        "timestamp",
        "hash",
        "bids",
        "asks",
        "min_order_size",
        "tick_size",
        "neg_risk",
        "last_trade_price",
    ]
    assert digest.book_hash({**summary, "hash": ""}) == summary["hash"]


def test_best_levels_come_last_and_the_other_outcome_is_the_mirror():
    world = _quiet_world()
    market = world.exchange.catalogue.all()[0]
    world.exchange.set_levels(
        market,
        owner="0x" + "11" * 20,
        bids=[(490_000, 5_500_000), (480_000, 7_000_000)],
        asks=[(510_000, 6_000_000)],
    )

    yes, no = (quotes.summary(world.exchange, market, outcome) for outcome in (0, 1))

    assert yes["bids"] == [{"price": "0.48", "size": "7"}, {"price": "0.49", "size": "5.5"}]
    assert no["asks"] == [{"price": "0.52", "size": "7"}, {"price": "0.51", "size": "5.5"}]
    assert no["bids"] == [{"price": "0.49", "size": "6"}]
    assert quotes.touch(world.exchange, market, 1) == ("0.49", "0.51")


def test_sizes_are_shown_cut_to_hundredths_and_dust_is_not_shown():
    world = _quiet_world()
    market = world.exchange.catalogue.all()[0]
    world.exchange.set_levels(market, owner="0x" + "11" * 20, bids=[(490_000, 9_999), (480_000, 290_724_446)], asks=[])

    summary = quotes.summary(world.exchange, market, 0)

    assert summary["bids"] == [{"price": "0.48", "size": "290.72"}]
    assert quotes.touch(world.exchange, market, 0) == ("0.48", "1")


@pytest.mark.recorded
def test_the_recipe_meets_a_recorded_book(recorded_data):
    lines = (recorded_data / "ws/opentape_polymarket_ws_20260907.jsonl").read_text().splitlines()
    for book in json.loads(lines[0]):
        summary = {
            "market": book["market"],
            "asset_id": book["asset_id"],
            "timestamp": book["timestamp"],
            "hash": "",
            "bids": book["bids"],
            "asks": book["asks"],
            "min_order_size": "5",
            "tick_size": book["tick_size"],
            "neg_risk": False,
            "last_trade_price": book["last_trade_price"],
        }
        assert digest.book_hash(summary) == book["hash"]
