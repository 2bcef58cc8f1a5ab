"""The copy strategy trades what it may and names every rule that refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import Decision
from copytrade.domain.book import Level, QuoteTier
from copytrade.domain.copy_rules import RATIO_MAX
from copytrade.domain.fills import LeaderFill, LeaderRole, Side
from copytrade.domain.leader_events import LeaderHolding
from copytrade.domain.sizing import ExitMode, SizingMode
from copytrade.domain.units import BPS, MICRO, notional_up
from copytrade.strategies.copy import Bankroll, decide
from tests.copying import codes, facts, numbers, rules
from tests.makers import NOW_MS, a_book, a_fill, a_leader, a_market, a_view, micro


def test_a_plain_buy_is_copied_at_the_limit() -> None:
    verdict = decide(facts(), rules())

    assert verdict.decision is Decision.TRADE
    assert (verdict.size, verdict.limit) == (micro("100"), micro("0.51"))
    assert codes(verdict) == ["MARKETABLE"]


def test_a_touch_beyond_the_limit_is_no_reason_to_skip() -> None:
    verdict = decide(facts(view=a_view(a_book(asks="0.60:10"))), rules())

    assert verdict.decision is Decision.TRADE
    assert codes(verdict) == ["RESTS_AT_LIMIT"]


def test_a_combo_is_refused_for_what_it_is() -> None:
    combo = str(3 << 248 | 7 << 120 | 1)

    verdict = decide(facts(fill=a_fill(token_id=combo), market=None, view=None), rules())

    assert verdict.decision is Decision.SKIP
    assert codes(verdict) == ["COMBO"]


def test_a_sell_is_cut_to_what_is_held_and_says_so() -> None:
    verdict = decide(facts(fill=a_fill(side=Side.SELL), held=micro("40.5")), rules())

    assert verdict.decision is Decision.TRADE
    assert verdict.size == micro("40.5")
    assert codes(verdict) == ["MARKETABLE", "CUT_BY_HELD"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"market": None, "view": None}, "UNMAPPED"),
        ({"view": None}, "NO_BOOK"),
        ({"leader": None}, "NOT_FOLLOWED"),
        ({"view": a_view(tier=QuoteTier.HARD_STALE, age_ms=5_001)}, "BOOK_STALE"),
        ({"view": a_view(a_book(bids="0.52:1", asks="0.51:1"))}, "BOOK_CROSSED"),
        ({"market": a_market(closed=True)}, "MARKET_CLOSED"),
        ({"market": a_market(accepting_orders=False)}, "NOT_ACCEPTING_ORDERS"),
        ({"market": a_market(enable_order_book=False), "view": None}, "NO_ORDER_BOOK"),
        ({"fill": a_fill(size="4.99")}, "SIZE_BELOW_MINIMUM"),
        ({"fill": a_fill(side=Side.SELL)}, "NOTHING_HELD"),
        ({"fill": a_fill(fill_ts_ms=NOW_MS - 30_001)}, "TOO_OLD"),
        (
            {"fill": a_fill(size="9", price="0.1"), "view": a_view(a_book(bids="0.09:5", asks="0.10:50"))},
            "BELOW_MARKETABLE_MINIMUM",
        ),
    ],
)
def test_a_rule_that_refuses_is_named(changes: dict[str, Any], code: str) -> None:
    verdict = decide(facts(**changes), rules())

    assert verdict.decision is Decision.SKIP
    assert codes(verdict) == [code]
    assert numbers(verdict, code)
    assert (verdict.size, verdict.limit) == (0, 0)


def test_a_sale_of_what_we_do_not_hold_says_how_much_he_sold() -> None:
    verdict = decide(facts(fill=a_fill(side=Side.SELL, size="60")), rules())

    assert numbers(verdict, "NOTHING_HELD") == {"held": "0.00", "leader_sold": "60.00"}


def test_every_refusing_rule_is_named_with_its_numbers() -> None:
    old_and_small = a_fill(size="1", fill_ts_ms=NOW_MS - 40_000)

    verdict = decide(facts(fill=old_and_small), rules())

    assert [one.as_json() for one in verdict.reasons] == [
        {"code": "TOO_OLD", "age_ms": "40000", "age_ms_max": "30000"},
        {"code": "SIZE_BELOW_MINIMUM", "size": "1.00", "minimum": "5.00"},
    ]


def test_a_fill_exactly_at_the_age_limit_is_still_copied() -> None:
    assert decide(facts(fill=a_fill(fill_ts_ms=NOW_MS - 30_000)), rules()).decision is Decision.TRADE


def test_a_small_order_that_does_not_cross_needs_no_dollar() -> None:
    resting = facts(fill=a_fill(size="9", price="0.1"), view=a_view(a_book(bids="0.09:5", asks="0.30:50")))

    assert decide(resting, rules()).decision is Decision.TRADE


def test_a_leaders_own_ratio_and_cap_go_first() -> None:
    leader = a_leader(copy_ratio=micro("0.1"), max_usdc_per_trade=micro("4"))

    verdict = decide(facts(leader=leader), rules())

    assert verdict.ratio == micro("0.1")
    assert verdict.size == micro("7.84")


def test_following_a_resting_leader_is_scaled_by_its_own_ratio() -> None:
    verdict = decide(facts(fill=a_fill(role=LeaderRole.MAKER)), rules(maker_leader_ratio=micro("0.25")))

    assert verdict.size == micro("25")


def test_a_fixed_entry_spends_the_cap_whatever_the_leaders_size() -> None:
    verdict = decide(facts(fill=a_fill(size="6")), rules(sizing_mode=SizingMode.FIXED_USDC))

    assert verdict.size == micro("196.07")


@pytest.mark.parametrize(
    ("leader_held", "size", "code"),
    [
        (LeaderHolding(shares=micro("400")), "10", "EXIT_BY_FRACTION"),
        (LeaderHolding(shares=micro("100")), "40", "EXIT_BY_FRACTION"),
        (LeaderHolding(shares=micro("60")), "40", "EXIT_BY_FRACTION"),
        (LeaderHolding(shares=0), "30", "EXIT_BY_RATIO"),
        (LeaderHolding(unknown="no snapshot"), "30", "EXIT_BY_RATIO"),
    ],
    ids=["a quarter", "all", "more than all", "none", "unknown"],
)
def test_an_exit_by_fraction_says_what_it_was_sized_by(leader_held: LeaderHolding, size: str, code: str) -> None:
    known = facts(fill=a_fill(side=Side.SELL), held=micro("40"), leader_held=leader_held)

    verdict = decide(known, rules(exit_mode=ExitMode.FRACTION, copy_ratio=MICRO * 3 // 10))

    assert verdict.decision is Decision.TRADE
    assert verdict.size == micro(size)
    assert codes(verdict) == ["MARKETABLE", code]


def test_a_buy_has_no_exit() -> None:
    verdict = decide(facts(leader_held=LeaderHolding(shares=micro("400"))), rules(exit_mode=ExitMode.FRACTION))

    assert codes(verdict) == ["MARKETABLE"]


@pytest.mark.parametrize(
    ("price", "tick", "own", "refused"),
    [
        ("0.0097", "0.01", {}, True),
        ("0.0098", "0.01", {}, False),
        ("0.008", "0.01", {"slippage_bps_max": 2_500}, False),
        ("0.008", "0.01", {"slippage_bps_max": 2_500, "slippage_ticks_max": 0}, True),
        ("0.004", "0.01", {"slippage_bps_max": 10_000, "slippage_ticks_max": 1}, True),
        ("0.005", "0.01", {"slippage_bps_max": 10_000, "price_max": micro("0.006")}, True),
        ("0.004", "0.001", {}, False),
    ],
)
def test_an_entry_is_refused_where_the_lowest_price_of_the_grid_is_more_than_it_may_pay(
    price: str, tick: str, own: dict[str, Any], *, refused: bool
) -> None:
    fill, market = a_fill(price=price, size="200"), a_market(tick_size=micro(tick))
    known = facts(fill=fill, market=market, view=a_view(a_book(bids="", asks="0.01:9")))

    verdict = decide(known, rules(**own))

    assert ("TICK_ABOVE_PRICE" in codes(verdict)) == refused
    assert refused or verdict.decision is Decision.TRADE


def test_the_way_out_is_never_shut_by_the_tick() -> None:
    known = facts(fill=a_fill(side=Side.SELL, price="0.004"), held=micro("50"))

    verdict = decide(known, rules())

    assert (verdict.decision, verdict.limit) == (Decision.TRADE, micro("0.01"))


PRICES = st.integers(1, MICRO - 1)
LEVELS = st.lists(st.builds(Level, PRICES, st.integers(1, 10**15)), max_size=3).map(tuple)


@given(
    fill=st.builds(
        replace,
        st.just(a_fill()),
        size=st.integers(1, 10**15),
        price=PRICES,
        usdc=st.integers(0, 10**15),
        side=st.sampled_from(Side),
        role=st.sampled_from(LeaderRole),
        fill_ts_ms=st.integers(NOW_MS - 60_000, NOW_MS + 60_000),
    ),
    tick=st.sampled_from([micro(tick) for tick in ("0.1", "0.01", "0.0001", "0.5", "0.9")]),
    bids=LEVELS,
    asks=LEVELS,
    held=st.integers(-(10**12), 10**12),
    leader_held=st.builds(LeaderHolding, shares=st.integers(0, 10**15)),
    bankroll=st.none()
    | st.builds(
        Bankroll,
        ours=st.integers(-(10**15), 10**15),
        his=st.none() | st.integers(0, 10**15),
        his_age_ms=st.integers(0, 10**7),
    ),
    sizing=st.sampled_from(SizingMode),
    price_max=st.none() | st.integers(0, MICRO),
)
def test_whatever_the_numbers_are_there_is_a_verdict_within_every_bound(
    *,
    fill: LeaderFill,
    tick: int,
    bids: tuple[Level, ...],
    asks: tuple[Level, ...],
    held: int,
    leader_held: LeaderHolding,
    bankroll: Bankroll | None,
    sizing: SizingMode,
    price_max: int | None,
) -> None:
    known = facts(
        fill=fill,
        market=a_market(tick_size=tick),
        view=a_view(replace(a_book(), bids=bids, asks=asks)),
        held=held,
        leader_held=leader_held,
        bankroll=bankroll,
    )
    copied = rules(
        sizing_mode=sizing,
        exit_mode=ExitMode.FRACTION,
        price_max=price_max,
        spread_max=micro("0.2"),
        depth_usdc_min=1,
        carry_max_age_ms=60_000,
    )

    verdict = decide(known, copied)

    assert verdict.reasons
    assert 0 <= verdict.ratio <= RATIO_MAX
    assert (verdict.decision is Decision.TRADE) == (verdict.size > 0) == (verdict.ttl_ms > 0)
    if verdict.decision is Decision.TRADE:
        assert tick <= verdict.limit <= MICRO - tick or verdict.limit == tick
        assert verdict.size <= held if known.is_exit else notional_up(verdict.size, verdict.limit) <= micro("100")
    if verdict.decision is Decision.TRADE and not known.is_exit:
        assert verdict.limit * BPS <= fill.price * (BPS + copied.slippage_bps_max)
        assert verdict.limit <= (MICRO if price_max is None else price_max)
