"""What decisions remember of earlier ones, so that a new life goes on where the last one ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis


class CopyMemory(Protocol):
    """Attempts of one strategy on one account, as last committed."""

    async def carries(self, *, strategy_id: str, account_id: str) -> tuple[Carry, ...]:
        """Return what waits for further fills, in no order; nothing that is empty."""

    async def decided_since(
        self, since_ms: Millis, *, strategy_id: str, account_id: str
    ) -> tuple[tuple[RecordedFill, ExecutionAttempt], ...]:
        """Return the attempts decided since then with their fills as these are now, oldest first."""

    async def last_entries(self, since_ms: Millis, *, strategy_id: str, account_id: str) -> Mapping[UUID, Millis]:
        """Return when each leader was last followed into a position since then (a BUY that is TRADE), by his id."""
