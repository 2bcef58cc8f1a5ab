"""The durable memory of the worker: what was seen, decided, sent and filled.

Every method that writes is one transaction: when it returns, the whole change is durable; when it raises,
none of it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from copytrade.domain.orders import OrderType
from copytrade.ports.accounts import AccountStore
from copytrade.ports.attribution import AttributionStore
from copytrade.ports.copy_memory import CopyMemory
from copytrade.ports.ladder import LadderStore
from copytrade.ports.leader_events import LeaderEventStore
from copytrade.ports.live_orders import LiveOrderStore
from copytrade.ports.reconciliation import ReconciliationStore
from copytrade.ports.risk import RiskStore
from copytrade.ports.stake_memory import StakeMemory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.positions import Position
    from copytrade.domain.units import Millis
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.ports.execution import OrderDone
    from copytrade.ports.leader_fills import (
        ChainConfirmed,
        Cursor,
        CursorScope,
        FillsConfirmed,
        FillsRemoved,
        FillsSeen,
        StoredLog,
    )
    from copytrade.ports.markets import RegistrySync


class LedgerUnavailableError(Exception):
    """The database cannot be read or written now; nothing was changed."""


class NoLedgerYetError(LedgerUnavailableError):
    """There is no database where one is expected, and nobody was asked to make it."""


class LedgerInUseError(LedgerUnavailableError):
    """Another worker, of this or of another process, runs on the database."""


class SchemaOutdatedError(Exception):
    """The database's schema is not the one this program needs; the text names the command to run."""


