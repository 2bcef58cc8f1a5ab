from __future__ import annotations

from typing import Any

import pytest

from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.fills import Side
from tests.makers import NOW_MS, YES, micro
from tests.unit.paper.worlds import FakeBookStore, Session, an_attempt, play, played, states, told

QUIET = ((0, "0.49:500", "0.51:500"),)


def test_an_order_takes_each_level_at_its_own_price_and_pays_the_fee_of_their_average() -> None:
    script = states((0, "0.49:500", "0.50:10 0.51:20 0.53:30"))

    events = played(script, an_attempt(size="30", limit="0.52"))

    assert events == [
        (100, "10.00", "0.50", "0.12501", "taker"),
        (100, "20.00", "0.51", "0.24992", "taker"),
        (100, "FILLED", None),
    ]


def test_a_sell_takes_the_bids_and_keeps_the_better_price() -> None:
    script = states((0, "0.49:10 0.48:20 0.40:50", "0.51:500"))

    events = played(script, an_attempt(side=Side.SELL, size="25", limit="0.45"), market={"taker_delay_ms": 0})

    assert [line[1:3] for line in events[:-1]] == [("10.00", "0.49"), ("15.00", "0.48")]
    assert events[-1] == (100, "FILLED", None)


def test_the_book_that_counts_is_the_one_at_placement_not_at_the_decision() -> None:
    script = states((0, "0.49:5", "0.50:100"), (99, "0.49:5", "0.52:100"), (101, "0.49:5", "0.51:100"))

    events = played(script, an_attempt(size="40", limit="0.53"))

    assert events[0] == (100, "40.00", "0.52", "0.4992", "taker")


def test_what_is_left_rests_and_is_filled_at_its_limit_as_a_maker_without_a_fee() -> None:
    script = states((0, "0.49:5", "0.50:10"), (300, "0.49:5", "0.51:7"), (400, "0.45:5", "0.48:5 0.49:8 0.52:90"))

    events = played(script, an_attempt(size="100", limit="0.50"))

    assert events == [
        (100, "10.00", "0.50", "0.125", "taker"),
        (400, "13.00", "0.50", "0.00", "maker"),
        (1_100, "CANCELED", "TTL_EXPIRED"),
    ]


def test_an_order_that_crosses_nothing_rests_and_ends_with_its_ttl() -> None:
    assert played(states(*QUIET), an_attempt(limit="0.50")) == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_the_ttl_starts_at_placement_and_its_last_instant_counts() -> None:
    at_the_end = states(*QUIET, (1_100, "0.40:5", "0.49:100"))
    after_the_end = states(*QUIET, (1_101, "0.40:5", "0.49:100"))

    assert played(at_the_end, an_attempt(limit="0.50"))[-1] == (1_100, "FILLED", None)
    assert played(after_the_end, an_attempt(limit="0.50")) == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_two_orders_in_a_row_cannot_buy_the_same_shares() -> None:
    script = states((0, "0.49:5", "0.50:100"))

    events = played(script, an_attempt("a", size="80"), an_attempt("b", size="80", decided_at_ms=NOW_MS + 10))

    assert [line[:2] for line in events] == [
        (100, "80.00"),
        (100, "FILLED"),
        (110, "20.00"),
        (1_110, "CANCELED"),
    ]


def test_used_up_liquidity_stays_gone_after_the_order_that_took_it_has_ended() -> None:
    script = states((0, "0.49:5", "0.50:100"), (20_000, "0.49:6", "0.50:100"))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("a", size="100"))
        await session.until(30_000)
        await session.submit(an_attempt("b", size="100", decided_at_ms=NOW_MS + 30_000))
        await session.ended(2)

    assert told(play(script, story))[-1] == (31_100, "CANCELED", "TTL_EXPIRED")


def test_a_level_restated_while_no_order_was_open_is_there_again() -> None:
    script = states((0, "0.49:5", "0.50:100"), (5_000, "0.49:5", "0.50:99"), (20_000, "0.49:5", "0.50:100"))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("a", size="100"))
        await session.until(30_000)
        await session.submit(an_attempt("b", size="100", decided_at_ms=NOW_MS + 30_000))
        await session.ended(2)

    assert told(play(script, story))[-1] == (30_100, "FILLED", None)


def test_a_marketable_order_is_held_and_judged_by_the_book_of_its_release() -> None:
    script = states((0, "0.49:5", "0.50:100"), (200, "0.49:5", "0.52:100"), (249, "0.49:5", "0.51:100"))

    events = played(script, an_attempt(size="40", limit="0.51"), market={"taker_delay_ms": 150})

    assert events[0] == (250, "40.00", "0.51", "0.4998", "taker")


def test_a_held_order_whose_book_moved_away_rests() -> None:
    script = states((0, "0.49:5", "0.50:100"), (150, "0.49:5", "0.55:100"), (600, "0.45:5", "0.50:3"))

    events = played(script, an_attempt(size="40", limit="0.51"), market={"taker_delay_ms": 150})

    assert events == [(600, "3.00", "0.51", "0.00", "maker"), (1_100, "CANCELED", "TTL_EXPIRED")]


