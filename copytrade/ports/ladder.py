"""Where the shadows of real orders are kept, and how far an account may go: apart from everything that counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from copytrade.domain.ladder import Rung, Standing
    from copytrade.domain.shadow import ShadowedAttempt, ShadowOrder
    from copytrade.domain.units import Millis


class LadderStore(Protocol):
    """See the module. Each write is one transaction; no position, cash or execution knows of a shadow."""

    async def keep_shadows(self, shadows: Sequence[ShadowOrder]) -> None:
        """Store each as it stands now, in place of what was stored of it."""

    async def open_shadows(self) -> tuple[ShadowOrder, ...]:
        """Return those that are not over, by attempt."""

    async def shadowed(
        self, *, since_ms: Millis, limit: int, account_id: str | None = None, leader: str | None = None
    ) -> tuple[ShadowedAttempt, ...]:
        """Return the attempts stored since then that have a shadow, newest first; None is any account, any leader.

        What failed to settle is not filled.
        """

    async def standing(self, account_id: str) -> Standing | None:
        """Return where an account stands, None while it was never moved."""

    async def move_rung(
        self, account_id: str, rung: Rung, *, after: int, by: str, why: str, at_ms: Millis
    ) -> Standing | None:
        """Move an account whose standing has the revision `after` (0: none); None if it was moved meanwhile.

        A `worker_event` RUNG_MOVED is appended.
        """

    async def noted_since(self, codes: Collection[str], *, since_ms: Millis) -> int:
        """Return how many `worker_event` rows have one of these codes and are that young."""
