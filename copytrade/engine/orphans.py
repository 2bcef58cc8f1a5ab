"""What follows when a fill turns out never to have happened: its orders end, and somebody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.happenings import Noted, OrderEnded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger, Orphaned
    from copytrade.ports.notifier import Notifier

UNDER_COPY: Final = "REORG_UNDER_COPY"


class Orphans:
    """Takes note of fills that the ledger has marked as orphaned."""

    def __init__(self, *, ledger: Ledger, portfolio: Portfolio, notifier: Notifier, clock: Clock) -> None:
        self._ledger = ledger
        self._portfolio = portfolio
        self._notifier = notifier
        self._clock = clock

    async def settle(self, orphaned: Orphaned, *, code: str) -> None:
        """Follow the attempts that ended; note the fills under `code`, and apart from it orders that were sent."""
        for attempt in orphaned.cancelled:
            self._portfolio.follow(attempt)
            self._notifier.tell(OrderEnded(attempt=attempt, status=AttemptStatus.CANCELED, reason=attempt.reasons[-1]))
        if not orphaned.fills:
            return
        already_sent = [str(attempt.id) for attempt in orphaned.already_sent]
        await self._note(
            code,
            {
                "fills": [str(recorded.id) for recorded in orphaned.fills],
                "cancelled": [str(attempt.id) for attempt in orphaned.cancelled],
                "already_sent": already_sent,
            },
        )
        if already_sent:
            await self._note(UNDER_COPY, {"attempts": already_sent})

    async def _note(self, code: str, detail: Mapping[str, object]) -> None:
        at_ms = self._clock.now_ms()
        await self._ledger.note(code, detail, at_ms=at_ms)
        self._notifier.tell(Noted(code=code, detail=detail, at_ms=at_ms))
