"""Random books, tapes and orders, in the words of both venues."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from hypothesis import strategies as st

from copytrade.domain.attempts import ExecutionAttempt
from copytrade.domain.book import BookSnapshot, Level
from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.fills import Side
from copytrade.domain.market import FeeSchedule, Market
from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from copytrade.domain.orders import OrderType
from copytrade.domain.tape import TapeEntry, TradePrint
from copytrade.domain.units import MICRO
from copytrade.ports.execution import ExecutionAdapter, PreparedOrder
from tests.makers import NO, NOW_MS, YES, a_market
from tests.reference.said import RefMarket, RefOrder, RefState, RefWord
from tests.reference.simulator import MILLIONTH
from tests.unit.paper.worlds import FakeBookStore, Lost, an_attempt, mirrored, taped

CENT = 10_000
STREAM_MS = 60
OVER_MS = 4 * STREAM_MS
"""By then every order has ended: the last is decided within the stream and lives as long as it at most."""
LONG_OVER_MS = 125_000
"""The same where a GTD may live as long as the venue wants it to."""
Levels = dict[int, int]


class Planned(NamedTuple):
    """An order, and the instant of a cancel in milliseconds after NOW_MS."""

    attempt: ExecutionAttempt
    order_type: OrderType = OrderType.GTC
    cancel_at: int | None = None


@dataclass(frozen=True)
class World:
    """A market, its first outcome's book over time, its tape and orders for both outcomes."""

    market: Market
    script: tuple[BookSnapshot | Lost, ...]
    tape: tuple[TapeEntry, ...]
    orders: tuple[Planned, ...]
    effects: frozenset[Effect] = ALL_EFFECTS

    @property
    def attempts(self) -> list[ExecutionAttempt]:
        return [order.attempt for order in self.orders]

    def only(self, attempt: ExecutionAttempt) -> World:
        return replace(self, orders=tuple(order for order in self.orders if order.attempt.id == attempt.id))

    def books(self) -> FakeBookStore:
        """Give both outcomes' books and the tape."""
        others = [mirrored(state) if isinstance(state, BookSnapshot) else (NO, state[1]) for state in self.script]
        return taped([*self.script, *others], *self.tape)

    def prepared(self, executor: ExecutionAdapter, attempt: ExecutionAttempt) -> PreparedOrder:
        """Prepare an order of this world's kind for it."""
        (order_type,) = [order.order_type for order in self.orders if order.attempt.id == attempt.id]
        return replace(executor.prepare(attempt, self.market), order_type=order_type)


def worlds(*, is_long: bool = False) -> st.SearchStrategy[World]:
    """Dice make a world, as their throws are even; how many orders and states it has can be shrunk."""
    return st.builds(
        a_world,
        seed=st.integers(0, 2**32),
        orders=st.integers(1, 8),
        steps=st.integers(1, 20),
        is_long=st.just(is_long),
    )


