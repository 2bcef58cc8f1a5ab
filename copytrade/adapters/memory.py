"""The ledger in memory: the same promises as a database, for as long as the process lives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus, reason
from copytrade.domain.booking import ImpossibleExecutionError, book, end
from copytrade.domain.dedupe import KnownFill, join
from copytrade.domain.leader_events import alerts_of
from copytrade.domain.leaders import is_copied
from copytrade.domain.positions import Position
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    Cursor,
    CursorScope,
    FillsConfirmed,
    LogRef,
    ProvedRange,
    StoredLog,
)
from copytrade.ports.ledger import Booked, Ingested, Ledger, Orphaned, UnknownLeaderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.fills import RecordedFill, Sighting, Source
    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import FillsRemoved, FillsSeen
    from copytrade.ports.markets import RegistrySync

Report = tuple["Source", str]


@dataclass(slots=True, kw_only=True)
class StoredFill:
    """A leader fill with what happened to it since, and the reports of it."""

    recorded: RecordedFill
    reports: set[Report] = field(default_factory=set)
    confirmed_at_ms: Millis | None = None
    orphaned_at_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the audit trail."""

    code: str
    detail: Mapping[str, object]
    at_ms: Millis


class MemoryLedger(Ledger):
    """Dictionaries; no method waits, so each is one transaction. The public ones are for tests to read."""

    def __init__(self) -> None:
        self.stored: dict[UUID, StoredFill] = {}
        self.payloads: dict[Report, str] = {}
        self.executions: list[ExecutionFill] = []
        self.events: list[Event] = []
        self.leader_events: dict[str, LeaderEvent] = {}
        self.proved: tuple[ProvedRange, ...] = ()
        self._leaders: dict[str, Leader] = {}
        self._cursors: dict[CursorScope, Cursor] = {}
        self._by_tx: dict[str, list[StoredFill]] = defaultdict(list)
        self._by_report: dict[Report, StoredFill] = {}
        self._attempts: dict[UUID, ExecutionAttempt] = {}
        self._subjects: set[tuple[UUID, str, str]] = set()
        self._trades: set[tuple[str, str]] = set()
        self._positions: dict[tuple[str, str, str], Position] = {}
        self._markets: dict[str, Market] = {}
        self._registry_sync: RegistrySync | None = None

    async def add_leader(self, leader: Leader) -> bool:
        known = self._leaders.get(leader.address)
        if known is not None and known.enabled:
            return False
        self._leaders[leader.address] = leader if known is None else replace(leader, id=known.id)
        if known is not None and leader.followed_since_ms < known.followed_since_ms:
            self._cursors.pop(CursorScope(leader_address=leader.address), None)
        return True

    async def remove_leader(self, address: str) -> None:
        if address not in self._leaders:
            raise UnknownLeaderError(f"{address} is not a leader")
        self._leaders[address] = replace(self._leaders[address], enabled=False)

    async def leaders(self) -> tuple[Leader, ...]:
        return tuple(self._leaders[address] for address in sorted(self._leaders))

    async def cursor(self, scope: CursorScope) -> Cursor | None:
        return self._cursors.get(scope)

    async def ingest(self, seen: FillsSeen, *, now_ms: Millis) -> Ingested:
        leaders = {address: leader for address, leader in self._leaders.items() if leader.enabled}
        followed = [sighting for sighting in seen.sightings if sighting.fill.leader in leaders]
        joined = join(
            self._known({sighting.fill.tx_hash: None for sighting in followed}),
            followed,
            leader_ids={address: leader.id for address, leader in leaders.items()},
        )
        for recorded in joined.changed:
            self.stored[recorded.id].recorded = recorded
            if recorded.id in joined.revived:
                self.stored[recorded.id].orphaned_at_ms = None
        for recorded in joined.new:
            self.stored[recorded.id] = StoredFill(recorded=recorded)
            self._by_tx[recorded.fill.tx_hash].append(self.stored[recorded.id])
        for sighting, fill_id in joined.reports:
            self._keep_raw(sighting, self.stored[fill_id])
        if seen.cursor is not None:
            self._advance(seen.cursor)
        for proved in seen.proved:
            self.proved = _with_range(self.proved, proved)
        return Ingested(new=joined.new, joined=joined.met)

    async def orphan(self, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
        fills = self._fills_at(removed.logs)
        cancelled, already_sent = [], []
        for stored in fills:
            stored.orphaned_at_ms = now_ms
        orphaned_ids = {stored.recorded.id for stored in fills}
        for attempt in self._oldest_first(self._attempts.values()):
            if attempt.leader_fill_id not in orphaned_ids:
                continue
            if (gone := self._cancel_orphaned(attempt, at_ms=now_ms)) is not None:
                cancelled.append(gone)
            elif attempt.order_hash is not None:
                already_sent.append(attempt)
        if removed.rewind_to is not None:
            self._rewind(removed.rewind_to)
            self.proved = _cut_above(self.proved, removed.rewind_to)
        return Orphaned(
            fills=tuple(stored.recorded for stored in fills),
            cancelled=tuple(cancelled),
            already_sent=tuple(already_sent),
        )

    async def confirm(self, confirmed: FillsConfirmed | ChainConfirmed) -> int:
        count = 0
        for stored in self._confirmable(confirmed):
            if stored.confirmed_at_ms is None and stored.orphaned_at_ms is None:
                stored.confirmed_at_ms = confirmed.at_ms
                count += 1
        return count

    async def unconfirmed_logs(self) -> tuple[StoredLog, ...]:
        found = [
            StoredLog(
                ref=LogRef(block_hash=place.block_hash, tx_hash=fill.tx_hash, log_index=place.log_index),
                block_number=place.block_number,
                leader=fill.leader,
            )
            for stored in self.stored.values()
            if stored.confirmed_at_ms is None and stored.orphaned_at_ms is None
            if (place := (fill := stored.recorded.fill).place) is not None
        ]
        return tuple(sorted(found, key=lambda log: (log.block_number, log.ref.log_index)))

    async def unmatched_rows(
        self, *, detected_from_ms: Millis, detected_to_ms: Millis, noted_as: str
    ) -> tuple[RecordedFill, ...]:
        noted = {event.detail.get("fill") for event in self.events if event.code == noted_as}
        found = [
            stored.recorded
            for stored in self.stored.values()
            if stored.recorded.fill.place is None
            and stored.orphaned_at_ms is None
            and detected_from_ms <= stored.recorded.fill.detected_at_ms <= detected_to_ms
            and str(stored.recorded.id) not in noted
        ]
        return tuple(sorted(found, key=lambda recorded: recorded.fill.detected_at_ms))

    async def all_fills_of(self, address: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        found = [stored.recorded for stored in self.stored.values() if stored.orphaned_at_ms is None]
        own = [one for one in found if one.fill.leader == address and one.fill.fill_ts_ms >= since_ms]
        return tuple(sorted(own, key=_order_of_events))

    async def undecided(self, *, limit: int) -> tuple[RecordedFill, ...]:
        decided = {attempt.leader_fill_id for attempt in self._attempts.values()}
        leaders = {leader.address: leader for leader in self._leaders.values()}
        waiting = [
            stored.recorded
            for fill_id, stored in self.stored.items()
            if fill_id not in decided
            and stored.orphaned_at_ms is None
            and is_copied(leaders[stored.recorded.fill.leader], stored.recorded.fill.fill_ts_ms)
        ]
        return tuple(sorted(waiting, key=_order_of_events)[:limit])

    async def record_attempt(self, attempt: ExecutionAttempt) -> bool:
        if attempt.leader_fill_id not in self.stored:
            raise LookupError(f"attempt {attempt.id} is about no stored fill ({attempt.leader_fill_id})")
        subject = (attempt.leader_fill_id, attempt.strategy_id, attempt.account_id)
        if subject in self._subjects:
            return False
        self._subjects.add(subject)
        self._attempts[attempt.id] = attempt
        return True

    async def submit_attempt(self, attempt_id: UUID, *, order_hash: str, placed_at_ms: Millis) -> bool:
        attempt = self._attempts.get(attempt_id)
        if attempt is None or attempt.status is not AttemptStatus.PENDING:
            return False
        if self.stored[attempt.leader_fill_id].orphaned_at_ms is not None:
            self._cancel_orphaned(attempt, at_ms=attempt.decided_at_ms)
            return False
        self._attempts[attempt_id] = replace(
            attempt, status=AttemptStatus.SUBMITTED, order_hash=order_hash, placed_at_ms=placed_at_ms
        )
        return True

    async def book_execution(self, fill: ExecutionFill) -> Booked | None:
        trade = (fill.account_id, fill.venue_trade_id)
        if trade in self._trades:
            return None
        attempt = self._attempts.get(fill.attempt_id)
        if attempt is None:
            raise ImpossibleExecutionError(f"execution {fill.venue_trade_id} of unknown attempt {fill.attempt_id}")
        owner = (fill.strategy_id, fill.account_id, fill.token_id)
        empty = Position(strategy_id=fill.strategy_id, account_id=fill.account_id, token_id=fill.token_id)
        booking = book(attempt, self._positions.get(owner, empty), fill)
        self.executions.append(fill)
        self._trades.add(trade)
        self._attempts[attempt.id] = booking.attempt
        self._positions[owner] = booking.position
        return Booked(attempt=booking.attempt, position=booking.position)

    async def close_attempt(
        self, attempt_id: UUID, *, status: AttemptStatus, reason: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        attempt = self._attempts.get(attempt_id)
        return None if attempt is None else self._end(attempt, status=status, why=reason, at_ms=at_ms)

    async def attempt(self, attempt_id: UUID) -> ExecutionAttempt | None:
        return self._attempts.get(attempt_id)

    async def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        return tuple(
            attempt for attempt in self._oldest_first(self._attempts.values()) if attempt.status in OPEN_STATUSES
        )

    async def fill(self, leader_fill_id: UUID) -> RecordedFill | None:
        stored = self.stored.get(leader_fill_id)
        return None if stored is None else stored.recorded

    async def keep_leader_events(self, events: Sequence[LeaderEvent], *, now_ms: Millis) -> tuple[LeaderEvent, ...]:
        new = [one for one in events if one.leader in self._leaders and one.dedupe_key not in self.leader_events]
        self.leader_events |= {event.dedupe_key: event for event in new}
        self.events += [Event(code=code, detail=detail, at_ms=now_ms) for code, detail in alerts_of(new)]
        return tuple(new)

    async def leader_events_of(self, leader: str) -> tuple[LeaderEvent, ...]:
        return tuple(event for event in self.leader_events.values() if event.leader == leader)

    async def fills_of(self, leader: str, token_id: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        kept = (stored.recorded for stored in self.stored.values() if stored.orphaned_at_ms is None)
        his = (one for one in kept if (one.fill.leader, one.fill.token_id) == (leader, token_id))
        return tuple(recorded for recorded in his if recorded.fill.fill_ts_ms >= since_ms)

    async def positions(self) -> tuple[Position, ...]:
        return tuple(self._positions[owner] for owner in sorted(self._positions))

    async def save_markets(self, markets: Sequence[Market]) -> None:
        for market in markets:
            known = self._markets.get(market.condition_id)
            payouts = (known.payouts if known else None) or market.payouts
            tokens = tuple(sorted(market.tokens, key=lambda token: token.outcome_index))
            self._markets[market.condition_id] = replace(market, payouts=payouts, tokens=tokens)

    async def save_registry_sync(self, sync: RegistrySync | None) -> None:
        self._registry_sync = sync

    async def registry_sync(self) -> RegistrySync | None:
        return self._registry_sync

    async def markets(self) -> tuple[Market, ...]:
        return tuple(self._markets[condition_id] for condition_id in sorted(self._markets))

    async def note(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        self.events.append(Event(code=code, detail=dict(detail), at_ms=at_ms))

    async def recent_tokens(self, *, since_ms: Millis) -> Iterable[str]:
        fills = (stored.recorded.fill for stored in self.stored.values())
        traded = [fill.token_id for fill in fills if fill.fill_ts_ms >= since_ms]
        held = [position.token_id for position in self._positions.values() if position.shares > 0]
        return dict.fromkeys([*traded, *held])

    def _known(self, tx_hashes: Iterable[str]) -> list[KnownFill]:
        return [
            KnownFill(
                recorded=stored.recorded,
                is_orphaned=stored.orphaned_at_ms is not None,
                reports=frozenset(stored.reports),
            )
            for tx_hash in tx_hashes
            for stored in self._by_tx.get(tx_hash, ())
        ]

    def _keep_raw(self, sighting: Sighting, stored: StoredFill) -> None:
        report = (sighting.fill.source, sighting.source_key)
        stored.reports.add(report)
        self._by_report[report] = stored
        self.payloads[report] = sighting.payload

    def _advance(self, cursor: Cursor) -> None:
        known = self._cursors.get(cursor.scope, cursor)
        proved = [block for block in (known.proved_block, cursor.proved_block) if block is not None]
        self._cursors[cursor.scope] = replace(
            cursor,
            last_processed_block=max(known.last_processed_block, cursor.last_processed_block),
            proved_block=max(proved, default=None),
        )

    def _rewind(self, block: int) -> None:
        known = self._cursors.get(CursorScope())
        if known is None or known.last_processed_block <= block:
            return
        proved = None if known.proved_block is None else min(known.proved_block, block)
        self._cursors[known.scope] = replace(known, last_processed_block=block, proved_block=proved)

    def _fills_at(self, logs: Iterable[LogRef]) -> list[StoredFill]:
        removed = {(log.tx_hash, log.block_hash, log.log_index) for log in logs}
        found = [
            (place.block_number, place.log_index, stored)
            for tx_hash in {log.tx_hash: None for log in logs}
            for stored in self._by_tx.get(tx_hash, ())
            if stored.orphaned_at_ms is None
            and (place := stored.recorded.fill.place) is not None
            and (tx_hash, place.block_hash, place.log_index) in removed
        ]
        return [stored for *_, stored in sorted(found, key=lambda item: item[:2])]

    def _confirmable(self, confirmed: FillsConfirmed | ChainConfirmed) -> list[StoredFill]:
        match confirmed:
            case ChainConfirmed(block_number=finalized):
                return [
                    stored
                    for stored in self.stored.values()
                    if (place := stored.recorded.fill.place) is not None and place.block_number <= finalized
                ]
            case FillsConfirmed(source=source, source_keys=keys):
                found = (self._by_report.get((source, key)) for key in keys)
                return [stored for stored in found if stored is not None]
            case _:
                assert_never(confirmed)

    def _cancel_orphaned(self, attempt: ExecutionAttempt, *, at_ms: Millis) -> ExecutionAttempt | None:
        if attempt.status is not AttemptStatus.PENDING:
            return None
        return self._end(attempt, status=AttemptStatus.CANCELED, why=reason("ORPHANED"), at_ms=at_ms)

    def _end(
        self, attempt: ExecutionAttempt, *, status: AttemptStatus, why: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        after = end(attempt, status=status, why=why, at_ms=at_ms)
        if after is not None:
            self._attempts[attempt.id] = after
        return after

    @staticmethod
    def _oldest_first(attempts: Iterable[ExecutionAttempt]) -> list[ExecutionAttempt]:
        return sorted(attempts, key=lambda attempt: (attempt.created_at_ms, attempt.id))


def _order_of_events(recorded: RecordedFill) -> tuple[int, float, int, int, UUID]:
    fill = recorded.fill
    block = float("inf") if fill.place is None else fill.place.block_number
    log = 0 if fill.place is None else fill.place.log_index
    return fill.fill_ts_ms, block, log, fill.detected_at_ms, recorded.id


def _with_range(ranges: tuple[ProvedRange, ...], new: ProvedRange) -> tuple[ProvedRange, ...]:
    """Add a range, as one with those of its kind that it touches."""
    kind = (new.scope, new.is_single_source)
    alike = [one for one in ranges if (one.scope, one.is_single_source) == kind]
    touching = [one for one in alike if one.from_block <= new.to_block + 1 and one.to_block >= new.from_block - 1]
    parts = [new, *touching]
    first, last = min(one.from_block for one in parts), max(one.to_block for one in parts)
    whole = replace(new, from_block=first, to_block=last, methods=new.methods.union(*(one.methods for one in parts)))
    others = [one for one in ranges if one not in touching]
    return tuple(sorted([*others, whole], key=lambda one: (str(one.scope), one.is_single_source, one.from_block)))


def _cut_above(ranges: tuple[ProvedRange, ...], block: int) -> tuple[ProvedRange, ...]:
    """Forget what is above `block` of what was proved for everyone."""
    return tuple(
        replace(one, to_block=min(one.to_block, block)) if one.scope == CursorScope() else one
        for one in ranges
        if one.scope != CursorScope() or one.from_block <= block
    )
