"""Every fee in the recorded data, against the fee at the average price and against a sum over prices."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from copytrade.domain.fees import sweep_fees_down, taker_fee_down
from copytrade.domain.market import FeeSchedule
from copytrade.domain.matching import Match
from copytrade.domain.units import LOT, MICRO, ceil_to
from tests.makers import micro

ORDER_FILLED_V2 = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee"
RATES = ("0.03", "0.04", "0.05", "0.07")
FEE_STEP = 10
SHARE_STEP = 100
# One hexadecimal digit is missing in the transcript: sixteen times 74005 is what the formula gives.
SHIFTED_DIGIT = 74_005

pytestmark = pytest.mark.recorded


class Charged(NamedTuple):
    """A taker's fill: collateral without the fee, shares, and the fee, all in micro-units."""

    usdc: int
    shares: int
    fee: int


def fee_at_average(fill: Charged, rate: str, exponent: int = 1) -> int:
    """Say the formula again, from amounts: that of the package wants prices, which a sweep of the chain has not."""
    average = Fraction(fill.usdc, fill.shares)
    return int(fill.shares * Fraction(rate) * (average * (1 - average)) ** exponent) // FEE_STEP * FEE_STEP


def most_summed_over_prices(fill: Charged, rate: str, tick: int) -> Fraction:
    """Give the most that a sum over prices on a grid can be: all of it at the two prices around the average."""
    average = Fraction(fill.usdc * MICRO, fill.shares)
    below = average // tick * tick
    spread = (average - below) * (below + tick - average) / MICRO**2
    return fill.shares * Fraction(rate) * (average / MICRO * (1 - average / MICRO) - spread)


