"""The memory of real orders: what was signed, and how far their trades have come on the way to the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.units import Millis
    from copytrade.ports.ledger import Booked


class LiveOrderStore(Protocol):
    """See the module; each write is one transaction."""

    async def settle_execution(self, fill: ExecutionFill, *, at_ms: Millis) -> Booked | None:
        """Advance a stored execution as far as this report of it goes (`domain.attempts.advanced`).

        One that FAILED is void: position, cash and realised PnL are folded again without it, the attempt's
        filled shares lose it (its status stays), and a `worker_event` TRADE_FAILED is appended. None, changing
        nothing, if it is not stored or nothing is new.

        :raises OversoldError: what it bought was sold or settled already.
        """

    async def unsettled_executions(self) -> tuple[ExecutionFill, ...]:
        """Return the executions that are neither confirmed nor failed, oldest first."""

    async def trades_of(self, account_id: str, venue_trade_ids: Sequence[str]) -> tuple[ExecutionFill, ...]:
        """Return those of the executions that are stored, in no order."""

    async def orders_since(self, account_id: str, since_ms: Millis) -> tuple[ExecutionAttempt, ...]:
        """Return an account's attempts decided since a time that became orders, whatever became of those."""

    async def attempts_of_orders(self, order_hashes: Collection[str]) -> tuple[ExecutionAttempt, ...]:
        """Return the attempts that became these orders, in no order."""
