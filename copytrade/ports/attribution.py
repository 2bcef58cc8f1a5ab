"""Where it is kept why copies cost what they cost, and what the market did after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.attribution import Attribution
    from copytrade.domain.markouts import FillMarks
    from copytrade.domain.units import Millis, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class Unattributed:
    """A TRADE whose attribution is missing (`kept` None) or not final, with the leader's price."""

    attempt: ExecutionAttempt
    leader_price: Price
    kept: Attribution | None


class AttributionStore(Protocol):
    """One row for each TRADE attempt and one for each instant at which it was filled; each write is one transaction."""

    async def keep_attributions(self, attributions: Sequence[Attribution], *, now_ms: Millis) -> None:
        """Store each as it stands now, in place of what was stored of it."""

    async def attributions_of(self, attempt_ids: Collection[UUID]) -> tuple[Attribution, ...]:
        """Return what is kept of these attempts, in no order; nothing of those of which nothing is."""

    async def prices_followed(self, attempt_ids: Collection[UUID]) -> Mapping[UUID, Price]:
        """Return the price of the leader's fill that each of these attempts follows."""

    async def executions_of(self, attempt_ids: Collection[UUID]) -> tuple[ExecutionFill, ...]:
        """Return every execution of these attempts, in the order they were booked for each position."""

    async def unattributed(self, *, newest: int) -> tuple[Unattributed, ...]:
        """Return what is missing or not final among that many of the newest attempts, oldest first."""

    async def keep_marks(self, marks: Sequence[FillMarks]) -> None:
        """Store each as it stands now, in place of what was stored of it; a payout that is known stays."""

    async def marks_of(self, attempt_ids: Collection[UUID]) -> tuple[FillMarks, ...]:
        """Return the marks of these attempts, by attempt and instant."""

    async def unmarked(self, *, newest: int) -> tuple[ExecutionFill, ...]:
        """Return executions of that many of the newest attempts for which no marks are kept; failed ones left out."""

    async def open_marks(self, *, limit: int) -> tuple[FillMarks, ...]:
        """Return marks that have a horizon to come, the one due next first."""

    async def mark_resolved(self, *, limit: int) -> int:
        """Give up to `limit` tokens' fills the payout of their resolved market; return how many tokens it were."""