def logs_in(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        if document.get("topics", [None])[:1] == [ORDER_FILLED_V2] and "data" in document:
            yield document
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from logs_in(part)


def charged_on_chain(folder: Path) -> Iterator[Charged]:
    for path in sorted((folder / "onchain").glob("*.json")):
        for log in logs_in(json.loads(path.read_text("utf-8"))):
            data = log["data"].removeprefix("0x")
            side, _, made, taken, charged = (int(data[place : place + 64], 16) for place in range(0, 320, 64))
            usdc, shares = (made, taken) if side == 0 else (taken, made)
            if charged:
                yield Charged(usdc, shares, 16 * charged if charged == SHIFTED_DIGIT else charged)


def charged_by_the_data_api(folder: Path) -> Iterator[Charged]:
    """Take the purchases whose `usdcSize` includes a fee; `price` is rounded to ten decimals."""
    for name in ("edulabrador/activity_all.json", "polyprinter_activity.json"):
        rows = json.loads((folder / "rest" / name).read_text("utf-8"), parse_float=Decimal, parse_int=Decimal)
        for row in rows:
            if row["type"] != "TRADE":
                continue
            usdc = round(row["size"] * row["price"] * MICRO)
            paid = int(row["usdcSize"] * MICRO)
            if paid - usdc >= FEE_STEP:
                yield Charged(usdc, int(row["size"] * MICRO), paid - usdc)


def test_every_log_was_charged_by_its_average_price(recorded_data: Path) -> None:
    fills = list(charged_on_chain(recorded_data))

    assert len(fills) >= 9
    assert [fill for fill in fills if fill.fee not in {fee_at_average(fill, rate) for rate in RATES}] == []


def test_some_logs_were_charged_more_than_any_sum_over_prices_in_cents(recorded_data: Path) -> None:
    beyond = [
        fill.shares
        for fill in charged_on_chain(recorded_data)
        for rate in RATES
        if fill.fee == fee_at_average(fill, rate) and most_summed_over_prices(fill, rate, micro("0.01")) < fill.fee
    ]

    # At 0.7454, 0.8991 and 0.9503 on average.
    assert beyond == [micro("11"), micro("261"), micro("260.43")]


def test_a_recorded_sweep_of_two_known_prices_paid_the_fee_of_their_average(recorded_data: Path) -> None:
    (fill,) = [fill for fill in charged_on_chain(recorded_data) if fill.shares == micro("11")]
    schedule = FeeSchedule(rate=micro("0.05"), exponent=1)
    levels = (Match(micro("0.74"), micro("5")), Match(micro("0.75"), micro("6")))
    assert sum(price * shares for price, shares in levels) == fill.usdc * MICRO

    assert sum(sweep_fees_down(schedule, levels)) == fill.fee
    assert sum(taker_fee_down(schedule, shares=level.shares, price=level.price) for level in levels) < fill.fee


def test_every_taker_leg_of_known_rate_was_charged_our_fee(recorded_data: Path) -> None:
    text = (recorded_data / "nautilus" / "newer" / "chain_order_filled_taker_fees.json").read_text("utf-8")
    legs = json.loads(text)
    for leg in legs:
        shares = int(leg["taker_amount_filled"] if leg["side"] == "BUY" else leg["maker_amount_filled"])
        schedule = FeeSchedule(rate=micro(leg["fee_rate"]), exponent=1)

        assert taker_fee_down(schedule, shares=shares, price=micro(leg["price"])) == int(leg["fee"]), leg
    assert len(legs) == 21


def test_every_purchase_with_a_fee_in_the_data_api_was_charged_by_its_average_price(recorded_data: Path) -> None:
    fills = list(charged_by_the_data_api(recorded_data))

    # What was paid is known to the micro-unit; how it divides into price and fee only to the price's ten decimals.
    for fill in fills:
        rounded = fill.shares // 10**10 + 1
        divisions = [Charged(fill.usdc + by, fill.shares, fill.fee - by) for by in range(-rounded, rounded + 1)]
        assert any(division.fee == fee_at_average(division, "0.05") for division in divisions), fill
    assert len(fills) == 15


def test_big_sweeps_in_the_data_api_were_charged_more_than_any_sum_over_prices(recorded_data: Path) -> None:
    fills = list(charged_by_the_data_api(recorded_data))

    for tick, beyond in (("0.01", 7), ("0.001", 6), ("0.0001", 4)):
        most = [(fill, most_summed_over_prices(fill, "0.05", micro(tick))) for fill in fills]
        assert sum(fill.fee - bound >= FEE_STEP for fill, bound in most) == beyond, tick


def test_every_trade_of_an_exported_account_is_explained_to_the_last_step(recorded_data: Path) -> None:
    packed = (recorded_data / "backtest" / "polymarket_account_export_20260619.csv.gz").read_bytes()
    rows = list(csv.DictReader(gzip.decompress(packed).decode("utf-8-sig").splitlines()))
    trades = [row for row in rows if row["action"] in {"Buy", "Sell"}]
    paid = {"maker": 0, "taker": 0}
    for row in trades:
        usdc, shares = (round(Decimal(row[name]) * MICRO) for name in ("usdcAmount", "tokenAmount"))
        paid[_explained(usdc, shares, sign=1 if row["action"] == "Buy" else -1)] += 1

    assert paid["taker"] > 550
    assert sum(paid.values()) == len(trades) == 796


def _explained(usdc: int, shares: int, *, sign: int) -> str:
    """Find the tick of 0.001 at which this is the price alone, or the price and the crypto fee."""
    schedule = FeeSchedule(rate=micro("0.07"), exponent=1)
    tick = micro("0.001")
    about = usdc * MICRO // shares // tick
    for price in range(max(tick, (about - 25) * tick), min(MICRO, (about + 25) * tick), tick):
        notional = shares * price // MICRO
        if abs(usdc - notional) <= 1:
            return "maker"
    for price in range(max(tick, (about - 25) * tick), min(MICRO, (about + 25) * tick), tick):
        fee = taker_fee_down(schedule, shares=shares, price=price)
        if fee and abs(usdc - shares * price // MICRO - sign * fee) <= 1:
            return "taker"
    raise AssertionError((usdc, shares))


def trades_of_an_account(folder: Path, name: str) -> list[dict[str, Any]]:
    rows = json.loads((folder / "rest" / name).read_text("utf-8"), parse_float=Decimal, parse_int=Decimal)
    return [row for row in rows if row["side"] == "BUY" and row.get("type", "TRADE") == "TRADE"]


def test_purchases_of_the_first_crypto_markets_were_charged_the_squared_curve_in_shares(recorded_data: Path) -> None:
    """Before the venue charged in collateral, it kept the fee back from the shares, cut to four decimals of them."""
    schedule = FeeSchedule(rate=micro("0.25"), exponent=2)
    names = ("gabagool_945pm", "gabagool_10pm", "gabagool_btc_930pm", "gabagool_trades", "baguette_trades")
    rows = [row for name in names for row in trades_of_an_account(recorded_data, f"amm_bot/{name}.json")]
    bought = [(int(row["size"] * MICRO), int(row["price"] * MICRO)) for row in rows if row["price"] * MICRO % 1 == 0]
    # Makers were charged nothing, and have whole lots; what has more decimals is a sum of several matches.
    charged = [(got, price) for got, price in bought if got % LOT and got % SHARE_STEP == 0]

    def explains(ordered: int, got: int, price: int) -> bool:
        fee = taker_fee_down(schedule, shares=ordered, price=price)
        return fee // SHARE_STEP * SHARE_STEP == ordered - got

    unexplained = [
        (got, price)
        for got, price in charged
        if not any(explains(ordered, got, price) for ordered in range(ceil_to(got, LOT), got * 103 // 100, LOT))
    ]

    assert len(charged) > 130
    assert unexplained == []


def test_purchases_of_an_early_sports_market_were_charged_our_fee_in_shares(recorded_data: Path) -> None:
    """What was kept back of the shares is worth, at the price that was paid, the fee in collateral."""
    charged = []
    for row in trades_of_an_account(recorded_data, "pscanner/activity.json"):
        ordered = round(row["usdcSize"] / row["price"])
        if row["size"] == ordered or row["usdcSize"] - row["size"] * row["price"] < Decimal("0.0001"):
            continue
        fill = Charged(int(row["usdcSize"] * MICRO), ordered * MICRO, fee=0)
        kept_back = Fraction(ordered - row["size"]) * Fraction(row["price"]) * MICRO
        charged.append(ordered)
        assert abs(fee_at_average(fill, "0.03") - kept_back) < FEE_STEP, row
    assert charged == [21, 2554, 2554]
