"""What an order may cost at most, fees and roundings included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.fees import taker_fee_down
from copytrade.domain.market import FeeSchedule
from copytrade.domain.units import LOT, MICRO, notional_up

if TYPE_CHECKING:
    from copytrade.domain.units import Price, Shares, Usdc

ROUNDING_PER_ORDER: Final[Usdc] = 1_000
"""Each match of an order is paid rounded up to the micro-USDC: room for a thousand of them."""
FEE_STEP: Final[Usdc] = 10
"""A fee is charged in whole steps of 0.00001 USDC, see `domain.fees`."""
UNKNOWN_FEES: Final = FeeSchedule(rate=100_000, exponent=1)
"""What an order in a market we know nothing of is held to: above every rate the venue has published."""


def worst_case(shares: Shares, limit: Price, fees: FeeSchedule) -> Usdc:
    """Return the most that buying `shares` at up to `limit` can cost, fees and roundings included; 0 for none.

    The fee is that of the price below the limit at which it is highest; while the rate is below 1, paying
    less for a share never costs more with its fee.
    """
    if shares <= 0:
        return 0
    fee = taker_fee_down(fees, shares=shares, price=min(limit, MICRO // 2)) + FEE_STEP if fees.rate else 0
    return notional_up(shares, limit) + fee + ROUNDING_PER_ORDER


def affordable(room: Usdc, limit: Price, fees: FeeSchedule) -> Shares:
    """Return the most shares in whole lots whose worst case is not above `room`."""
    most = max(0, room) * MICRO // (limit * LOT)
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if worst_case(middle * LOT, limit, fees) <= room:
            least = middle
        else:
            most = middle - 1
    return least * LOT
