"""Fees are those of the venue's table and of logs seen on chain."""

from __future__ import annotations

import json

import pytest

from copytrade.sandbox.fees import taker_fee_down
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
    size = parse_micro(shares)
    collateral = size * parse_micro(price) // ONE

    assert taker_fee_down(size=size, collateral=collateral, rate=parse_micro(rate)) == fee


def test_an_exponent_bends_the_curve():
    fee = taker_fee_down(size=100 * ONE, collateral=50 * ONE, rate=250_000, exponent=2)

    assert fee == 1_562_500


@pytest.mark.recorded
def test_every_recorded_taker_fee_at_one_price_is_met(recorded_data):
    rows = json.loads((recorded_data / "nautilus/newer/chain_order_filled_taker_fees.json").read_text())

    assert rows
    for row in rows:
        amounts = int(row["maker_amount_filled"]), int(row["taker_amount_filled"])
        collateral, size = amounts if row["side"] == "BUY" else amounts[::-1]
        fee = taker_fee_down(size=size, collateral=collateral, rate=parse_micro(row["fee_rate"]))
        assert fee == int(row["fee"])
