"""What whoever holds the key will sign, whatever it is asked: pure rules on one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.fills import Side
from copytrade.domain.units import MICRO, format_micro

if TYPE_CHECKING:
    from copytrade.domain.units import Price, Usdc
    from copytrade.domain.venue_orders import VenueOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPolicy:
    """For which wallet, on which exchanges, which sides, within which prices, and for how much: what buys offer."""

    wallet: str
    exchanges: frozenset[str]
    sides: frozenset[Side]
    price_min: Price
    price_max: Price
    usdc_per_order: Usdc
    usdc_per_day: Usdc

    def complaint(self, order: VenueOrder, *, spent_today: Usdc) -> str:
        """Return why an order is not signed, "" if it is; `spent_today` is what other buys of the day offered."""
        if order.maker != self.wallet:
            return f"the maker is {order.maker}, not {self.wallet}"
        if order.exchange not in self.exchanges:
            return f"the exchange {order.exchange} is not on the list"
        if order.side not in self.sides:
            return f"{order.side} is not signed here"
        if order.maker_amount <= 0 or order.taker_amount <= 0:
            return "an amount is not above 0"
        if not self.price_min * shares_of(order) <= usdc_of(order) * MICRO <= self.price_max * shares_of(order):
            return f"the price is not from {format_micro(self.price_min)} to {format_micro(self.price_max)}"
        return self._too_much(order, spent_today=spent_today) if order.side is Side.BUY else ""

    def _too_much(self, order: VenueOrder, *, spent_today: Usdc) -> str:
        if order.maker_amount > self.usdc_per_order:
            return (
                f"it offers {format_micro(order.maker_amount)}, more than {format_micro(self.usdc_per_order)} an order"
            )
        if spent_today + order.maker_amount > self.usdc_per_day:
            return f"with {format_micro(spent_today)} today it is more than {format_micro(self.usdc_per_day)} a day"
        return ""


def usdc_of(order: VenueOrder) -> int:
    """Return the collateral side of an order."""
    return order.maker_amount if order.side is Side.BUY else order.taker_amount


def shares_of(order: VenueOrder) -> int:
    """Return the share side of an order."""
    return order.taker_amount if order.side is Side.BUY else order.maker_amount
