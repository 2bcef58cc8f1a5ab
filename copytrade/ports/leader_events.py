"""What a leader does other than trade: who tells it, and who remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.domain.units import Millis, Shares
    from copytrade.ports.leader_fills import Cursor


class ActivityUnavailableError(Exception):
    """The source did not answer, or not in a way that is understood; the same question may work later."""


class ActivityTruncatedError(Exception):
    """There is more in that time than is ever read."""


class LeaderActivity(Protocol):
    """The venue's own account of a wallet, some seconds behind the chain."""

    async def events(self, leader: str, *, since_ms: Millis) -> tuple[LeaderEvent, ...]:
        """Return every event of a leader since then that is not a trade, the same ones with the same keys.

        :raises ActivityUnavailableError: nothing is known of any of them.
        :raises ActivityTruncatedError: too many.
        """

    async def holdings(self, leader: str) -> Mapping[str, Shares]:
        """Return what a leader holds by token, as listed now; what is not listed is none, or dust.

        :raises ActivityUnavailableError: no complete listing.
        """


class LeaderEventStore(Protocol):
    """The memory of such events, and of the fills they are folded with; each write is one transaction."""

    async def keep_leader_events(
        self, events: Sequence[LeaderEvent], *, now_ms: Millis, cursor: Cursor | None = None
    ) -> tuple[LeaderEvent, ...]:
        """Store events by their keys, with a `worker_event` for each new one a person is told of, and the cursor.

        Returns those stored for the first time, in the order given. Events of addresses that are no leader
        are ignored.
        """

    async def leader_events_of(self, leader: str) -> tuple[LeaderEvent, ...]:
        """Return every stored event of a leader, in no order."""

    async def fills_of(self, leader: str, token_id: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        """Return a leader's fills of a token since then, in no order; orphaned ones left out."""
