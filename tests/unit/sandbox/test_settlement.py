"""A match becomes the log sequence of matchOrders, and nobody gains or loses by it."""

from __future__ import annotations

from collections import defaultdict

import pytest

from copytrade.sandbox import contracts
from copytrade.sandbox.book import Order
from copytrade.sandbox.catalogue import list_markets
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.market import NO, YES
from copytrade.sandbox.matching import Leg
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.settlement import settle

CENT = ONE // 100
MARKETS = {
    listing.market.slug: listing.market for listing in list_markets(seed=1, start_ms=1_795_000_000_000, filler=0)
}
STANDARD = MARKETS["lisbon-mayor-reelected"]


def _order(name: str, outcome: int, side: int, cents: int, shares: int) -> Order:
    return Order(
        order_hash="0x" + name.encode().hex().ljust(64, "0"),
        owner="0x" + name.encode().hex().ljust(40, "0"),
        outcome=outcome,
        side=side,
        price=cents * CENT,
        size=shares * ONE,
    )


def _leg(maker: Order, shares: int) -> Leg:
    return Leg(maker=maker, size=shares * ONE, book_price=maker.book_price)


def _word(data: str, at: int) -> int:
    return int(data[2 + 64 * at : 66 + 64 * at], 16)


def test_maker_logs_come_first_then_the_takers_aggregate_then_orders_matched():
    taker = _order("taker", YES, BUY, 60, 30)
    seller, minter = _order("seller", YES, SELL, 50, 10), _order("minter", NO, BUY, 45, 20)

    settled = settle(STANDARD, taker, [_leg(seller, 10), _leg(minter, 20)])
    own = [event for event in settled.events if event.address == STANDARD.exchange]

    assert [event.topics[0] for event in own] == [
        contracts.ORDER_FILLED,
        contracts.ORDER_FILLED,
        contracts.FEE_CHARGED,
        contracts.ORDER_FILLED,
        contracts.ORDERS_MATCHED,
    ]
    assert own[3].topics[3].endswith(STANDARD.exchange[2:])
    assert all(event.topics[3].endswith(taker.owner[2:]) for event in own[:2])
    # 10 at 0.50 from the seller, 20 at 1 - 0.45 with the minter.
    assert (_word(own[3].data, 2), _word(own[3].data, 3)) == (16_000_000, 30_000_000)
    assert _word(own[1].data, 1) == STANDARD.tokens[NO]
    assert _word(own[3].data, 1) == STANDARD.tokens[YES]
    assert own[4].data == "0x" + own[3].data[2 : 2 + 4 * 64]


def test_the_fee_is_that_of_the_average_price_and_only_the_taker_pays_it():
    taker = _order("taker", YES, BUY, 60, 20)
    makers = [_order("first", YES, SELL, 33, 7), _order("second", YES, SELL, 34, 13)]

    settled = settle(STANDARD, taker, [_leg(makers[0], 7), _leg(makers[1], 13)])
    fees = {fill.role: fill.fee for _, fill in settled.fills}

    # 6.73 for 20 shares: 20 x 0.04 x 0.3365 x 0.6635 = 0.178614, cut.
    assert fees == {"maker": 0, "taker": 178_610}


@pytest.mark.parametrize(
    ("slug", "exchange"),
    [
        ("lisbon-mayor-reelected", contracts.EXCHANGE_STANDARD),
        ("fed-december-cut-25", contracts.EXCHANGE_NEG_RISK),
        ("lunar-cargo-lands", contracts.EXCHANGE_V3),
        ("handball-cup-norway", contracts.EXCHANGE_V3),
    ],
)
def test_each_kind_of_market_settles_on_its_own_exchange(slug, exchange):
    market = MARKETS[slug]
    taker, maker = _order("taker", YES, SELL, 40, 9), _order("maker", YES, BUY, 41, 9)

    settled = settle(market, taker, [_leg(maker, 9)])

    assert settled.events[-1].address == exchange


@pytest.mark.parametrize(
    ("taker", "makers"),
    [
        (_order("t", YES, BUY, 60, 30), [(YES, SELL, 50, 10), (NO, BUY, 45, 20)]),
        (_order("t", NO, BUY, 60, 9), [(YES, BUY, 55, 9)]),
        (_order("t", YES, SELL, 10, 12), [(NO, SELL, 70, 5), (YES, BUY, 31, 7)]),
        (_order("t", NO, SELL, 10, 4), [(NO, BUY, 31, 4)]),
    ],
)
def test_the_exchange_keeps_nothing(taker, makers):
    legs = [
        _leg(_order(f"m{at}", outcome, side, cents, shares), shares)
        for at, (outcome, side, cents, shares) in enumerate(makers)
    ]

    settled = settle(STANDARD, taker, legs)
    kept: dict[object, int] = defaultdict(int)
    for event in settled.events:
        if event.topics[0] == contracts.TRANSFER:
            kept["pUSD", event.topics[1]] -= _word(event.data, 0)
            kept["pUSD", event.topics[2]] += _word(event.data, 0)
        if event.topics[0] == contracts.TRANSFER_SINGLE:
            kept[_word(event.data, 0), event.topics[2]] -= _word(event.data, 1)
            kept[_word(event.data, 0), event.topics[3]] += _word(event.data, 1)

    exchange = "0x" + "0" * 24 + STANDARD.exchange[2:]
    assert {key: left for key, left in kept.items() if key[1] == exchange and left} == {}
