"""Sizes and limits never allow more than the rules do."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.fills import Side
from copytrade.domain.sizing import Size, by_bankroll, by_fraction, cut, limit_price
from copytrade.domain.units import BPS, LOT, MICRO, notional_up
from tests.makers import micro

TICKS = st.sampled_from([micro(tick) for tick in ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")])
PRICES = st.integers(1, MICRO - 1)


@pytest.mark.parametrize(
    ("side", "price", "bps", "tick", "limit"),
    [
        (Side.BUY, "0.50", 300, "0.01", "0.51"),
        (Side.SELL, "0.50", 300, "0.01", "0.49"),
        (Side.BUY, "0.50", 0, "0.01", "0.50"),
        (Side.SELL, "0.50", 0, "0.01", "0.50"),
        (Side.BUY, "0.899080", 300, "0.001", "0.926"),
        (Side.BUY, "0.99", 300, "0.01", "0.99"),
        (Side.SELL, "0.01", 300, "0.01", "0.01"),
        (Side.BUY, "0.004", 300, "0.01", "0.01"),
        (Side.BUY, "0.5", 300, "0.0025", "0.515"),
    ],
)
def test_the_limit_is_the_leaders_price_moved_by_the_slippage_and_put_on_the_tick(
    side: Side, price: str, bps: int, tick: str, limit: str
) -> None:
    assert limit_price(side, leader_price=micro(price), slippage_bps=bps, tick=micro(tick)) == micro(limit)


@given(price=PRICES, bps=st.integers(0, BPS), tick=TICKS)
def test_a_buy_limit_is_on_the_tick_and_never_above_the_allowed_price_but_for_the_clamp(
    price: int, bps: int, tick: int
) -> None:
    limit = limit_price(Side.BUY, leader_price=price, slippage_bps=bps, tick=tick)

    assert limit % tick == 0
    assert tick <= limit <= MICRO - tick
    assert limit * BPS <= price * (BPS + bps) or limit == tick


@given(price=PRICES, bps=st.integers(0, BPS), tick=TICKS)
def test_a_sell_limit_is_on_the_tick_and_never_below_the_allowed_price_but_for_the_clamp(
    price: int, bps: int, tick: int
) -> None:
    limit = limit_price(Side.SELL, leader_price=price, slippage_bps=bps, tick=tick)

    assert limit % tick == 0
    assert tick <= limit <= MICRO - tick
    assert limit * BPS >= price * (BPS - bps) or limit == MICRO - tick


@pytest.mark.parametrize(
    ("side", "bps", "ticks", "limit"),
    [
        (Side.BUY, 1_000, 2, "0.52"),
        (Side.BUY, 200, 5, "0.51"),
        (Side.BUY, 1_000, 0, "0.50"),
        (Side.SELL, 1_000, 2, "0.48"),
        (Side.SELL, 200, 5, "0.49"),
        (Side.SELL, 1_000, 100, "0.45"),
    ],
)
def test_the_smaller_slippage_of_bps_and_ticks_makes_the_limit(side: Side, bps: int, ticks: int, limit: str) -> None:
    made = limit_price(side, leader_price=micro("0.5"), slippage_bps=bps, slippage_ticks=ticks, tick=micro("0.01"))

    assert made == micro(limit)


@given(price=PRICES, bps=st.integers(0, BPS), ticks=st.integers(0, 50), tick=TICKS, side=st.sampled_from(Side))
def test_ticks_only_ever_tighten_the_limit(price: int, bps: int, ticks: int, tick: int, side: Side) -> None:
    loose = limit_price(side, leader_price=price, slippage_bps=bps, tick=tick)
    tight = limit_price(side, leader_price=price, slippage_bps=bps, slippage_ticks=ticks, tick=tick)

    assert tick <= tight <= MICRO - tick
    assert tight % tick == 0
    assert tight <= loose if side is Side.BUY else tight >= loose
    beyond = tight - price if side is Side.BUY else price - tight
    assert beyond <= ticks * tick or tight in {tick, MICRO - tick}


def test_a_size_is_cut_to_whole_lots_and_that_is_no_cap() -> None:
    assert cut(micro("16.6685"), limit=micro("0.5")) == Size(shares=micro("16.66"), cut_by=())


def test_the_cap_cuts_at_the_limit_price() -> None:
    assert cut(micro("1000"), limit=micro("0.51"), cap=micro("100")) == Size(shares=micro("196.07"), cut_by=("CAP",))


def test_a_sell_is_cut_by_what_is_held() -> None:
    assert cut(micro("50"), limit=micro("0.5"), held=micro("12.345")) == Size(shares=micro("12.34"), cut_by=("HELD",))


@given(
    wanted=st.integers(0, 10**13),
    cap=st.none() | st.integers(0, 10**12),
    limit=PRICES,
    held=st.none() | st.integers(0, 10**13),
)
def test_no_size_exceeds_what_is_wanted_the_cap_or_what_is_held(
    wanted: int, cap: int | None, limit: int, held: int | None
) -> None:
    size = cut(wanted, limit=limit, cap=cap, held=held)

    assert size.shares % LOT == 0
    assert 0 <= size.shares <= wanted
    assert cap is None or notional_up(size.shares, limit) <= cap
    assert held is None or size.shares <= held
    assert bool(size.cut_by) == (size.shares < wanted // LOT * LOT)


@given(
    sold=st.integers(1, 10**12),
    leader_held=st.integers(1, 10**12),
    held=st.integers(0, 10**12),
)
def test_an_exit_is_the_fraction_he_sold_and_never_more_than_is_held(sold: int, leader_held: int, held: int) -> None:
    shares = by_fraction(leader_sold=sold, leader_held=leader_held, held=held)

    exact = Fraction(held) * min(Fraction(1), Fraction(sold, leader_held))
    assert exact - 1 < shares <= exact <= held


@given(parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=8), ours=st.integers(0, 10**9))
def test_exits_that_empty_his_position_empty_ours(parts: list[int], ours: int) -> None:
    left, held = sum(parts), ours * LOT
    for sold in parts:
        wanted = by_fraction(leader_sold=sold, leader_held=left, held=held)
        held -= cut(wanted, limit=MICRO // 2, held=held).shares
        left -= sold

    assert held == 0


@given(size=st.integers(1, 10**12), ours=st.integers(1, 10**13), his=st.integers(1, 10**13))
def test_a_copy_by_bankroll_is_the_same_part_of_ours_as_his_was_of_his(size: int, ours: int, his: int) -> None:
    shares = by_bankroll(size, ratio=MICRO, ours=ours, his=his)

    exact = Fraction(size) * Fraction(ours, his)
    assert exact - 1 < shares <= exact
