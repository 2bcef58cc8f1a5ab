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


def sweep_fee_down(*, size: int, collateral: int, rate: int, exponent: int = 1) -> int:
    """Return the taker's fee of one `matchOrders`, in micro-units, floored to 5 decimals.

    It is that of the average price, `collateral` over `size`: recorded sweeps were charged so, not level by level.
    """
    if size == 0:
        return 0
    curve: int = (collateral * (size - collateral)) ** exponent
    scale: int = ONE * size ** (2 * exponent)
    return size * rate * curve // (scale * FEE_STEP) * FEE_STEP
