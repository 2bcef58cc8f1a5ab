"""What each kind of order gets, and what the venue says when it takes none of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType, spend_down
from copytrade.ports.execution import Executed, OrderDone
from tests.makers import a_market, micro
from tests.unit.paper.worlds import FakeBookStore, Session, an_attempt, an_executor, play, played, states, told

QUIET = ((0, "0.49:500", "0.51:500"),)
DELAYED = {"taker_delay_ms": 500}


def last_reason(script: Any, attempt: Any, *, market: Any = None, **settings: Any) -> dict[str, str]:
    async def story(session: Session) -> None:
        await session.submit(attempt, **(market or {}))
        await session.ended(1)

    done = play(script, story, **settings)[-1]
    assert isinstance(done, OrderDone)
    assert done.reason is not None
    return done.reason.as_json()


def test_a_fak_takes_what_is_there_and_never_rests() -> None:
    script = states((0, "0.49:5", "0.50:10"), (300, "0.45:5", "0.50:500"))

    events = played(script, an_attempt(size="40"), order_type=OrderType.FAK)

    assert events == [(100, "10.00", "0.50", "0.125", "taker"), (100, "CANCELED", "FAK_REST_KILLED")]


@pytest.mark.parametrize("market", [{}, DELAYED])
def test_a_fak_that_meets_nothing_is_killed_at_once(market: Any) -> None:
    events = played(states(*QUIET), an_attempt(), market=market, order_type=OrderType.FAK)

    assert events == [(100, "CANCELED", "FAK_NOT_FILLED")]


def test_a_fok_takes_all_or_nothing() -> None:
    enough = states((0, "", "0.49:10 0.50:30"))
    too_little = states((0, "", "0.49:10 0.50:29.99"), (300, "", "0.50:500"))

    assert [line[:3] for line in played(enough, an_attempt(size="40", limit="0.50"), order_type=OrderType.FOK)] == [
        (100, "10.00", "0.49"),
        (100, "30.00", "0.50"),
        (100, "FILLED", None),
    ]
    assert played(too_little, an_attempt(size="40"), order_type=OrderType.FOK) == [(100, "CANCELED", "FOK_NOT_FILLED")]


@pytest.mark.parametrize(("order_type", "code"), [(OrderType.FOK, "FOK_NOT_FILLED"), (OrderType.FAK, "FAK_NOT_FILLED")])
def test_at_the_end_of_a_hold_it_is_the_book_of_then_that_counts(order_type: OrderType, code: str) -> None:
    gone = states((0, "", "0.50:100"), (400, "", "0.60:100"))
    there = states((0, "", "0.50:5"), (400, "", "0.48:100"))

    assert played(gone, an_attempt(size="40"), market=DELAYED, order_type=order_type) == [(600, "CANCELED", code)]
    assert played(there, an_attempt(size="40"), market=DELAYED, order_type=order_type)[0][:3] == (600, "40.00", "0.48")


def test_a_market_order_to_buy_spends_whole_cents() -> None:
    script = states((0, "", "0.53:100"))

    # 33.33 x 0.53 is 17.6649, of which 17.66 is spent: 33.320754 shares.
    events = played(script, an_attempt(size="33.33", limit="0.53"), order_type=OrderType.FAK)

    assert events[0][1] == "33.320754"
    assert events[1] == (100, "FILLED", None)


def test_a_market_order_to_buy_never_has_more_shares_than_were_asked_for() -> None:
    script = states((0, "", "0.40:1000"))

    events = played(script, an_attempt(size="40", limit="0.50"), order_type=OrderType.FOK)

    assert [line[1] for line in events] == ["40.00", "FILLED"]


def test_a_market_order_to_sell_is_for_shares() -> None:
    script = states((0, "0.53:20 0.52:100", ""))

    events = played(script, an_attempt(size="33.33", limit="0.50", side=Side.SELL), order_type=OrderType.FOK)

    assert [line[1] for line in events] == ["20.00", "13.33", "FILLED"]


def test_a_market_order_may_be_smaller_than_a_resting_one() -> None:
    script = states((0, "", "0.50:100"))

    assert played(script, an_attempt(size="2"), order_type=OrderType.FAK)[0][1] == "2.00"
    assert played(script, an_attempt(size="2"))[0][2] == "SIZE_BELOW_MINIMUM"


def test_a_post_only_order_never_takes() -> None:
    crossing = states((0, "0.49:5", "0.50:10"))
    resting = states(*QUIET, (300, "0.40:5", "0.49:30"))

    assert played(crossing, an_attempt(), order_type=OrderType.POST_ONLY) == [(100, "FAILED", "POST_ONLY_CROSSES")]
    assert played(resting, an_attempt(size="30"), market=DELAYED, order_type=OrderType.POST_ONLY) == [
        (300, "30.00", "0.50", "0.00", "maker"),
        (300, "FILLED", None),
    ]


def test_a_gtd_order_expires_at_a_whole_second_two_minutes_away_or_more() -> None:
    lives = an_attempt(ttl_ms=120_000)
    too_short = an_attempt(ttl_ms=118_000)

    async def story(session: Session) -> None:
        await session.submit(lives)
        await session.until(121_500)

    assert told(play(states(*QUIET), story, order_type=OrderType.GTD)) == [(121_000, "CANCELED", "EXPIRED")]
    assert played(states(*QUIET), too_short, order_type=OrderType.GTD) == [(100, "FAILED", "INVALID_EXPIRATION")]


@pytest.mark.parametrize(
    ("order_type", "attempt", "venue"),
    [
        (OrderType.FOK, {}, "order couldn't be fully filled. FOK orders are fully filled or killed."),
        (
            OrderType.FAK,
            {},
            "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.",
        ),
        (OrderType.POST_ONLY, {"limit": "0.51"}, "invalid post-only order: order crosses book"),
        (OrderType.GTD, {}, "invalid expiration"),
        (OrderType.GTC, {"size": "4.5"}, "Size (4.50) lower than the minimum: 5"),
        (
            OrderType.FAK,
            {"size": "1.5", "limit": "0.53"},
            "invalid amount for a marketable BUY order ($0.79), min size: $1",
        ),
    ],
)
def test_the_venue_is_quoted(order_type: OrderType, attempt: Any, venue: str) -> None:
    assert last_reason(states(*QUIET), an_attempt(**attempt), order_type=order_type)["venue"] == venue


def test_a_fak_whose_book_never_comes_ends_with_its_ttl() -> None:
    assert played((), an_attempt(), order_type=OrderType.FAK) == [(1_100, "CANCELED", "NO_BOOK")]


@given(
    order_type=st.sampled_from(list(OrderType)),
    side=st.sampled_from(list(Side)),
    limit=st.sampled_from(["0", "0.000001", "0.01", "0.5", "0.505", "0.99", "1", "7"]),
    size=st.sampled_from(["0", "0.000001", "0.01", "5", "33.33", "1000000000"]),
    script=st.sampled_from(
        [
            (),
            states((0, "", "")),
            states((0, "0.5:10", "")),
            states((0, "", "0.5:10")),
            states((0, "0.6:10", "0.5:10")),
            states((0, "0.4:0.01", "0.5:999999999999"), (150, "0.6:1", "0.3:1"), (300, "", "0.1:5")),
        ]
    ),
    market=st.sampled_from([{}, {"tick_size": micro("2")}, {"tick_size": 100}, {"min_order_size": 0}, DELAYED]),
)
def test_whatever_is_asked_of_whatever_book_ends_with_a_reason(
    *, order_type: OrderType, side: Side, limit: str, size: str, script: Any, market: Any
) -> None:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(side=side, limit=limit, size=size), **market)
        await session.ended(1)

    events = play(script, story, order_type=order_type)

    *fills, done = events
    assert isinstance(done, OrderDone)
    assert (done.reason is None) == (done.status == "FILLED")
    got = [event.fill for event in fills if isinstance(event, Executed)]
    assert sum(fill.shares for fill in got) <= micro(size)
    spend = spend_down(order_type, side=side, shares=micro(size), limit=micro(limit))
    if spend is not None:
        assert sum(fill.shares * fill.price for fill in got) <= spend * 10**6
    if order_type is OrderType.FOK and got:
        assert done.status == "FILLED"
    if order_type is OrderType.POST_ONLY:
        assert {fill.liquidity for fill in got} <= {"maker"}


def test_an_order_s_kind_is_part_of_what_is_prepared() -> None:
    executor = an_executor(FakeBookStore(), order_type=OrderType.FAK)

    assert executor.prepare(an_attempt(), a_market()).order_type is OrderType.FAK
