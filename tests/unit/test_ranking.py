from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.ranking import (
    DAY_MS,
    Estimate,
    Flow,
    FollowCost,
    Holding,
    copyability,
    event_results,
    is_market_maker,
    median_depth_share,
    percent,
    ratio_estimate,
    record_of,
    warnings_of,
)
from copytrade.domain.units import MICRO

NOW_MS = 1_790_000_000_000


def bought(
    usdc: int, shares: int, *, event: str = "e", token: str = "1", at_s: int = 0, condition: str = "0xc"
) -> Flow:
    return Flow(
        event=event,
        condition_id=condition,
        token_id=token,
        cash=-usdc * MICRO,
        shares=shares * MICRO,
        at_ms=at_s * 1000,
        is_trade=True,
    )


def sold(usdc: int, shares: int, **more: object) -> Flow:
    flow = bought(usdc, shares, **more)
    return replace(flow, cash=-flow.cash, shares=-flow.shares)


def redeemed(usdc: int, *, event: str = "e", at_s: int = 0) -> Flow:
    return Flow(
        event=event, condition_id="0xc", token_id="", cash=usdc * MICRO, shares=0, at_ms=at_s * 1000, is_trade=False
    )


def held(shares: int, value: int, *, event: str = "e", token: str = "1") -> Holding:
    return Holding(event=event, token_id=token, shares=shares * MICRO, value=value * MICRO)


def test_what_was_sold_and_redeemed_counts_against_what_was_paid():
    (one,), skipped = event_results([bought(60, 100), sold(30, 40, at_s=5), redeemed(60, at_s=90)], [])

    assert (one.paid, one.result, one.is_open, one.held_ms, skipped) == (60 * MICRO, 30 * MICRO, False, 90_000, 0)


def test_a_loser_that_is_never_sold_counts_in_the_hit_rate():
    flows = [bought(60, 100, event="won"), redeemed(100, event="won", at_s=9), bought(60, 100, event="held", token="2")]

    record = record_of(flows, [held(100, 3, event="held", token="2")], maker_usdc=0, trade_usdc=120 * MICRO)

    assert record.hit_rate == 500_000
    assert (record.realized, record.marked) == (40 * MICRO, -17 * MICRO)


def test_an_event_that_began_before_the_window_is_left_out():
    results, skipped = event_results([sold(50, 100), bought(10, 20, at_s=1)], [])

    assert (results, skipped) == ([], 1)


def test_a_redemption_alone_is_no_profit_of_the_window():
    assert event_results([redeemed(100)], []) == ([], 1)


def test_buying_both_outcomes_of_one_market_is_seen_but_two_outcomes_of_an_event_are_not():
    both, _ = event_results([bought(5, 10), bought(5, 10, token="2")], [])
    apart, _ = event_results([bought(5, 10), bought(5, 10, token="2", condition="d")], [])

    assert (both[0].is_both_sides, apart[0].is_both_sides) == (True, False)


def test_the_edge_of_equal_events_is_certain_and_that_of_one_is_not():
    equal = ratio_estimate([(10 * MICRO, 100 * MICRO)] * 30)
    single = ratio_estimate([(10 * MICRO, 100 * MICRO)])

    assert equal == Estimate(ratio=100_000, half_width=0, samples=30)
    assert single is not None
    assert single.low < 0 < single.high


@given(st.lists(st.tuples(st.integers(-(10**10), 10**10), st.integers(1, 10**10)), min_size=2, max_size=40))
def test_the_interval_is_that_of_a_ratio_of_sums(pairs):
    found = ratio_estimate(pairs)

    whole = sum(x for _, x in pairs)
    ratio = sum(y for y, _ in pairs) / whole
    n = len(pairs)
    deviation = (n / (n - 1) * sum((y - ratio * x) ** 2 for y, x in pairs)) ** 0.5 / whole
    assert found is not None
    assert found.ratio == pytest.approx(ratio * MICRO, abs=1)
    assert found.half_width == pytest.approx(1.96 * deviation * MICRO, rel=1e-3, abs=5)


def test_copyability_is_his_edge_less_our_cost_with_both_doubts():
    edge = Estimate(ratio=50_000, half_width=30_000, samples=40)
    cost = FollowCost(cost=Estimate(ratio=20_000, half_width=40_000, samples=9), measured_on="his")

    assert copyability(edge, cost) == Estimate(ratio=30_000, half_width=50_000, samples=40)
    assert copyability(edge, None) is None


def test_a_good_leader_has_nothing_against_him():
    flows = [
        flow
        for n in range(40)
        for flow in (
            bought(50, 100, event=f"e{n}", at_s=n * 10_000),
            redeemed(60, event=f"e{n}", at_s=n * 10_000 + 9_000),
        )
    ]
    record = record_of(flows, [], maker_usdc=0, trade_usdc=2_000 * MICRO)

    worth = Estimate(ratio=100_000, half_width=10_000, samples=40)
    assert warnings_of(record, worth, now_ms=40 * 10_000_000) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"events": 3}, "only 3 events"),
        ({"events": 0}, "nothing that can be judged"),
        ({"edge": Estimate(ratio=-5_000, half_width=0, samples=40)}, "he loses: -0.5%"),
        ({"maker_share": 900_000, "both_sides_share": 500_000}, "a market maker: 90.0%"),
        ({"maker_share": 900_000}, "resting orders"),
        ({"both_sides_share": 400_000}, "both sides in 40.0%"),
        ({"median_holding_ms": 12_000}, "holds for 12 s"),
        ({"last_trade_ms": NOW_MS - 20 * DAY_MS}, "silent for 20 days"),
    ],
)
def test_each_thing_that_speaks_against_him_is_said_with_its_figure(change, says):
    fine = record_of([], [], maker_usdc=0)
    fine = replace(fine, events=40, edge=Estimate(ratio=90_000, half_width=0, samples=40), last_trade_ms=NOW_MS)

    assert warnings_of(fine, None, now_ms=NOW_MS) == ()
    assert any(says in warning for warning in warnings_of(replace(fine, **change), None, now_ms=NOW_MS))


def test_a_cost_above_the_edge_and_an_edge_that_may_be_chance_are_told_apart():
    record = replace(record_of([], [], maker_usdc=0), events=40, last_trade_ms=NOW_MS)

    costly = warnings_of(record, Estimate(ratio=-1_000, half_width=0, samples=9), now_ms=NOW_MS)
    doubtful = warnings_of(record, Estimate(ratio=10_000, half_width=30_000, samples=9), now_ms=NOW_MS)

    assert "costs more than he makes" in costly[0]
    assert "may be chance: -2.0% to 4.0%" in doubtful[0]


def test_who_rests_orders_on_one_side_only_is_no_market_maker():
    record = replace(record_of([], [], maker_usdc=0), maker_share=900_000, both_sides_share=0)

    assert not is_market_maker(record)
    assert is_market_maker(replace(record, both_sides_share=500_000))


def test_a_trade_is_measured_against_the_book_of_its_own_token():
    trades = {"1": [10 * MICRO], "2": [30 * MICRO], "gone": [5 * MICRO]}

    assert median_depth_share(trades, {"1": 100 * MICRO, "2": 100 * MICRO, "empty": 0}) == 100_000
    assert median_depth_share(trades, {}) is None


def test_percentages_keep_their_sign_below_one():
    assert (percent(-1_234), percent(55_550), percent(0)) == ("-0.1%", "5.5%", "0.0%")
