"""What the market did after our fills: its mid some time later, and what a share paid in the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from copytrade.domain.units import Millis, Price

HORIZONS: Final[Mapping[str, Millis]] = {"1s": 1_000, "10s": 10_000, "1m": 60_000, "10m": 600_000}
"""Times after a fill at which it is marked, by name, soonest first."""
OVERDUE_MS: Final[Millis] = 10_000
"""A mark that is still to come so long after its time was due while no worker ran: none will ever look that up."""
NOT_WATCHED: Final = "NOT_WATCHED"
"""No worker kept the book when a mark was due, or a decision made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillMarks:
    """The marks of what one attempt filled at one instant.

    `mids` by horizon, those that are known; `missing` by horizon, why it never will be; one that is in neither
    is still to come. `payout` is what a share paid once the market was resolved.
    """

    attempt_id: UUID
    token_id: str
    fill_at_ms: Millis
    mids: tuple[tuple[str, Price], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    payout: Price | None = None

    @property
    def next_due(self) -> tuple[str, Millis] | None:
        """The next horizon to come and its instant, None when all are settled."""
        settled = {name for name, _ in (*self.mids, *self.missing)}
        return next(
            ((name, self.fill_at_ms + after_ms) for name, after_ms in HORIZONS.items() if name not in settled), None
        )

    def as_known(self, now_ms: Millis) -> FillMarks:
        """Return these marks with what is overdue told as lacking, as a worker that starts would find it."""
        known = self
        while (due := known.next_due) is not None and due[1] + OVERDUE_MS < now_ms:
            known = known.lacking(due[0], NOT_WATCHED)
        return known

    def marked(self, horizon: str, mid: Price) -> FillMarks:
        """Return these marks with one more."""
        return replace(self, mids=(*self.mids, (horizon, mid)))

    def lacking(self, horizon: str, why: str) -> FillMarks:
        """Return these marks with one that will never be known."""
        return replace(self, missing=(*self.missing, (horizon, why)))
