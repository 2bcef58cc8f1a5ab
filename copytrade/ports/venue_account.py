"""What the venue says of our own orders and trades, to hold the ledger to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.attempts import Settlement
    from copytrade.domain.units import Millis, Shares


class VenueUnavailableError(Exception):
    """The venue did not answer, or something that cannot be read; nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTrade:
    """What one trade did to one order of ours; `venue_trade_id` is its name in the ledger."""

    venue_trade_id: str
    order_hash: str
    shares: Shares
    settlement: Settlement
    matched_ms: Millis


class VenueAccount(Protocol):
    """The account as the venue has it."""

    @property
    def account_id(self) -> str:
        """The account, as on attempts and executions."""

    async def open_orders(self) -> tuple[str, ...]:
        """Return the hashes of all orders that are open, whoever made them.

        :raises VenueUnavailableError: or some of them; then none.
        """

    async def trades_since(self, since_ms: Millis) -> tuple[VenueTrade, ...]:
        """Return every trade of ours matched since then, whoever made its order.

        :raises VenueUnavailableError: or some of them; then none.
        """
