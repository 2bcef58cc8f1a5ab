from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.fees import sweep_fees_down, taker_fee_down
from copytrade.domain.market import NO_FEES, FeeSchedule
from copytrade.domain.matching import Match
from copytrade.domain.units import MICRO
from tests.makers import micro

FEE_STEP = 10


def schedule(rate: str, exponent: int = 1) -> FeeSchedule:
    return FeeSchedule(rate=micro(rate), exponent=exponent)


def fee(*, shares: str, price: str, rate: str, exponent: int = 1) -> int:
    return taker_fee_down(schedule(rate, exponent), shares=micro(shares), price=micro(price))


@pytest.mark.parametrize(
    ("shares", "price", "rate", "charged"),
    [
        ("100", "0.50", "0.07", "1.75"),
        ("100", "0.30", "0.07", "1.47"),
        ("100", "0.10", "0.07", "0.63"),
        ("100", "0.01", "0.07", "0.0693"),
        ("25", "0.64", "0.07", "0.4032"),
        ("108", "0.36", "0.07", "1.74182"),
        ("260.43", "0.950288", "0.04", "0.49211"),
        ("50", "0.75", "0.07", "0.65625"),
        ("5.76", "0.95", "0.07", "0.01915"),
        ("6", "0.48", "0.07", "0.10483"),
    ],
)
def test_the_fee_is_what_the_venue_charged(shares: str, price: str, rate: str, charged: str) -> None:
    assert fee(shares=shares, price=price, rate=rate) == micro(charged)


def test_a_sweep_pays_one_fee_at_its_average_price() -> None:
    swept = (Match(micro("0.74"), micro("5")), Match(micro("0.75"), micro("6")))

    fees = sweep_fees_down(schedule("0.05"), swept)

    assert sum(fees) == micro("0.10436")
    assert fees == (micro("0.0481"), micro("0.05626"))
    assert fee(shares="5", price="0.74", rate="0.05") + fee(shares="6", price="0.75", rate="0.05") == micro("0.10435")


@pytest.mark.parametrize(
    ("levels", "usdc", "rate", "charged"),
    [
        ((("0.89", "24"), ("0.90", "237")), "234.66", "0.05", "1.18408"),
        ((("0.95", "252.917"), ("0.96", "7.513")), "247.48363", "0.04", "0.49211"),
    ],
)
def test_the_sweeps_of_the_venue_paid_what_their_average_price_costs(
    levels: tuple[tuple[str, str], ...], usdc: str, rate: str, charged: str
) -> None:
    swept = [Match(micro(price), micro(shares)) for price, shares in levels]
    assert sum(match.price * match.shares for match in swept) == micro(usdc) * MICRO

    assert sum(sweep_fees_down(schedule(rate), swept)) == micro(charged)


def test_the_old_crypto_schedule_squares_the_curve() -> None:
    assert fee(shares="15", price="0.5", rate="0.25", exponent=2) == micro("0.234375") // FEE_STEP * FEE_STEP


def test_a_fee_below_the_smallest_step_is_none() -> None:
    assert fee(shares="0.01", price="0.01", rate="0.04") == 0


def test_a_market_without_fees_charges_none() -> None:
    assert taker_fee_down(NO_FEES, shares=micro("1000000"), price=micro("0.5")) == 0


@given(
    shares=st.integers(0, 10**15),
    price=st.integers(0, MICRO),
    rate=st.integers(0, MICRO),
    exponent=st.integers(1, 2),
)
def test_a_fee_is_whole_steps_and_less_than_one_below_the_formula(
    shares: int, price: int, rate: int, exponent: int
) -> None:
    curve = Fraction(price, MICRO) * (1 - Fraction(price, MICRO))
    exact = shares * Fraction(rate, MICRO) * curve**exponent

    charged = taker_fee_down(FeeSchedule(rate=rate, exponent=exponent), shares=shares, price=price)

    assert charged % FEE_STEP == 0
    assert 0 <= exact - charged < FEE_STEP


MATCHES = st.lists(st.builds(Match, st.integers(1, MICRO - 1), st.integers(1, 10**13)), max_size=8).map(tuple)


@given(matches=MATCHES, rate=st.integers(0, MICRO), exponent=st.integers(1, 2))
def test_what_the_matches_bear_is_the_floored_fee_of_their_average(
    matches: tuple[Match, ...], rate: int, exponent: int
) -> None:
    shares = sum(match.shares for match in matches)
    average = Fraction(sum(match.price * match.shares for match in matches), max(shares, 1) * MICRO)
    exact = shares * Fraction(rate, MICRO) * (average * (1 - average)) ** exponent

    fees = sweep_fees_down(FeeSchedule(rate=rate, exponent=exponent), matches)

    assert len(fees) == len(matches)
    assert sum(fees) == exact // FEE_STEP * FEE_STEP
    assert all(each >= 0 and each % FEE_STEP == 0 for each in fees)


@given(matches=MATCHES, rate=st.integers(0, MICRO))
def test_a_sweep_never_pays_less_than_its_levels_would_by_themselves(matches: tuple[Match, ...], rate: int) -> None:
    fees = FeeSchedule(rate=rate, exponent=1)

    alone = sum(taker_fee_down(fees, shares=match.shares, price=match.price) for match in matches)

    assert sum(sweep_fees_down(fees, matches)) >= alone


@given(shares=st.integers(0, 10**12), price=st.integers(0, MICRO))
def test_both_outcomes_of_a_market_cost_the_same_fee(shares: int, price: int) -> None:
    fees = schedule("0.05")

    assert taker_fee_down(fees, shares=shares, price=price) == taker_fee_down(fees, shares=shares, price=MICRO - price)
