from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.fees import taker_fee_down
from copytrade.domain.market import NO_FEES, FeeSchedule
from copytrade.domain.units import MICRO, price_half_up
from tests.makers import micro

FEE_STEP = 10
ORDER_FILLED_V2 = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
RATES = ("0.03", "0.04", "0.05", "0.07")
# An order that took 5 at 0.74 and 6 at 0.75: the venue charged 0.10436, the sum over its prices is 0.10435.
TWO_PRICE_SWEEP = ("onchain/v2_fills_poly_shadow.json", 104_360)
# One hexadecimal digit is missing in the transcript: sixteen times 74005 is what the formula gives.
SHIFTED_DIGIT = ("onchain/v2_wallet_0x2f633efb_logs_vs_dataapi.json", 74_005)


def fee(*, shares: str, price: str, rate: str, exponent: int = 1) -> int:
    return taker_fee_down(FeeSchedule(rate=micro(rate), exponent=exponent), shares=micro(shares), price=micro(price))


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


def test_a_sweep_of_unknown_levels_was_charged_the_formula_at_its_average_price() -> None:
    usdc, shares = micro("234.66"), micro("261")
    average = Fraction(usdc, shares)

    exact = shares * Fraction(5, 100) * average * (1 - average)

    assert exact // FEE_STEP * FEE_STEP == micro("1.18408")
    assert abs(fee(shares="261", price="0.899080", rate="0.05") - micro("1.18408")) <= FEE_STEP


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


@given(shares=st.integers(0, 10**12), price=st.integers(0, MICRO))
def test_both_outcomes_of_a_market_cost_the_same_fee(shares: int, price: int) -> None:
    schedule = FeeSchedule(rate=micro("0.05"), exponent=1)

    assert taker_fee_down(schedule, shares=shares, price=price) == taker_fee_down(
        schedule, shares=shares, price=MICRO - price
    )


class ChargedFill(NamedTuple):
    file: str
    usdc: int
    shares: int
    fee: int


def logs_in(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if document.get("topics", [None])[:1] == [ORDER_FILLED_V2] and "data" in document:
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from logs_in(part)


def charged_fills(folder: Path) -> Iterator[ChargedFill]:
    for path in sorted((folder / "onchain").glob("*.json")):
        for log in logs_in(json.loads(path.read_text("utf-8"))):
            data = log["data"].removeprefix("0x")
            side, _, made, taken, charged = (int(data[place : place + 64], 16) for place in range(0, 320, 64))
            usdc, shares = (made, taken) if side == 0 else (taken, made)
            if charged:
                yield ChargedFill(str(path.relative_to(folder)), usdc, shares, charged)


@pytest.mark.recorded
def test_every_recorded_log_was_charged_by_the_formula_at_some_rate_of_the_venue(recorded_data: Path) -> None:
    fills = list(charged_fills(recorded_data))
    unexplained = []
    for fill in fills:
        price = price_half_up(fill.usdc, fill.shares)
        schedules = [FeeSchedule(rate=micro(rate), exponent=1) for rate in RATES]
        if fill.fee not in [taker_fee_down(schedule, shares=fill.shares, price=price) for schedule in schedules]:
            unexplained.append((fill.file, fill.fee))

    assert len(fills) >= 9
    assert unexplained == [SHIFTED_DIGIT]
    assert SHIFTED_DIGIT[1] * 16 == micro("1.18408")


@pytest.mark.recorded
def test_a_fee_summed_over_prices_is_a_hair_below_the_one_charged_for_the_sweep(recorded_data: Path) -> None:
    charged = [(fill.file, fill.fee) for fill in charged_fills(recorded_data)]
    assert TWO_PRICE_SWEEP in charged

    summed = fee(shares="5", price="0.74", rate="0.05") + fee(shares="6", price="0.75", rate="0.05")

    assert TWO_PRICE_SWEEP[1] - summed == FEE_STEP


@pytest.mark.recorded
def test_every_recorded_taker_leg_of_known_rate_was_charged_our_fee(recorded_data: Path) -> None:
    text = (recorded_data / "nautilus" / "newer" / "chain_order_filled_taker_fees.json").read_text("utf-8")
    legs = json.loads(text)
    for leg in legs:
        shares = int(leg["taker_amount_filled"] if leg["side"] == "BUY" else leg["maker_amount_filled"])
        schedule = FeeSchedule(rate=micro(leg["fee_rate"]), exponent=1)

        assert taker_fee_down(schedule, shares=shares, price=micro(leg["price"])) == int(leg["fee"]), leg
    assert len(legs) == 21
