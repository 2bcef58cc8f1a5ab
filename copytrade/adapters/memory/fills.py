"""Leader fills in memory: what was seen, how far, and what was proved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from copytrade.adapters.memory.state import Event, MemoryState, StoredFill
from copytrade.domain.dedupe import KnownFill, join
from copytrade.domain.fills import Source
from copytrade.domain.leader_events import alerts_of
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    Cursor,
    CursorScope,
    FillsConfirmed,
    LogRef,
    ProvedRange,
    StoredLog,
)
from copytrade.ports.ledger import Ingested

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from copytrade.domain.fills import RecordedFill, Sighting
    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import FillsSeen


class MemoryFills(MemoryState):
    """The part of the ledger that sources write to."""

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
            self.proved_at_ms = now_ms
        return Ingested(new=joined.new, joined=joined.met, retold=joined.retold())

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
            and stored.recorded.fill.source is not Source.LEADER_EVENT
            and stored.orphaned_at_ms is None
            and detected_from_ms <= stored.recorded.fill.detected_at_ms <= detected_to_ms
            and str(stored.recorded.id) not in noted
        ]
        return tuple(sorted(found, key=lambda recorded: recorded.fill.detected_at_ms))

    async def all_fills_of(self, address: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        own = [
            one for one in self._trades_of_leaders() if one.fill.leader == address and one.fill.fill_ts_ms >= since_ms
        ]
        return tuple(sorted(own, key=order_of_events))

    async def fill(self, leader_fill_id: UUID) -> RecordedFill | None:
        stored = self.stored.get(leader_fill_id)
        return None if stored is None else stored.recorded

    async def keep_leader_events(
        self, events: Sequence[LeaderEvent], *, now_ms: Millis, cursor: Cursor | None = None
    ) -> tuple[LeaderEvent, ...]:
        new = [one for one in events if one.leader in self._leaders and one.dedupe_key not in self.leader_events]
        self.leader_events |= {event.dedupe_key: event for event in new}
        self.events += [Event(code=code, detail=detail, at_ms=now_ms) for code, detail in alerts_of(new)]
        if cursor is not None:
            self._advance(cursor)
        return tuple(new)

    async def leader_events_of(self, leader: str) -> tuple[LeaderEvent, ...]:
        return tuple(event for event in self.leader_events.values() if event.leader == leader)

    async def fills_of(self, leader: str, token_id: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
        his = (one for one in self._trades_of_leaders() if (one.fill.leader, one.fill.token_id) == (leader, token_id))
        return tuple(recorded for recorded in his if recorded.fill.fill_ts_ms >= since_ms)

    def _trades_of_leaders(self) -> list[RecordedFill]:
        kept = [stored.recorded for stored in self.stored.values() if stored.orphaned_at_ms is None]
        return [one for one in kept if one.fill.source is not Source.LEADER_EVENT]

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


def order_of_events(recorded: RecordedFill) -> tuple[int, float, int, int, UUID]:
    """Return the place of a fill among others: by time, block, log, detection."""
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


def cut_above(ranges: tuple[ProvedRange, ...], block: int) -> tuple[ProvedRange, ...]:
    """Forget what is above `block` of what was proved for everyone."""
    return tuple(
        replace(one, to_block=min(one.to_block, block)) if one.scope == CursorScope() else one
        for one in ranges
        if one.scope != CursorScope() or one.from_block <= block
    )
