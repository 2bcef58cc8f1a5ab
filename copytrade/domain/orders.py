"""The kinds of orders the venue takes, and what it rounds in each."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import Side
from copytrade.domain.units import floor_to, notional_down

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Price, Shares, Usdc

AMOUNT_STEP: Final[Usdc] = 10_000
"""A FAK or FOK order to buy spends whole cents (docs.polymarket.com, order precision)."""
EXPIRY_LEAD_MS: Final[Millis] = 60_000
"""A GTD order expires this long before the instant it names."""
EXPIRY_MS_MIN: Final[Millis] = 180_000
"""The instant a GTD order names must be at least this far away."""
GTD_TTL_MS_MIN: Final[Millis] = EXPIRY_MS_MIN - EXPIRY_LEAD_MS
"""So a GTD order lives two minutes or more."""


class OrderType(StrEnum):
    """How long an order lives and what it may do.

    GTC rests until it is cancelled, by us when its TTL is over; GTD until the venue lets it expire. FAK takes
    what is there at once and never rests; FOK takes all it wants at once or nothing. POST_ONLY is a GTC that
    is refused if it would take anything.
    """

    GTC = "GTC"
    GTD = "GTD"
    FAK = "FAK"
    FOK = "FOK"
    POST_ONLY = "POST_ONLY"

    @property
    def may_rest(self) -> bool:
        """Whether what is not filled at once stays on the book."""
        return self not in {OrderType.FAK, OrderType.FOK}


def ttl_contradiction(order_type: OrderType, ttl_ms: Millis) -> str | None:
    """Return why an order of that type cannot live so short, as one line for a person; None where it can."""
    if order_type is not OrderType.GTD or ttl_ms >= GTD_TTL_MS_MIN:
        return None
    return f"ORDER_TTL_MS is {ttl_ms}; accepted with ORDER_TYPE=GTD: {GTD_TTL_MS_MIN} or more"


def spend_down(order_type: OrderType, *, side: Side, shares: Shares, limit: Price) -> Usdc | None:
    """Return the collateral that a FAK or FOK order to buy is for, rounded to cents; None for any other order.

    The venue fills such an order until this is spent, so a better price than the limit buys more shares.
    """
    if order_type.may_rest or side is Side.SELL:
        return None
    return floor_to(notional_down(shares, limit), AMOUNT_STEP)
