"""What happens to orders and trades of accounts, told to whoever listens."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from copytrade.sandbox.trading.orders import PlacedOrder
from copytrade.sandbox.trading.trades import Trade


class OrderEvent(StrEnum):
    """The three things the user socket says about an order."""

    PLACEMENT = "PLACEMENT"
    UPDATE = "UPDATE"
    CANCELLATION = "CANCELLATION"


class AccountListener(Protocol):
    """Hears of every change, in the order they happen."""

    def order_changed(self, order: PlacedOrder, event: OrderEvent, *, status: str) -> None:
        """Hear that an order was placed, matched or ended; `status` as the message spells it."""
        ...

    def trade_changed(self, trade: Trade) -> None:
        """Hear that a trade was matched, or has a new status."""
        ...
