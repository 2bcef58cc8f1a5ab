"""The leaders we follow right now, re-read from the ledger so that other processes may change them."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from copytrade.ports.leader_fills import LeaderRoll

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.leaders import Leader
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger

ROLL_POLL_MS: Final = 1_000


class LedgerRoll(LeaderRoll):
    """The roll as the `leader` table has it; a change is seen within ROLL_POLL_MS."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._leaders: Mapping[str, Leader] = MappingProxyType({})
        self._next_change = asyncio.Event()
        self._revision: int | None = None

    def leaders(self) -> Mapping[str, Leader]:
        """Return the enabled leaders by address."""
        return self._leaders

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._next_change.wait()

    async def refresh(self) -> None:
        """Read the table if it was changed, and wake whoever waits for that."""
        revision = await self._ledger.leaders_revision()
        if revision == self._revision:
            return
        enabled = {leader.address: leader for leader in await self._ledger.leaders() if leader.enabled}
        self._revision = revision
        if enabled == self._leaders:
            return
        self._leaders = MappingProxyType(enabled)
        self._next_change.set()
        self._next_change = asyncio.Event()

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await self._clock.sleep_ms(ROLL_POLL_MS)
            await self.refresh()
