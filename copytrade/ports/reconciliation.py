"""What comparing with the chain, and putting right what differs, needs of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from copytrade.domain.invariants import Breach
    from copytrade.domain.reconciliation import Summary
    from copytrade.domain.units import Millis
    from copytrade.ports.ledger import Orphaned


class ReconciliationStore(Protocol):
    """See the module; each write is one transaction, and finds nothing to do when it is repeated."""

    async def mapped(self, token_ids: Collection[str]) -> frozenset[str]:
        """Return those of the tokens whose market is stored."""

    async def await_decisions(self, fill_ids: Sequence[UUID]) -> int:
        """Have fills decided that have no attempt, whatever became of them; return how many had been forgotten."""

    async def take_away(self, fill_ids: Sequence[UUID], *, now_ms: Millis) -> Orphaned:
        """Mark fills that the chain does not have, as `orphan` does, whether or not a log was seen of them."""

    async def refold(self, *, now_ms: Millis) -> int:
        """Put positions and cash to what executions and settlements make of them; return how many were wrong.

        :raises OversoldError: some position cannot be folded; nothing is changed.
        """

    async def keep_summary(self, summary: Summary) -> None:
        """Store what came of a comparison."""

    async def summaries(self, *, limit: int) -> tuple[Summary, ...]:
        """Return the newest stored comparisons, newest first."""


class LedgerAudit(Protocol):
    """The audit of the whole ledger."""

    async def breaches(self) -> Sequence[Breach]:
        """Return what is wrong with it now, on its own.

        :raises LedgerUnavailableError: it cannot be read.
        """