def test_an_order_that_is_not_marketable_is_not_held() -> None:
    script = states((0, "0.49:5", "0.55:100"), (150, "0.45:5", "0.50:3"))

    events = played(script, an_attempt(size="40", limit="0.51"), market={"taker_delay_ms": 3_000})

    assert events[0] == (150, "3.00", "0.51", "0.00", "maker")


def test_a_hold_longer_than_the_ttl_ends_in_one_sweep() -> None:
    script = states((0, "0.49:5", "0.50:10"))

    events = played(script, an_attempt(size="40", ttl_ms=50), market={"taker_delay_ms": 1_000})

    assert events == [(1_100, "10.00", "0.50", "0.125", "taker"), (1_100, "CANCELED", "TTL_EXPIRED")]


def test_without_a_book_the_order_waits_for_the_next_state() -> None:
    script = states((400, "0.49:5", "0.50:100"))

    assert played(script, an_attempt(size="40"))[0] == (400, "40.00", "0.50", "0.50", "taker")


def test_without_any_book_until_its_ttl_it_ends_as_such() -> None:
    assert played((), an_attempt()) == [(1_100, "CANCELED", "NO_BOOK")]


def test_a_lost_book_is_not_traded_on() -> None:
    first, second = states((0, "0.49:5", "0.50:100"), (700, "0.49:5", "0.51:100"))

    events = played((first, (YES, NOW_MS + 50), second), an_attempt(size="40", limit="0.52"))

    assert events[0] == (700, "40.00", "0.51", "0.4998", "taker")


def test_a_crossed_book_is_not_traded_on() -> None:
    script = states((0, "0.52:5", "0.50:100"), (300, "0.55:5", "0.45:100"), (500, "0.49:5", "0.51:100"))

    events = played(script, an_attempt(size="40", limit="0.52"))

    assert events == [(500, "40.00", "0.51", "0.4998", "taker"), (500, "FILLED", None)]


def test_a_resting_order_is_not_filled_by_a_crossed_state() -> None:
    script = states(*QUIET, (300, "0.55:5", "0.45:100"))

    assert played(script, an_attempt(limit="0.50")) == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_a_book_not_known_true_for_too_long_is_not_traded_on() -> None:
    books = FakeBookStore(*states((0, "0.49:5", "0.50:100")))
    books.ages[YES] = 6_000

    assert played(books, an_attempt()) == [(1_100, "CANCELED", "NO_BOOK")]


def test_lateness_of_the_worker_does_not_age_the_book() -> None:
    books = FakeBookStore(*states((0, "0.49:5", "0.50:100")))

    async def story(session: Session) -> None:
        await session.until(60_000)
        books.ages[YES] = 60_000
        await session.submit(an_attempt(size="40"))
        await session.ended(1)

    assert told(play(books, story))[0] == (100, "40.00", "0.50", "0.50", "taker")


@pytest.mark.parametrize(
    ("attempt", "market", "code"),
    [
        ({"size": "4.99"}, {}, "SIZE_BELOW_MINIMUM"),
        ({"size": "10.001"}, {}, "OFF_LOT"),
        ({"limit": "0.505"}, {}, "OFF_TICK"),
        ({"limit": "1"}, {}, "PRICE_OUT_OF_RANGE"),
        ({"limit": "0"}, {}, "PRICE_OUT_OF_RANGE"),
        ({"limit": "0.5"}, {"tick_size": micro("2")}, "PRICE_OUT_OF_RANGE"),
        ({}, {"closed": True}, "MARKET_NOT_ACCEPTING"),
        ({}, {"accepting_orders": False}, "MARKET_NOT_ACCEPTING"),
        ({}, {"enable_order_book": False}, "MARKET_NOT_ACCEPTING"),
        ({"size": "5", "limit": "0.19"}, {}, "BELOW_MARKETABLE_MINIMUM"),
    ],
)
def test_the_venue_refuses_with_its_own_reason(attempt: Any, market: Any, code: str) -> None:
    script = states((0, "0.01:5", "0.15:500"))

    assert played(script, an_attempt(**attempt), market=market) == [(100, "FAILED", code)]


def test_the_dollar_minimum_is_for_marketable_buys_only() -> None:
    script = states((0, "0.10:500", "0.20:500"))
    resting = an_attempt("resting", size="5", limit="0.19")
    selling = an_attempt("selling", size="5", limit="0.10", side=Side.SELL)

    ends = [line[1] for line in played(script, resting, selling) if line[1] in set(AttemptStatus)]

    assert ends == ["FILLED", "CANCELED"]


def test_without_the_delay_a_marketable_order_is_not_held() -> None:
    script = states((0, "0.49:5", "0.50:100"))
    effects = ALL_EFFECTS - {Effect.DELAY}

    assert played(script, an_attempt(size="40"), market={"taker_delay_ms": 150}, effects=effects)[0][0] == 100


def test_without_fees_a_taker_pays_none() -> None:
    script = states((0, "0.49:5", "0.50:100"))

    assert played(script, an_attempt(size="40"), effects=ALL_EFFECTS - {Effect.FEES})[0][3] == "0.00"


def test_absurd_sizes_meet_what_is_there() -> None:
    script = states((0, "", "0.50:10"))

    assert played(script, an_attempt(size="999999999999"))[0] == (100, "10.00", "0.50", "0.125", "taker")
