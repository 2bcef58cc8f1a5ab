"""The audit of limits, gates and halts: queued like notes, written as `risk_event` rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.happenings import Noted
from copytrade.domain.risk import LIMIT_SET, told
from copytrade.engine.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.risk import LimitChange

REFUSED: Final = "REFUSED"
CUT: Final = "CUT"


class RiskEvents(Notes):
    """Notes that are rows of `risk_event`; people are told of all but single refusals, which attempts name."""

    def refused(self, detail: Mapping[str, object]) -> None:
        """Queue that an order was not made."""
        self.take(REFUSED, detail)

    def cut(self, detail: Mapping[str, object]) -> None:
        """Queue that an order was made smaller."""
        self.take(CUT, detail)

    def limit_was_set(self, change: LimitChange) -> None:
        """Tell people of a limit that was set; the row was written with it."""
        self._notifier.tell(Noted(code=LIMIT_SET, detail=told(change), at_ms=change.changed_at_ms))

    async def _write(self, noted: Noted) -> None:
        await self._ledger.note_risk(noted.code, noted.detail, at_ms=noted.at_ms)
        if noted.code not in {REFUSED, CUT}:
            self._notifier.tell(noted)
