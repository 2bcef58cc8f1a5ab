"""Random books, streams and orders, in the words of both venues."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal

from hypothesis import strategies as st

from copytrade.domain.attempts import ExecutionAttempt
from copytrade.domain.book import BookSnapshot, Level
from copytrade.domain.fills import Side
from copytrade.domain.market import FeeSchedule, Market
from tests.makers import NOW_MS, YES, a_market
from tests.reference.simulator import MILLIONTH, RefMarket, RefOrder, RefState
from tests.unit.paper.worlds import Lost, an_attempt

CENT = 10_000
STREAM_MS = 60
Levels = dict[int, int]


@dataclass(frozen=True)
class World:
    """A market, its book over time and orders with the instant of a cancel; instants are after NOW_MS."""

    market: Market
    script: tuple[BookSnapshot | Lost, ...]
    orders: tuple[tuple[ExecutionAttempt, int | None], ...]

    @property
    def attempts(self) -> list[ExecutionAttempt]:
        return [attempt for attempt, _ in self.orders]


def worlds() -> st.SearchStrategy[World]:
    """Dice make a world, as their throws are even; how long it is can be shrunk."""
    return st.builds(a_world, seed=st.integers(0, 2**32), orders=st.integers(1, 8), steps=st.integers(1, 20))


def a_world(*, seed: int, orders: int, steps: int) -> World:
    dice = random.Random(seed)
    market = a_market(
        tick_size=CENT if dice.random() < 0.9 else 2 * CENT,
        taker_delay_ms=dice.choice([0, 0, 0, 5, 20]),
        fees=FeeSchedule(rate=dice.choice([0, 50_000, 72_000]), exponent=dice.choice([1, 1, 2])),
        min_order_size=dice.choice([0, 5_000_000]),
        accepting_orders=dice.random() < 0.97,
    )
    sides = dice.choice([[Side.BUY], [Side.SELL], [Side.BUY, Side.SELL]])
    return World(
        market=market,
        script=a_script(dice, steps),
        orders=tuple(an_order(dice, number, sides) for number in range(orders)),
    )


# Few prices and few sizes, so that levels come back, repeat and collide.
SIZES = [3_000_000, 10_000_000, 10_000_000, 25_123_456, 80_000_000]


def a_script(dice: random.Random, steps: int) -> tuple[BookSnapshot | Lost, ...]:
    """Walk both sides in small changes; now and then they cross or the book is lost."""
    bids: Levels = {price: dice.choice(SIZES) for price in dice.sample(range(44, 49), 3)}
    asks: Levels = {price: dice.choice(SIZES) for price in dice.sample(range(49, 55), 3)}
    script: list[BookSnapshot | Lost] = []
    at_ms = dice.randint(0, 15)
    for revision in range(1, steps + 1):
        script.append(_state(bids, asks, revision, at_ms))
        at_ms += dice.randint(0, 8)
        if dice.random() < 0.05:
            script.append((YES, NOW_MS + at_ms))
            at_ms += dice.randint(0, 8)
        center = dice.randint(46, 51)
        for side, prices in ((bids, range(42, center)), (asks, range(center, 56))):
            for price in [price for price in side if price not in prices and dice.random() < 0.95]:
                del side[price]
            side[dice.choice(prices)] = dice.choice(SIZES)
            if side and dice.random() < 0.3:
                del side[dice.choice(sorted(side))]
    return tuple(script)


def _state(bids: Levels, asks: Levels, revision: int, at_ms: int) -> BookSnapshot:
    return BookSnapshot(
        token_id=YES,
        bids=tuple(Level(price * CENT, bids[price]) for price in sorted(bids, reverse=True)),
        asks=tuple(Level(price * CENT, asks[price]) for price in sorted(asks)),
        revision=revision,
        at_ms=NOW_MS + at_ms,
        venue_ts_ms=NOW_MS + at_ms,
    )


def an_order(dice: random.Random, number: int, sides: list[Side]) -> tuple[ExecutionAttempt, int | None]:
    attempt = an_attempt(
        number,
        side=dice.choice(sides),
        limit_price=dice.randint(46, 53) * CENT - (dice.random() < 0.02),
        size_shares_target=dice.choice([1_000_000, 5_000_000, 20_000_000, 33_330_000, 200_000_000])
        + (dice.random() < 0.02),
        ttl_ms=dice.choice([0, 5, 30, 60, 60]),
        decided_at_ms=NOW_MS + dice.randint(1, dice.choice([10, STREAM_MS])),
    )
    return attempt, dice.choice([None, None, None, 0, 30, 50])


def in_other_words(world: World) -> tuple[RefMarket, list[RefState], list[RefOrder]]:
    """Say the same world to the reference venue, in decimals and from NOW_MS on."""
    market = world.market
    said = RefMarket(
        tick=market.tick_size * MILLIONTH,
        min_size=market.min_order_size * MILLIONTH,
        fee_rate=market.fees.rate * MILLIONTH,
        fee_exponent=market.fees.exponent,
        delay=market.taker_delay_ms,
        is_open=market.accepting_orders,
    )
    orders = [
        RefOrder(
            id=str(attempt.id),
            side=str(attempt.side),
            limit=attempt.limit_price * MILLIONTH,
            size=attempt.size_shares_target * MILLIONTH,
            placed=attempt.decided_at_ms - NOW_MS,
            ttl=attempt.ttl_ms,
            cancel_at=cancel_at,
        )
        for attempt, cancel_at in world.orders
    ]
    return said, [_said_state(entry) for entry in world.script], orders


def _said_state(entry: BookSnapshot | Lost) -> RefState:
    if isinstance(entry, tuple):
        return RefState(at=entry[1] - NOW_MS, bids=None, asks=None)
    bids, asks = (_said_levels(levels) for levels in (entry.bids, entry.asks))
    return RefState(at=entry.at_ms - NOW_MS, bids=bids, asks=asks)


def _said_levels(levels: tuple[Level, ...]) -> dict[Decimal, Decimal]:
    return {level.price * MILLIONTH: level.size * MILLIONTH for level in levels}
