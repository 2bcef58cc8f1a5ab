from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.units import (
    MICRO,
    ceil_to,
    floor_to,
    format_micro,
    notional_down,
    notional_up,
    parse_micro,
    price_half_up,
    scaled_down,
    shares_for_down,
)

AMOUNTS = st.integers(0, 10**15)
PRICES = st.integers(0, MICRO)


@given(shares=AMOUNTS, price=PRICES)
def test_what_we_pay_is_rounded_up_and_what_we_get_down_by_less_than_a_millionth(shares: int, price: int) -> None:
    exact = Fraction(shares * price, MICRO)

    assert 0 <= notional_up(shares, price) - exact < 1
    assert 0 <= exact - notional_down(shares, price) < 1


@given(usdc=AMOUNTS, price=st.integers(1, MICRO))
def test_shares_for_a_budget_never_cost_more_than_it(usdc: int, price: int) -> None:
    shares = shares_for_down(usdc, price)

    assert notional_up(shares, price) <= usdc
    assert (shares + 1) * price > usdc * MICRO


@given(amount=AMOUNTS, ratio=st.integers(0, 10 * MICRO))
def test_a_scaled_amount_is_never_above_the_exact_one(amount: int, ratio: int) -> None:
    assert 0 <= Fraction(amount * ratio, MICRO) - scaled_down(amount, ratio) < 1


@given(amount=AMOUNTS, step=st.integers(1, 10**6))
def test_steps_enclose_an_amount(amount: int, step: int) -> None:
    below, above = floor_to(amount, step), ceil_to(amount, step)

    assert below % step == above % step == 0
    assert below <= amount <= above < below + 2 * step
    assert (below == above) == (amount % step == 0)


@given(shares=st.integers(1, 10**12), price=PRICES)
def test_an_average_price_is_the_nearest_micro_unit(shares: int, price: int) -> None:
    usdc = notional_down(shares, price)

    assert abs(price_half_up(usdc, shares) - Fraction(usdc * MICRO, shares)) <= Fraction(1, 2)


@pytest.mark.parametrize(("usdc", "shares", "price"), [(1, 2 * MICRO, 1), (1, 2 * MICRO + 1, 0), (3, 2 * MICRO, 2)])
def test_an_average_price_rounds_halves_up(usdc: int, shares: int, price: int) -> None:
    assert price_half_up(usdc, shares) == price


def test_no_shares_have_no_average_price() -> None:
    with pytest.raises(ZeroDivisionError):
        price_half_up(1, 0)


@given(st.integers(-(10**18), 10**18))
def test_what_is_written_reads_back(amount: int) -> None:
    assert parse_micro(format_micro(amount)) == amount


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_a_decimal_is_read_exactly(number: Decimal) -> None:
    assert parse_micro(f"{number:f}") == number * MICRO


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.3", 12_300_000),
        ("-0.000001", -1),
        ("+7", 7_000_000),
        (".5", 500_000),
        ("5.", 5_000_000),
        ("0.1000000000", 100_000),
        ("-0", 0),
        ("007", 7_000_000),
    ],
)
def test_plain_decimals_are_read(text: str, amount: int) -> None:
    assert parse_micro(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "-", "+", "--5", "+-5", "-+5", "1.2.3", "1e3", "1e-7", "0x10", "NaN", "inf", "1,5", " 1", "1 "),
        *("1_000", "1.-5", "0.0000001", "-0.0000001", "\u0661", "5-"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        parse_micro(text)


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (1_500_000, 6, "1.50"),
        (1, 6, "0.000001"),
        (-1_234_567, 6, "-1.234567"),
        (1_999_999, 2, "1.99"),
        (-1_999_999, 2, "-1.99"),
        (-4_000, 2, "0.00"),
        (0, 6, "0.00"),
        (7_900_000, 0, "7"),
        (7_950_000, 1, "7.9"),
    ],
)
def test_amounts_are_written_for_people(amount: int, decimals: int, text: str) -> None:
    assert format_micro(amount, decimals=decimals) == text
