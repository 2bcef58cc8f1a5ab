"""What the chain says of our own orders: the last word on whether they traded, and for what fee."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.units import Shares, Usdc


class OrderLogsUnavailableError(Exception):
    """No node answered usefully; nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLog:
    """One execution of an order as its exchange logged it."""

    order_hash: str
    tx_hash: str
    shares: Shares
    usdc: Usdc
    fee: Usdc


class OrderLogs(Protocol):
    """The exchanges' logs, by order and by wallet."""

    async def logs_of(self, order_hash: str) -> tuple[OrderLog, ...]:
        """Return the executions of an order in the blocks of the last hour, oldest first.

        :raises OrderLogsUnavailableError: or some of them; then none.
        """

    async def logs_of_wallet(self, wallet: str) -> tuple[OrderLog, ...]:
        """Return the executions of a wallet's orders, whoever made them, oldest first.

        Those of the last ten minutes, and all since the last time it was asked within the hour.

        :raises OrderLogsUnavailableError: or some of them; then none.
        """
