"""The doorbell between ingest and decide.

It carries the fills that rang it only to save a query: the ledger is the truth, and whoever loses a ring
finds the fill there on the next sweep.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.fills import RecordedFill

FILLS_WAITING_MAX: Final = 10_000


class Inbox:
    """Fills waiting for a decision, oldest first; what does not fit is left to the sweep."""

    def __init__(self) -> None:
        self._fills: deque[RecordedFill] = deque()
        self._rung = asyncio.Event()

    def __len__(self) -> int:
        return len(self._fills)

    def put(self, fills: Iterable[RecordedFill]) -> None:
        """Add fills and ring; those beyond the bound are left to the sweep."""
        for fill in fills:
            if len(self._fills) >= FILLS_WAITING_MAX:
                break
            self._fills.append(fill)
        self._rung.set()

    async def take(self) -> tuple[RecordedFill, ...]:
        """Wait for a ring and return everything waiting."""
        await self._rung.wait()
        self._rung.clear()
        taken = tuple(self._fills)
        self._fills.clear()
        return taken
