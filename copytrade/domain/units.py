"""Money, shares and prices as integers in micro-units (1_000_000 = 1 USDC, 1 share, or a price of 1.0).

Every rounding of money happens here, in a function whose name says which way.
"""

from __future__ import annotations

from typing import Final, TypeAlias

Usdc: TypeAlias = int
"""Micro-USDC (the venue's collateral has 6 decimals)."""
Shares: TypeAlias = int
"""Micro-shares (outcome tokens have 6 decimals)."""
Price: TypeAlias = int
"""Micro-USDC for one whole share, 0 to MICRO."""
Ratio: TypeAlias = int
"""A factor in millionths: MICRO is 1."""
Millis: TypeAlias = int
"""UTC Unix time, or a duration, in milliseconds."""

MICRO: Final = 1_000_000
BPS: Final = 10_000
LOT: Final[Shares] = 10_000
"""Sizes of orders are multiples of 0.01 share on every tick (docs.polymarket.com, order precision)."""


def notional_up(shares: Shares, price: Price) -> Usdc:
    """Return what `shares` cost at `price`, rounded up to the micro-USDC (what we pay)."""
    return -(-shares * price // MICRO)


def notional_down(shares: Shares, price: Price) -> Usdc:
    """Return what `shares` bring at `price`, rounded down to the micro-USDC (what we receive)."""
    return shares * price // MICRO


def scaled_down(amount: int, ratio: Ratio) -> int:
    """Return `amount` times `ratio` millionths, rounded down."""
    return amount * ratio // MICRO


def floor_to(amount: int, step: int) -> int:
    """Return the largest multiple of `step` that is not above `amount`."""
    return amount // step * step


def ceil_to(amount: int, step: int) -> int:
    """Return the smallest multiple of `step` that is not below `amount`."""
    return -(-amount // step) * step


def price_half_up(usdc: Usdc, shares: Shares) -> Price:
    """Return the average price of `shares` bought for `usdc`, to the nearest micro-unit, halves up.

    :raises ZeroDivisionError: `shares` is zero.
    """
    return half_up(usdc * MICRO, shares)


def half_up(part: int, whole: int) -> int:
    """Return `part` divided by `whole` (above 0) to the nearest integer, halves up.

    :raises ZeroDivisionError: `whole` is zero.
    """
    return (2 * part + whole) // (2 * whole)


def shares_for_down(usdc: Usdc, price: Price) -> Shares:
    """Return how many shares `usdc` buys at `price`, rounded down to the micro-share."""
    return usdc * MICRO // price


def parse_micro(text: str) -> int:
    """Return the micro-units of a plain decimal such as "12.3", exactly.

    :raises ValueError: not a plain decimal, or more than six decimals that are not zero.
    """
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = (text[1:] if text.startswith(("+", "-")) else text).partition(".")
    digits = (whole or "0") + (fraction or "0")
    if not (whole or fraction) or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"not a decimal number: {text!r}")
    if fraction[6:].strip("0"):
        raise ValueError(f"more than six decimals: {text!r}")
    return sign * (int(whole or "0") * MICRO + int(fraction[:6].ljust(6, "0")))


def format_micro(amount: int, *, decimals: int = 6) -> str:
    """Return a plain decimal with at least two decimals, trailing zeros dropped; `decimals` cuts towards zero."""
    whole, fraction = divmod(abs(amount), MICRO)
    kept = f"{fraction:06d}"[:decimals].rstrip("0").ljust(min(2, decimals), "0")
    sign = "-" if amount < 0 and (whole or kept.strip("0")) else ""
    return f"{sign}{whole}.{kept}" if kept else f"{sign}{whole}"
