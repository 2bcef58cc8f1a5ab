"""Fees are those of the venue's table and of logs seen on chain."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox.fees import sweep_fee_down, taker_fee_down
from copytrade.sandbox.micro import ONE, parse_micro


@pytest.mark.parametrize(
    ("shares", "price", "rate", "fee"),
    [
        ("100", "0.5", "0.07", 1_750_000),
        ("100", "0.3", "0.07", 1_470_000),
        ("100", "0.1", "0.07", 630_000),
        ("100", "0.01", "0.07", 69_300),
        ("25", "0.64", "0.07", 403_200),
        ("108", "0.36", "0.07", 1_741_820),
        ("0.01", "0.01", "0.04", 0),
        ("50", "0.5", "0", 0),
    ],
)
def test_the_published_and_observed_fees_are_met(shares, price, rate, fee):
    assert taker_fee_down(size=parse_micro(shares), price=parse_micro(price), rate=parse_micro(rate)) == fee


def test_an_exponent_bends_the_curve():
    fee = taker_fee_down(size=100 * ONE, price=ONE // 2, rate=250_000, exponent=2)

    assert fee == 1_562_500


@pytest.mark.recorded
def test_every_recorded_taker_fee_at_one_price_is_met(recorded_data):
    rows = json.loads((recorded_data / "nautilus/newer/chain_order_filled_taker_fees.json").read_text())

    assert rows
    for row in rows:
        amounts = int(row["maker_amount_filled"]), int(row["taker_amount_filled"])
        size = amounts[1] if row["side"] == "BUY" else amounts[0]
        fee = taker_fee_down(size=size, price=parse_micro(row["price"]), rate=parse_micro(row["fee_rate"]))
        assert fee == int(row["fee"])
        collateral = amounts[0] if row["side"] == "BUY" else amounts[1]
        assert sweep_fee_down(size=size, collateral=collateral, rate=parse_micro(row["fee_rate"])) == fee


def test_a_sweep_is_charged_by_its_average_price():
    # 5 at 0.74 and 6 at 0.75, as a recorded log has it; level by level it would be 0.10435.
    assert sweep_fee_down(size=11 * ONE, collateral=8_200_000, rate=50_000) == 104_360
    assert sweep_fee_down(size=0, collateral=0, rate=50_000) == 0
