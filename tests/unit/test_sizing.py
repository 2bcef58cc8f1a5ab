"""Sizes and limits never allow more than the rules do."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.fills import Side
from copytrade.domain.sizing import Size, copy_size, exit_size, fixed_size, limit_price
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


def test_a_copy_is_the_leaders_size_times_the_ratio_in_whole_lots() -> None:
    size = copy_size(leader_size=micro("33.337"), ratio=micro("0.5"), cap=micro("100"), limit=micro("0.5"), held=None)

    assert size.shares == micro("16.66")
    assert size.cut_by == ()


def test_the_cap_cuts_at_the_limit_price() -> None:
    size = copy_size(leader_size=micro("1000"), ratio=MICRO, cap=micro("100"), limit=micro("0.51"), held=None)

    assert size.shares == micro("196.07")
    assert size.cut_by == ("MAX_USDC_PER_TRADE",)


def test_a_sell_is_cut_by_what_is_held() -> None:
    size = copy_size(leader_size=micro("50"), ratio=MICRO, cap=micro("100"), limit=micro("0.5"), held=micro("12.345"))

    assert size.shares == micro("12.34")
    assert size.cut_by == ("HELD",)


def test_a_fixed_size_spends_the_cap() -> None:
    assert fixed_size(ratio=MICRO, cap=micro("25"), limit=micro("0.3")).shares == micro("83.33")


@given(
    leader_size=st.integers(0, 10**13),
    ratio=st.integers(1, 10**9),
    cap=st.integers(1, 10**12),
    limit=PRICES,
    held=st.none() | st.integers(0, 10**13),
)
def test_no_size_exceeds_the_ratio_the_cap_or_what_is_held(
    leader_size: int, ratio: int, cap: int, limit: int, held: int | None
) -> None:
    size = copy_size(leader_size=leader_size, ratio=ratio, cap=cap, limit=limit, held=held).shares

    assert size % LOT == 0
    assert 0 <= size * MICRO <= leader_size * ratio
    assert notional_up(size, limit) <= cap
    assert held is None or size <= held


@given(
    sold=st.integers(1, 10**12),
    leader_held=st.integers(1, 10**12),
    held=st.integers(0, 10**12),
)
def test_an_exit_is_the_fraction_he_sold_in_whole_lots_and_never_more_than_is_held(
    sold: int, leader_held: int, held: int
) -> None:
    size = exit_size(leader_sold=sold, leader_held=leader_held, cap=10**18, limit=MICRO // 2, held=held)

    assert size.cut_by == ()
    assert size.shares % LOT == 0
    assert size.shares <= held
    exact = Fraction(held) * min(Fraction(1), Fraction(sold, leader_held))
    assert exact - LOT < size.shares <= exact


@given(parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=8), ours=st.integers(0, 10**9))
def test_exits_that_empty_his_position_empty_ours(parts: list[int], ours: int) -> None:
    left, held = sum(parts), ours * LOT
    for sold in parts:
        held -= exit_size(leader_sold=sold, leader_held=left, cap=10**18, limit=MICRO // 2, held=held).shares
        left -= sold

    assert held == 0


def test_an_exit_is_cut_by_the_cap_at_its_limit() -> None:
    size = exit_size(leader_sold=10, leader_held=10, cap=micro("50"), limit=micro("0.5"), held=micro("300"))

    assert size == Size(shares=micro("100"), cut_by=("MAX_USDC_PER_TRADE",))