def a_world(*, seed: int, orders: int, steps: int, is_long: bool = False) -> World:
    dice = random.Random(seed)
    market = a_market(
        tick_size=CENT if dice.random() < 0.9 else 2 * CENT,
        taker_delay_ms=dice.choice([0, 0, 0, 5, 20]),
        fees=FeeSchedule(rate=dice.choice([0, 50_000, 72_000]), exponent=dice.choice([1, 1, 2])),
        min_order_size=dice.choice([0, 5_000_000]),
        accepting_orders=dice.random() < 0.97,
    )
    sides = dice.choice([[Side.BUY], [Side.SELL], [Side.BUY, Side.SELL]])
    script = a_script(dice, steps)
    felt = ALL_EFFECTS if dice.random() < 0.7 else frozenset(one for one in Effect if dice.random() < 0.5)
    return World(
        market=market,
        script=script,
        tape=a_tape(dice, script),
        orders=tuple(an_order(dice, number, sides, is_long=is_long) for number in range(orders)),
        effects=felt | {Effect.LATENCY},
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


def a_tape(dice: random.Random, script: Sequence[BookSnapshot | Lost]) -> tuple[TapeEntry, ...]:
    """Print trades some milliseconds after states, of which only some are what the states show; announce a little."""
    told: list[tuple[int, TradePrint | TickSizeChanged | MarketResolved]] = [
        (state.at_ms + dice.choice([0, 1, 3, 1_500]), _a_print(dice))
        for state in script
        if isinstance(state, BookSnapshot) and dice.random() < 0.6
    ]
    condition = a_market().condition_id
    at_ms = NOW_MS + dice.randint(0, STREAM_MS)
    if dice.random() < 0.1:
        told.append(
            (at_ms, TickSizeChanged(condition_id=condition, token_id=YES, tick_size=dice.choice([2, 10]) * CENT))
        )
    elif dice.random() < 0.05:
        told.append((at_ms, MarketResolved(condition_id=condition, token_ids=(YES, NO), winning_token_id=YES)))
    told.sort(key=lambda one: one[0])
    return tuple(TapeEntry(number=number, at_ms=at_ms, told=one) for number, (at_ms, one) in enumerate(told, start=1))


def _a_print(dice: random.Random) -> TradePrint:
    side, price = dice.choice(list(Side)), dice.randint(44, 54) * CENT
    size = dice.choice([1_000_000, 10_000_000, 30_000_000, 33_123_456, 200_000_000])
    if dice.random() < 0.3:
        return TradePrint(token_id=NO, side=side, price=MICRO - price, size=size)
    return TradePrint(token_id=YES, side=side, price=price, size=size)


def an_order(dice: random.Random, number: int, sides: list[Side], *, is_long: bool) -> Planned:
    limit = dice.randint(46, 53) * CENT - (dice.random() < 0.02)
    token_id = NO if dice.random() < 0.3 else YES
    attempt = an_attempt(
        number,
        token_id=token_id,
        side=dice.choice(sides),
        limit_price=limit if token_id == YES else MICRO - limit,
        size_shares_target=dice.choice([1_000_000, 5_000_000, 7_770_000, 20_000_000, 33_330_000, 200_000_000])
        + (dice.random() < 0.02),
        ttl_ms=dice.choice([0, 5, 30, 60, 60]),
        decided_at_ms=NOW_MS + dice.randint(1, dice.choice([10, STREAM_MS])),
    )
    order_type = dice.choice([OrderType.GTC] * 6 + list(OrderType))
    if is_long and order_type is OrderType.GTD:
        attempt = replace(attempt, ttl_ms=dice.choice([60, 119_000, 119_990, 120_000, 121_500]))
    return Planned(attempt, order_type, dice.choice([None, None, None, 0, 30, 50]))


def in_other_words(world: World, *, latency_ms: int) -> tuple[RefMarket, list[RefState], list[RefWord], list[RefOrder]]:
    """Say the same world to the reference venue, in decimals and from NOW_MS on."""
    market = world.market
    said = RefMarket(
        tick=market.tick_size * MILLIONTH,
        min_size=market.min_order_size * MILLIONTH,
        fee_rate=market.fees.rate * MILLIONTH if Effect.FEES in world.effects else Decimal(0),
        fee_exponent=market.fees.exponent,
        delay=market.taker_delay_ms if Effect.DELAY in world.effects else 0,
        is_open=market.accepting_orders,
        remembers=Effect.IMPACT in world.effects,
        queues=Effect.QUEUE in world.effects,
    )
    orders = [
        RefOrder(
            id=str(attempt.id),
            outcome="first" if attempt.token_id == YES else "second",
            kind=str(order_type),
            side=str(attempt.side),
            limit=attempt.limit_price * MILLIONTH,
            size=attempt.size_shares_target * MILLIONTH,
            decided=attempt.decided_at_ms - NOW_MS,
            placed=attempt.decided_at_ms - NOW_MS + latency_ms,
            ttl=attempt.ttl_ms,
            cancel_at=cancel_at,
        )
        for attempt, order_type, cancel_at in world.orders
    ]
    states = [_said_state(entry) for entry in world.script]
    return said, states, [_said_word(entry) for entry in world.tape], orders


def _said_word(entry: TapeEntry) -> RefWord:
    at = entry.at_ms - NOW_MS
    match entry.told:
        case TradePrint(token_id=token_id, side=side, price=price, size=size):
            outcome = "first" if token_id == YES else "second"
            return RefWord(at, "trade", outcome, str(side), price * MILLIONTH, size * MILLIONTH)
        case TickSizeChanged(tick_size=tick_size):
            return RefWord(at, "tick", price=tick_size * MILLIONTH)
        case _:
            return RefWord(at, "resolved")


def _said_state(entry: BookSnapshot | Lost) -> RefState:
    if isinstance(entry, tuple):
        return RefState(at=entry[1] - NOW_MS, bids=None, asks=None)
    bids, asks = (_said_levels(levels) for levels in (entry.bids, entry.asks))
    return RefState(at=entry.at_ms - NOW_MS, bids=bids, asks=asks)


def _said_levels(levels: tuple[Level, ...]) -> dict[Decimal, Decimal]:
    return {level.price * MILLIONTH: level.size * MILLIONTH for level in levels}
