"""Random books, streams and orders, in the words of both venues."""

from __future__ import annotations

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


@st.composite
def worlds(draw: st.DrawFn) -> World:
    orders = tuple(draw(an_order(number)) for number in range(draw(st.integers(1, 6))))
    return World(market=draw(MARKETS), script=draw(scripts()), orders=orders)


MARKETS = st.builds(
    lambda tick, delay, rate, exponent, minimum, accepting: a_market(
        tick_size=tick,
        taker_delay_ms=delay,
        fees=FeeSchedule(rate=rate, exponent=exponent),
        min_order_size=minimum,
        accepting_orders=accepting,
    ),
    tick=st.sampled_from([CENT, CENT, CENT, 2 * CENT]),
    delay=st.sampled_from([0, 0, 0, 5, 20]),
    rate=st.sampled_from([0, 50_000, 72_000]),
    exponent=st.sampled_from([1, 1, 2]),
    minimum=st.sampled_from([0, 5_000_000]),
    accepting=st.sampled_from([True] * 9 + [False]),
)
# Few prices and few sizes, so that levels come back, repeat and collide.
SIZES = st.sampled_from([3_000_000, 10_000_000, 10_000_000, 25_123_456, 80_000_000])


@st.composite
def scripts(draw: st.DrawFn) -> tuple[BookSnapshot | Lost, ...]:
    """Draw a walk of small changes to both sides; now and then it crosses or is lost."""
    bids: Levels = draw(st.dictionaries(st.integers(44, 48), SIZES, max_size=4))
    asks: Levels = draw(st.dictionaries(st.integers(49, 54), SIZES, max_size=4))
    script: list[BookSnapshot | Lost] = []
    at_ms = draw(st.integers(0, 15))
    for revision in range(1, draw(st.integers(1, 14)) + 1):
        state = _state(bids, asks, revision, at_ms)
        script.append(state)
        at_ms += draw(st.integers(0, 8))
        if draw(st.sampled_from([False] * 9 + [True])):
            script.append((YES, NOW_MS + at_ms))
            at_ms += draw(st.integers(0, 8))
        for side, prices in ((bids, (42, 50)), (asks, (47, 56))):
            side.update(draw(st.dictionaries(st.integers(*prices), SIZES, max_size=2)))
            for price in draw(st.sets(st.sampled_from(sorted(side) or [0]), max_size=2)):
                side.pop(price, None)
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


@st.composite
def an_order(draw: st.DrawFn, number: int) -> tuple[ExecutionAttempt, int | None]:
    attempt = an_attempt(
        number,
        side=draw(st.sampled_from(Side)),
        limit_price=draw(st.integers(44, 56)) * CENT - draw(st.sampled_from([0] * 19 + [1])),
        size_shares_target=draw(
            st.sampled_from([1_000_000, 5_000_000, 20_000_000, 33_330_000, 70_000_001, 200_000_000])
        ),
        ttl_ms=draw(st.sampled_from([0, 5, 30, 60])),
        decided_at_ms=NOW_MS + draw(st.integers(1, STREAM_MS)),
    )
    cancel_at = draw(st.sampled_from([None, None, None, 0, 30, 50]))
    return attempt, cancel_at


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
