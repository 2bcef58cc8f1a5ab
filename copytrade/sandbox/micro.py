"""Integer micro-units (1e-6 of a pUSD, of a share, of a price) and their wire spellings."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

ONE = 1_000_000
LOT = 10_000
"""Smallest order size step, micro-shares: the venue accepts two decimals of a share."""


def decimal_text(micro: int) -> str:
    """Spell micro-units the way the venue does: no trailing zeros, no exponent."""
    sign = "-" if micro < 0 else ""
    whole, rest = divmod(abs(micro), ONE)
    if rest == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:06d}".rstrip("0")


def fixed_text(micro: int, *, decimals: int) -> str:
    """Spell micro-units with a fixed number of decimals (at most 6), cutting the rest."""
    whole, rest = divmod(micro, ONE)
    return f"{whole}.{f'{rest:06d}'[:decimals]}"


def lots_down(micro: int) -> int:
    """Cut a size to two decimals of a share, as books are shown (seen in recorded sockets)."""
    return micro // LOT * LOT


def json_number(micro: int) -> int | float:
    """Return the JSON number the Data API would print: an int when whole, else a double."""
    return micro // ONE if micro % ONE == 0 else micro / ONE


def parse_micro(text: str | float) -> int:
    """Read a decimal into micro-units.

    Raises ValueError when it is no finite number or finer than a micro-unit.
    """
    try:
        scaled = Decimal(str(text)).scaleb(6)
    except InvalidOperation as error:
        message = f"not a number: {text!r}"
        raise ValueError(message) from error
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        message = f"not a multiple of 0.000001: {text!r}"
        raise ValueError(message)
    return int(scaled)


def notional_down(*, size: int, price: int) -> int:
    """Return collateral for `size` micro-shares at `price`, micro-units, rounded down."""
    return size * price // ONE