class UnknownLeaderError(Exception):
    """No leader has that address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What became of a batch: fills stored for the first time, fills met again (completed, moved or repeated).

    Of those met again, the fills in `retold` were told by nothing but reports that are stored already: a source that
    starts reads again what it had read.
    """

    new: tuple[RecordedFill, ...]
    joined: tuple[RecordedFill, ...]
    retold: frozenset[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphaned:
    """What a reorg did: fills marked, attempts on them that were cancelled before sending, attempts already sent."""

    fills: tuple[RecordedFill, ...]
    cancelled: tuple[ExecutionAttempt, ...]
    already_sent: tuple[ExecutionAttempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """An execution that was booked: its attempt and the position, both after it."""

    attempt: ExecutionAttempt
    position: Position


class Ledger(
    LeaderEventStore,
    CopyMemory,
    AccountStore,
    AttributionStore,
    RiskStore,
    LiveOrderStore,
    ReconciliationStore,
    StakeMemory,
    LadderStore,
    Protocol,
):
    """See the module: every write is one transaction."""

    async def add_leader(self, leader: Leader) -> bool:
        """Store a leader; False, changing nothing, if the address is known and enabled.

        A known but disabled one is enabled again with the new values (its fills stay). If it is followed
        from an earlier time than before, its own cursor is forgotten: what came before is still to be read.
        """

    async def remove_leader(self, address: str) -> None:
        """Disable a leader; his fills and our attempts stay.

        :raises UnknownLeaderError: no such address.
        """

    async def change_leader(self, leader: Leader) -> None:
        """Store how a leader is copied: his label, ratio, cap, own rules, and whether he is paused, exit-only or live.

        Whether he is followed, and from when, stays as it is.

        :raises UnknownLeaderError: no such address.
        """

    async def leaders(self) -> tuple[Leader, ...]:
        """Return all leaders, disabled ones too, by address."""

    async def leaders_revision(self) -> int:
        """Return a number that has changed whenever any leader has: far less to ask for than all of them."""

    async def cursor(self, scope: CursorScope) -> Cursor | None:
        """Return the cursor of exactly this scope, None if it never moved."""

    async def ingest(self, seen: FillsSeen, *, now_ms: Millis) -> Ingested:
        """Store raw payloads, fills and the cursor together, deduplicated over all sources and restarts.

        What makes two reports one fill is `domain.dedupe`: a log is the same fill as a stored one if its
        place is the same, or if it is another log of the same (transaction, order hash) whose stored block
        hash differs (re-inclusion: the row gets the new place and key and is no longer orphaned; paired
        by amounts, then by ordinal). A log meets an API-only row with equal (transaction, leader, token,
        side) and size, and completes it: place, amounts, fee, role, dedupe key; the source and time of
        detection stay the first. An API row meets a stored fill in the same way, each stored fill meeting
        at most as many rows of one source as are identical (multiset). The cursor never moves back here.
        Fills of addresses that are no leader, or a disabled one, are ignored. Proved ranges of one scope
        that touch become one, those that rest on a single source apart from the others.
        """

    async def orphan(self, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
        """Mark the fills of removed logs, cancel their PENDING attempts (ORPHANED), move the global cursor back.

        What was proved above the block it falls back to is proved no more.
        """

    async def refute(self, fill_ids: Sequence[UUID], *, now_ms: Millis) -> Orphaned:
        """Mark fills whose transaction the chain does not have, as `orphan` does; those with a log stay."""

    async def confirm(self, confirmed: FillsConfirmed | ChainConfirmed) -> int:
        """Set `confirmed_at` of fills that lack it and are not orphaned; return how many."""

    async def unconfirmed_logs(self) -> tuple[StoredLog, ...]:
        """Return the logs of fills that are neither confirmed nor orphaned, lowest block first."""

    async def unmatched_rows(
        self, *, detected_from_ms: Millis, detected_to_ms: Millis, noted_as: str
    ) -> tuple[RecordedFill, ...]:
        """Return fills that only an API has reported, detected in that time, both ends included, oldest first.

        Left out are orphaned ones, and those whose id is the "fill" of a `worker_event` called `noted_as`.
        """

    async def all_fills_of(self, address: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        """Return a leader's fills since a time that are not orphaned, oldest first."""

    async def undecided(self, *, limit: int) -> tuple[RecordedFill, ...]:
        """Return fills since their leader was followed that have no attempt, oldest first; orphaned ones left out."""

    async def record_attempt(self, attempt: ExecutionAttempt, *, carry: Carry | None = None) -> bool:
        """Store an attempt; False, changing nothing, if its fill has one for this strategy and account.

        `carry` is what waits of its leader and token after it, None if that is as before.

        :raises LookupError: there is no such fill.
        """

    async def submit_attempt(
        self,
        attempt_id: UUID,
        *,
        order_hash: str,
        placed_at_ms: Millis,
        order_type: OrderType = OrderType.GTC,
        venue_order: VenueOrder | None = None,
    ) -> bool:
        """Move PENDING to SUBMITTED with the order's identity; False if it is not PENDING any more.

        `venue_order` is what will be signed of a real order; it is kept with the rest.
        If its fill was orphaned meanwhile it is CANCELED here (ORPHANED), and the answer is False.
        """

    async def book_execution(self, fill: ExecutionFill) -> Booked | None:
        """Store an execution, advance its attempt, fold the position, move the cash; None if it was booked before.

        The attempt becomes PARTIAL, or FILLED when its target is reached (then `done_at` is the fill's time);
        one that has ended keeps its status. A failed settlement is stored and changes nothing.

        :raises ImpossibleExecutionError: no order of ours can have had it (see `domain.booking`).
        :raises OversoldError: it sells more than is held.
        """

    async def close_attempt(
        self, attempt_id: UUID, *, status: AttemptStatus, reason: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        """End an open attempt, keeping its fills; its reasons gain `reason`.

        None if it had ended already or is not known.

        :raises ValueError: `status` is no ending.
        """

    async def close_attempts(self, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
        """End many open attempts in one transaction, each as `close_attempt` does; return those that ended now.

        :raises ValueError: a `status` is no ending; nothing was changed.
        """

    async def attempt(self, attempt_id: UUID) -> ExecutionAttempt | None:
        """Return one attempt with its filled shares."""

    async def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        """Return attempts that are PENDING, SUBMITTED or PARTIAL, oldest first."""

    async def fill(self, leader_fill_id: UUID) -> RecordedFill | None:
        """Return one leader fill."""

    async def positions(self) -> tuple[Position, ...]:
        """Return every position ever held, closed ones too."""

    async def save_markets(self, markets: Sequence[Market]) -> None:
        """Insert or update markets and their tokens; payouts are recorded once, and no update changes them."""

    async def markets(self, *, settled_since_ms: Millis | None = None) -> tuple[Market, ...]:
        """Return every stored market; with an instant, none that was settled before it and of which we hold nothing."""

    async def unlisted_tokens(self, *, after: str, limit: int) -> tuple[str, ...]:
        """Return tokens that leaders traded or we held and that are of no stored market, in order, above `after`."""

    async def save_registry_sync(self, sync: RegistrySync | None) -> None:
        """Keep how far the full sync of markets has come, or with None that none is under way."""

    async def registry_sync(self) -> RegistrySync | None:
        """Return the sync that was under way, None if the last one was finished."""

    async def note(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        """Append a `worker_event`."""

    async def count_rows(self, *, until_ms: Millis) -> Mapping[str, int]:
        """Return how many rows each table that only grows has of those created up to a time."""

    async def recent_tokens(self, *, since_ms: Millis) -> Iterable[str]:
        """Return tokens leaders traded since then and tokens we hold, without repeats."""
