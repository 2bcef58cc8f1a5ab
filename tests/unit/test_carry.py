"""Copies too small for an order wait, are released together, and none is lost or counted twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import Decision, reason
from copytrade.domain.fills import Side
from copytrade.domain.leader_events import LeaderHolding
from copytrade.domain.sizing import ExitMode
from copytrade.domain.units import LOT, MICRO, scaled_down
from copytrade.strategies.copy import decide
from tests.copying import Desk, codes, facts, numbers, rules, waiting_by_reasons
from tests.ledger_facts import an_attempt
from tests.makers import NOW_MS, YES, a_book, a_fill, a_leader, a_market, a_view, micro, recorded

AGE_MAX_MS = 600_000
SIZES = st.lists(st.integers(1, micro("12")), min_size=1, max_size=10)


def a_desk(*, held: str = "0", **changes: Any) -> Desk:
    return Desk(rules(carry_max_age_ms=AGE_MAX_MS, **changes), held=micro(held))


def test_a_copy_below_the_minimum_waits_and_says_how_much() -> None:
    desk = a_desk()

    verdict = desk.sees(micro("2"))

    assert verdict.decision is Decision.SKIP
    assert verdict.reasons[0].as_json() == {
        "code": "CARRIED",
        "size": "2.00",
        "waiting": "2.00",
        "fills": "1",
        "lacking": "SIZE_BELOW_MINIMUM",
        "minimum": "5.00",
    }
    assert desk.waiting == micro("2")


def test_the_fill_that_lifts_it_over_the_minimum_releases_what_waited_and_names_it() -> None:
    desk = a_desk()
    desk.sees(micro("2"), price="0.40", after_ms=1_000)
    desk.sees(micro("1.5"), price="0.48", after_ms=1_000)

    verdict = desk.sees(micro("2"), after_ms=3_000)

    assert (verdict.decision, verdict.size) == (Decision.TRADE, micro("5.5"))
    assert codes(verdict) == ["MARKETABLE", "RELEASED"]
    assert numbers(verdict, "RELEASED") == {
        "size": "3.50",
        "fills": "2",
        "leader_price": "0.434286",
        "age_ms": "4000",
    }
    assert desk.waiting == 0


def test_with_no_age_allowed_a_small_copy_is_a_plain_skip() -> None:
    desk = Desk(rules(carry_max_age_ms=0))

    assert codes(desk.sees(micro("2"))) == ["SIZE_BELOW_MINIMUM"]
    assert desk.waiting == 0


def test_what_waited_too_long_is_dropped_and_named() -> None:
    desk = a_desk()
    desk.sees(micro("2"))

    verdict = desk.sees(micro("3"), after_ms=AGE_MAX_MS + 1)

    assert codes(verdict) == ["CARRIED", "CARRY_DROPPED"]
    assert numbers(verdict, "CARRY_DROPPED")["why"] == "too old"
    assert desk.waiting == micro("3")


def test_what_waited_exactly_as_long_as_it_may_is_released() -> None:
    desk = a_desk()
    desk.sees(micro("2"))

    assert desk.sees(micro("3"), after_ms=AGE_MAX_MS).size == micro("5")


def test_the_leader_trading_the_other_way_ends_what_waits_whatever_becomes_of_that_fill() -> None:
    desk = a_desk()
    desk.sees(micro("4"))

    verdict = desk.sees(micro("1"), side=Side.SELL)

    assert codes(verdict) == ["NOTHING_HELD", "CARRY_DROPPED"]
    assert numbers(verdict, "CARRY_DROPPED") == {
        "why": "he traded the other way",
        "side": "BUY",
        "size": "4.00",
        "fills": "1",
        "leader_price": "0.50",
        "age_ms": "0",
    }
    assert desk.waiting == 0


def test_a_fill_reported_late_from_before_what_waits_undoes_nothing() -> None:
    desk = a_desk(held="100")
    desk.sees(micro("4"))

    verdict = desk.sees(micro("1"), side=Side.SELL, fill_ts_ms=NOW_MS - 5_000)

    assert codes(verdict) == ["SIZE_BELOW_MINIMUM"]
    assert desk.waiting == micro("4")


def test_what_a_cap_made_small_does_not_wait() -> None:
    desk = a_desk(max_usdc_per_trade=micro("2"))

    assert codes(desk.sees(micro("100"))) == ["SIZE_BELOW_MINIMUM"]
    assert desk.waiting == 0


def test_a_fill_that_another_rule_refuses_neither_waits_nor_releases() -> None:
    desk = a_desk(keywords_deny=("rain",))
    small = desk.sees(micro("2"))
    desk.rules = replace(desk.rules, keywords_deny=())
    desk.sees(micro("2"))
    desk.rules = replace(desk.rules, keywords_deny=("rain",))
    large = desk.sees(micro("50"))

    assert codes(small) == ["KEYWORD_DENIED", "SIZE_BELOW_MINIMUM"]
    assert codes(large) == ["KEYWORD_DENIED"]
    assert desk.waiting == micro("2")


def test_a_trade_refused_from_outside_the_strategy_releases_nothing_and_still_drops_what_ended() -> None:
    desk = a_desk(held="100")
    desk.sees(micro("4"))
    releasing = desk.sees(micro("4"))
    desk.sees(micro("4"))
    ending = desk.sees(micro("50"), side=Side.SELL)
    refused = an_attempt(recorded(a_fill()), decision=Decision.SKIP, reasons=(reason("OUTSIDE"),))

    released, still_waiting = releasing.settle(refused)
    dropped, nothing = ending.settle(refused)

    assert (codes(released), still_waiting) == (["OUTSIDE"], None)
    assert codes(dropped) == ["OUTSIDE", "CARRY_DROPPED"]
    assert nothing is not None
    assert nothing.shares == 0


def test_copies_below_the_dollar_of_a_crossing_buy_wait_too() -> None:
    cheap = facts(
        fill=a_fill(size="9", price="0.1"),
        view=a_view(a_book(bids="0.09:5", asks="0.10:50")),
    )

    verdict = decide(cheap, rules(carry_max_age_ms=AGE_MAX_MS))

    assert codes(verdict) == ["CARRIED"]
    assert numbers(verdict, "CARRIED")["lacking"] == "BELOW_MARKETABLE_MINIMUM"


def test_an_exit_that_waits_is_as_good_as_sold_for_the_next_fraction() -> None:
    fraction = rules(carry_max_age_ms=AGE_MAX_MS, exit_mode=ExitMode.FRACTION)
    known = {"held": micro("20"), "leader": a_leader()}
    first = decide(
        facts(fill=a_fill(size="10", side=Side.SELL), leader_held=LeaderHolding(shares=micro("100")), **known), fraction
    )
    second = decide(
        facts(
            fill=a_fill(size="18", side=Side.SELL),
            leader_held=LeaderHolding(shares=micro("90")),
            carry=first.carry,
            **known,
        ),
        fraction,
    )

    assert codes(first) == ["CARRIED", "EXIT_BY_FRACTION"]
    assert second.size == micro("5.6")
    assert numbers(second, "EXIT_BY_FRACTION")["held"] == "18.00"


def test_the_rest_of_a_position_below_the_minimum_waits_once() -> None:
    desk = a_desk(held="3")

    first = desk.sees(micro("50"), side=Side.SELL)
    second = desk.sees(micro("50"), side=Side.SELL)

    assert codes(first) == ["CARRIED"]
    assert numbers(first, "CARRIED")["size"] == "3.00"
    assert codes(second) == ["SIZE_BELOW_MINIMUM"]
    assert desk.waiting == micro("3")


def test_beyond_the_bound_a_small_copy_is_a_plain_skip() -> None:
    full = facts(fill=a_fill(size="2"), may_carry=False)

    assert codes(decide(full, rules(carry_max_age_ms=AGE_MAX_MS))) == ["SIZE_BELOW_MINIMUM"]


@given(sizes=SIZES, ratio=st.integers(1, 2 * MICRO))
def test_what_was_asked_is_what_was_ordered_what_waits_and_what_rounding_took(sizes: list[int], ratio: int) -> None:
    desk = a_desk(copy_ratio=ratio, max_usdc_per_trade=10**12)
    for size in sizes:
        desk.sees(size)

    ordered = [verdict.size for verdict in desk.verdicts if verdict.decision is Decision.TRADE]
    rounded = sum(scaled_down(size, ratio) for size in sizes) - sum(ordered) - desk.waiting
    assert 0 <= rounded <= (LOT - 1) * len(ordered)
    assert all(size % LOT == 0 for size in ordered)
    assert desk.waiting < micro("5")
    assert len(desk.verdicts) == len(sizes)


@given(
    moves=st.lists(
        st.tuples(st.integers(1, micro("9")), st.sampled_from(Side), st.integers(0, AGE_MAX_MS)),
        min_size=1,
        max_size=12,
    ),
    held=st.integers(0, 2_000),
)
def test_what_waits_can_be_counted_again_from_the_reasons_and_no_exit_exceeds_what_is_held(
    moves: list[tuple[int, Side, int]], held: int
) -> None:
    desk = Desk(rules(carry_max_age_ms=AGE_MAX_MS), held=held * LOT)
    for size, side, after_ms in moves:
        before = desk.held
        verdict = desk.sees(size, side=side, after_ms=after_ms)

        assert desk.waiting == waiting_by_reasons(one.reasons for one in desk.verdicts)
        assert desk.waiting >= 0
        assert side is Side.BUY or verdict.size <= before
        assert desk.held >= 0


@pytest.mark.parametrize("minimum", ["5", "15"])
def test_the_minimum_is_that_of_the_market(minimum: str) -> None:
    known = facts(fill=a_fill(size="14.99"), market=a_market(min_order_size=micro(minimum)))

    verdict = decide(known, rules(carry_max_age_ms=AGE_MAX_MS))

    assert (verdict.decision is Decision.TRADE) == (minimum == "5")
    assert (verdict.carry is None) == (minimum == "5")
    assert known.fill.token_id == YES
