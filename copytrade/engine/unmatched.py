"""Trades that an API tells of and the chain's feed never shows.

The chain is asked for their transactions. One that it has is a sign that leaders trade where we do not look; one
that it does not have was dropped, by a reorg or because it failed, and with it the fill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from copytrade.ports.leader_fills import CursorScope
from copytrade.ports.witnesses import WitnessUnavailableError

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.fills import RecordedFill
    from copytrade.engine.notes import Notes
    from copytrade.engine.orphans import Orphans
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.witnesses import TransactionWitness

CODE: Final = "DRIFT_API_ONLY"
VANISHED: Final = "FILL_VANISHED"
CHAIN_GRACE_MS: Final = 600_000
LOOK_BACK_MS: Final = 86_400_000
LOOK_EVERY_MS: Final = 60_000

_log = structlog.get_logger()


class Unmatched:
    """Notes each such trade once, or takes it back, while the chain is read."""

    def __init__(
        self, *, ledger: Ledger, transactions: TransactionWitness, orphans: Orphans, notes: Notes, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._transactions = transactions
        self._orphans = orphans
        self._notes = notes
        self._clock = clock
        self._told: set[UUID] = set()
        self._missing: set[UUID] = set()
        """Those whose transaction the chain did not have at the last look: twice is believed."""

    async def run(self) -> None:
        """Look every minute until cancelled; not while the chain's cursor stands still."""
        before = await self._ledger.cursor(CursorScope())
        while True:
            await self._clock.sleep_ms(LOOK_EVERY_MS)
            cursor = await self._ledger.cursor(CursorScope())
            if cursor is not None and cursor != before:
                await self._look(cursor.last_processed_block)
            before = cursor

    async def _look(self, read_to: int) -> None:
        now_ms = self._clock.now_ms()
        late = await self._ledger.unmatched_rows(
            detected_from_ms=now_ms - LOOK_BACK_MS, detected_to_ms=now_ms - CHAIN_GRACE_MS, noted_as=CODE
        )
        missing: set[UUID] = set()
        for recorded in late:
            try:
                block = await self._transactions.block_of(recorded.fill.tx_hash)
            except WitnessUnavailableError as error:
                _log.warning("unmatched.not_answered", error=str(error))
                continue
            if block is None:
                missing.add(recorded.id)
            elif block <= read_to:
                self._tell(recorded)
        await self._take_back(missing & self._missing)
        self._missing = missing

    def _tell(self, recorded: RecordedFill) -> None:
        if recorded.id in self._told:
            return
        self._told.add(recorded.id)
        fill = recorded.fill
        detail = {"fill": str(recorded.id), "leader": fill.leader, "tx_hash": fill.tx_hash, "source": fill.source}
        self._notes.take(CODE, detail)

    async def _take_back(self, fill_ids: set[UUID]) -> None:
        if fill_ids:
            refuted = await self._ledger.refute(sorted(fill_ids), now_ms=self._clock.now_ms())
            await self._orphans.settle(refuted, code=VANISHED)
