"""Trades that an API tells of and the chain never shows: a sign that leaders trade where we do not look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.ports.leader_fills import CursorScope

if TYPE_CHECKING:
    from copytrade.engine.notes import Notes
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger

CODE: Final = "DRIFT_API_ONLY"
CHAIN_GRACE_MS: Final = 600_000
LOOK_BACK_MS: Final = 86_400_000
LOOK_EVERY_MS: Final = 60_000


class Unmatched:
    """Notes each such trade once, while the chain is read."""

    def __init__(self, *, ledger: Ledger, notes: Notes, clock: Clock) -> None:
        self._ledger = ledger
        self._notes = notes
        self._clock = clock
        self._told: set[str] = set()

    async def run(self) -> None:
        """Look every minute until cancelled; not while the chain's cursor stands still."""
        before = await self._ledger.cursor(CursorScope())
        while True:
            await self._clock.sleep_ms(LOOK_EVERY_MS)
            cursor = await self._ledger.cursor(CursorScope())
            if cursor is not None and cursor != before:
                await self._look()
            before = cursor

    async def _look(self) -> None:
        now_ms = self._clock.now_ms()
        late = await self._ledger.unmatched_rows(
            detected_from_ms=now_ms - LOOK_BACK_MS, detected_to_ms=now_ms - CHAIN_GRACE_MS, noted_as=CODE
        )
        for recorded in late:
            if (name := str(recorded.id)) not in self._told:
                self._told.add(name)
                fill = recorded.fill
                detail = {"fill": name, "leader": fill.leader, "tx_hash": fill.tx_hash, "source": fill.source}
                self._notes.take(CODE, detail)
