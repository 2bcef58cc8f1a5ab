"""Orders match by price, then by time, across both outcomes of a market."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copytrade.sandbox.book import Book, Order
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.market import NO, YES
from copytrade.sandbox.matching import MatchKind, match
from copytrade.sandbox.micro import ONE

CENT = ONE // 100


def _order(name: str, outcome: int, side: int, cents: int, shares: int) -> Order:
    return Order(
        order_hash=name,
        owner=f"owner-{name}",
        outcome=outcome,
        side=side,
        price=cents * CENT,
        size=shares * ONE,
    )


def _book(*orders: Order) -> Book:
    book = Book()
    for order in orders:
        book.add(order, remaining=order.size)
    return book


def test_a_buy_takes_the_cheapest_ask_first_and_the_older_one_at_a_price():
    book = _book(
        _order("dear", YES, SELL, 52, 10),
        _order("older", YES, SELL, 51, 10),
        _order("newer", YES, SELL, 51, 10),
    )

    result = match(book, _order("taker", YES, BUY, 52, 25))

    assert [(leg.maker.order_hash, leg.size) for leg in result.legs] == [
        ("older", 10 * ONE),
        ("newer", 10 * ONE),
        ("dear", 5 * ONE),
    ]
    assert book.level_size(is_bid=False, price=52 * CENT) == 5 * ONE


def test_a_limit_is_never_passed():
    book = _book(_order("ask", YES, SELL, 53, 10))

    result = match(book, _order("taker", YES, BUY, 52, 10))

    assert result.legs == ()
    assert result.unfilled == 10 * ONE


def test_two_buys_of_opposite_outcomes_are_a_mint():
    book = _book(_order("no-buyer", NO, BUY, 57, 7))

    result = match(book, _order("yes-buyer", YES, BUY, 43, 7))

    assert result.legs[0].kind(result.taker) is MatchKind.MINT
    assert result.legs[0].maker_collateral == 3_990_000
    assert result.legs[0].taker_collateral(result.taker) == 3_010_000


def test_two_sells_of_opposite_outcomes_are_a_merge():
    book = _book(_order("no-seller", NO, SELL, 40, 8))

    result = match(book, _order("yes-seller", YES, SELL, 55, 8))

    assert result.legs[0].kind(result.taker) is MatchKind.MERGE
    assert result.legs[0].taker_collateral(result.taker) == 4_800_000


def test_a_seller_meets_a_buyer_of_the_same_outcome_directly():
    book = _book(_order("buyer", NO, BUY, 30, 6))

    result = match(book, _order("seller", NO, SELL, 29, 6))

    assert result.legs[0].kind(result.taker) is MatchKind.COMPLEMENTARY
    assert result.legs[0].taker_collateral(result.taker) == 1_800_000


@st.composite
def _orders(draw):
    count = draw(st.integers(min_value=1, max_value=25))
    return [
        Order(
            order_hash=str(number),
            owner=str(number),
            outcome=draw(st.sampled_from((YES, NO))),
            side=draw(st.sampled_from((BUY, SELL))),
            price=draw(st.integers(min_value=1, max_value=99)) * CENT,
            size=draw(st.integers(min_value=1, max_value=50_000_000)),
        )
        for number in range(count)
    ]


@given(orders=_orders())
def test_no_share_and_no_cent_appears_or_vanishes(orders):
    book = Book()
    for order in orders:
        result = match(book, order)
        taken = sum(leg.size for leg in result.legs)
        assert taken + result.unfilled == order.size
        for leg in result.legs:
            if leg.kind(order) is MatchKind.COMPLEMENTARY:
                assert leg.taker_collateral(order) == leg.maker_collateral
            else:
                assert leg.taker_collateral(order) + leg.maker_collateral == leg.size
        if result.unfilled:
            book.add(order, remaining=result.unfilled)
        bid, ask = book.best(is_bid=True), book.best(is_bid=False)
        assert bid is None or ask is None or bid < ask


@given(orders=_orders())
def test_the_second_outcome_shows_the_mirrored_book(orders):
    book = Book()
    for order in orders:
        result = match(book, order)
        if result.unfilled:
            book.add(order, remaining=result.unfilled)

    (yes_bids, yes_asks), (no_bids, no_asks) = book.view(YES), book.view(NO)

    assert [(ONE - level.price, level.size) for level in yes_bids] == [tuple(level) for level in no_asks]
    assert [(ONE - level.price, level.size) for level in yes_asks] == [tuple(level) for level in no_bids]
    assert [level.price for level in yes_bids] == sorted(level.price for level in yes_bids)
    assert [level.price for level in yes_asks] == sorted((level.price for level in yes_asks), reverse=True)
