"""The venue's taker fee (docs.polymarket.com "Fees"), in exact integers."""

from __future__ import annotations

from copytrade.sandbox.micro import ONE

FEE_STEP = 10
"""Fees are charged in steps of 0.00001 pUSD; recorded logs show the rest is cut off."""


def taker_fee_down(*, size: int, price: int, rate: int, exponent: int = 1) -> int:
    """Return shares x rate x (p(1-p))^exponent in micro-units, floored to 5 decimals.

    `size`, `price` and `rate` are micro-units; makers pay nothing.
    """
    curve: int = (price * (ONE - price)) ** exponent
    scale: int = ONE ** (2 * exponent + 1)
    exact = size * rate * curve
    return exact // (scale * FEE_STEP) * FEE_STEP
