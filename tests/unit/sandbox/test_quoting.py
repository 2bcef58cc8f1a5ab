"""A maker whose quote somebody's order is in the way of posts only, or trades with it."""

from __future__ import annotations

import pytest

from copytrade.sandbox.catalogue import Liquidity, list_markets
from copytrade.sandbox.events import BUY
from copytrade.sandbox.quoting import QuotingMaker
from copytrade.sandbox.world import World, WorldConfig

START_MS = 1_795_000_000_000


@pytest.mark.parametrize(("chance", "is_hit"), [(0, False), (1, True)])
def test_a_stale_bid_is_hit_by_makers_who_cross_and_by_no_others(chance, is_hit):
    market = next(listing.market for listing in list_markets(seed=1, start_ms=START_MS, filler=0))
    world = World(WorldConfig(start_ms=START_MS, invented_flow=False, history_blocks=0), listings=[])
    world.exchange.open_market(market)
    maker = QuotingMaker(
        market=market, liquidity=Liquidity(fair=540_000), exchange=world.exchange, seed=1, crossing_chance=chance
    )
    maker.requote()
    best = world.exchange.book(market).best(is_bid=False)
    stale = world.exchange.new_order(
        owner="0x" + "57" * 20, outcome=0, side=BUY, price=best - market.tick, size=5_000_000
    )
    world.exchange.submit(market, stale, rest=True)

    for _ in range(20):
        maker.feel(pushed_up=False)
    maker.requote()

    assert (world.exchange.book(market).find(stale.order_hash) is None) == is_hit
