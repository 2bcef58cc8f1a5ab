"""The comparison with the chain on a schedule: what came of it is kept, and what differs is noted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.happenings import ROWS_COUNTED
from copytrade.engine.verify import DAY_MS
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.witnesses import WitnessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from copytrade.domain.reconciliation import Reconciliation
    from copytrade.domain.units import Millis
    from copytrade.engine.notes import Notes
    from copytrade.engine.reconcile import Reconcile
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import LeaderRoll
    from copytrade.ports.ledger import Ledger

DIFFERENCES: Final = "RECONCILE_DIFFERENCES"
FAILED: Final = "RECONCILE_FAILED"
FIRST_AFTER_MS: Final = 600_000
"""After a start the worker first catches up."""
OVERLAP_MS: Final = 3_600_000
"""What was compared last is compared again so far back: what was pending then must have come."""
NOTED_MAX: Final = 20
"""Differences that a note names; the summary keeps more."""


class Reconciling:
    """Compares every interval what came since the last time, a day of it at most."""

    def __init__(
        self,
        *,
        open_reconcile: Callable[[], AbstractAsyncContextManager[Reconcile]],
        ledger: Ledger,
        roll: LeaderRoll,
        notes: Notes,
        clock: Clock,
        interval_ms: Millis,
    ) -> None:
        self._open_reconcile: Final = open_reconcile
        self._ledger: Final = ledger
        self._roll: Final = roll
        self._notes: Final = notes
        self._clock: Final = clock
        self._interval_ms: Final = interval_ms

    async def run(self) -> None:
        """Compare until cancelled; a comparison that fails is noted and made again an interval later."""
        await self._clock.sleep_ms(FIRST_AFTER_MS)
        while True:
            last = await self._ledger.summaries(limit=1)
            due_ms = last[0].at_ms + self._interval_ms if last else 0
            if (wait_ms := due_ms - self._clock.now_ms()) > 0:
                await self._clock.sleep_ms(min(wait_ms, self._interval_ms))
            try:
                await self._compare(since_ms=last[0].to_ms - OVERLAP_MS if last else 0)
            except (WitnessUnavailableError, LedgerUnavailableError) as error:
                self._notes.take(FAILED, {"error": str(error)})
                await self._clock.sleep_ms(self._interval_ms)

    async def _compare(self, *, since_ms: Millis) -> None:
        now_ms = self._clock.now_ms()
        leaders = [leader for _, leader in sorted(self._roll.leaders().items())]
        async with self._open_reconcile() as reconcile:
            found = await reconcile.run(leaders, from_ms=max(since_ms, now_ms - DAY_MS))
        now_ms = self._clock.now_ms()
        await self._ledger.keep_summary(found.summary(at_ms=now_ms))
        self._note(found)
        counted = await self._ledger.count_rows(until_ms=now_ms)
        self._notes.take(ROWS_COUNTED, {"until_ms": now_ms, **counted})

    def _note(self, found: Reconciliation) -> None:
        if not found.is_ok:
            named = [one.as_json() for one in found.errors[:NOTED_MAX]]
            self._notes.take(DIFFERENCES, {"count": len(found.errors), "differences": named})
