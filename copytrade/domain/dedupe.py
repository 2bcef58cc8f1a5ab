"""Which reports are the same fill: the rule every ledger follows, on one transaction's fills at a time.

A log and a stored fill are the same if they are the same log; or, after a reorg, logs of the same order in
different blocks, paired by amounts (equal ones before all else) and then by ordinal. Logs are reported one
by one and in any order, so amounts an API has confirmed are not given up for those of another log. A log and
a fill that only an API has reported, or an API row and any fill, are the same if leader, token, side and size
agree; a fill meets at most one row of each API, so that identical fills need as many identical rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import RecordedFill, Source, api_dedupe_key
from copytrade.domain.ids import leader_fill_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.fills import LeaderFill, LogPlace, Sighting
    from copytrade.domain.units import Shares

SIZE_TOLERANCE: Final[Shares] = 1
"""How far the size of an API row, which was a JSON number, may be from the log's; an equal size is preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFill:
    """A stored fill; `reports` are the (source, source key) of its raw rows."""

    recorded: RecordedFill
    is_orphaned: bool
    reports: frozenset[tuple[Source, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a batch does to the stored fills, by transaction in the order sighted, then in the order stored.

    `changed` fills have new places, amounts or keys; `revived` are those of them that are orphaned no more.
    `met` are all stored fills that were reported again. `reports` are the raw rows not stored so far, each
    with its fill.
    """

    new: tuple[RecordedFill, ...]
    changed: tuple[RecordedFill, ...]
    revived: frozenset[UUID]
    met: tuple[RecordedFill, ...]
    reports: tuple[tuple[Sighting, UUID], ...]


def join(known: Iterable[KnownFill], sightings: Iterable[Sighting], *, leader_ids: Mapping[str, UUID]) -> Joined:
    """Decide for each sighting which stored fill it is, or that it is a new one.

    `known` must hold every stored fill of the transactions sighted, in the order they were stored;
    `leader_ids` the id of every leader sighted.
    """
    known_by_tx: dict[str, list[KnownFill]] = defaultdict(list)
    for stored in known:
        known_by_tx[stored.recorded.fill.tx_hash].append(stored)
    given = list(sightings)
    alone = {tx_hash for tx_hash, count in Counter(one.fill.tx_hash for one in given).items() if count == 1}
    alone -= known_by_tx.keys()
    sighted_by_tx: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in given:
        if sighting.fill.tx_hash not in alone:
            sighted_by_tx[sighting.fill.tx_hash].append(sighting)
    joined = _Joining()
    for sighting in given:
        if sighting.fill.tx_hash in alone:
            joined.add_lone(sighting, leader_ids)
        elif (sighted := sighted_by_tx.pop(sighting.fill.tx_hash, None)) is not None:
            transaction = _Transaction(known_by_tx.get(sighting.fill.tx_hash, ()), leader_ids)
            transaction.join(sighted)
            joined.add(transaction)
    return joined.result()


class _Joining:
    """What a batch does so far, transaction by transaction."""

    def __init__(self) -> None:
        self._new: list[RecordedFill] = []
        self._changed: list[RecordedFill] = []
        self._revived: set[UUID] = set()
        self._met: list[RecordedFill] = []
        self._reports: list[tuple[Sighting, UUID]] = []

    def add_lone(self, sighting: Sighting, leader_ids: Mapping[str, UUID]) -> None:
        """Add the only fill of a transaction seen for the first time: most are, and there is nothing to compare."""
        key = _key_of(sighting)
        fill_id = leader_fill_id(key)
        leader_id = leader_ids[sighting.fill.leader]
        self._new.append(RecordedFill(id=fill_id, leader_id=leader_id, dedupe_key=key, fill=sighting.fill))
        self._reports.append((sighting, fill_id))

    def add(self, transaction: _Transaction) -> None:
        """Add a transaction whose sightings are joined."""
        for fill in transaction.fills:
            if fill.is_new:
                self._new.append(fill.recorded)
                continue
            if fill.is_changed:
                self._changed.append(fill.recorded)
                if not fill.is_orphaned:
                    self._revived.add(fill.recorded.id)
            if fill.is_met:
                self._met.append(fill.recorded)
        self._reports += transaction.new_reports

    def result(self) -> Joined:
        """Return all of it."""
        return Joined(
            new=tuple(self._new),
            changed=tuple(self._changed),
            revived=frozenset(self._revived),
            met=tuple(self._met),
            reports=tuple(self._reports),
        )


class _Fill:
    """A fill while its transaction's reports are joined to it."""

    __slots__ = ("is_changed", "is_met", "is_new", "is_orphaned", "recorded", "reporters")

    def __init__(self, recorded: RecordedFill, *, is_new: bool, is_orphaned: bool, reporters: set[Source]) -> None:
        self.recorded = recorded
        self.is_new = is_new
        self.is_orphaned = is_orphaned
        self.reporters = reporters
        self.is_changed = False
        self.is_met = False

    def is_at(self, place: LogPlace) -> bool:
        stored = self.recorded.fill.place
        return stored is not None and (stored.block_hash, stored.log_index) == (place.block_hash, place.log_index)


class _Transaction:
    """The fills of one transaction, and the rule."""

    def __init__(self, known: Sequence[KnownFill], leader_ids: Mapping[str, UUID]) -> None:
        self.fills: list[_Fill] = []
        self.new_reports: list[tuple[Sighting, UUID]] = []
        self._leader_ids = leader_ids
        self._by_report: dict[tuple[Source, str], _Fill] = {}
        for stored in known:
            reporters = {source for source, _ in stored.reports}
            fill = _Fill(stored.recorded, is_new=False, is_orphaned=stored.is_orphaned, reporters=reporters)
            self.fills.append(fill)
            self._by_report.update(dict.fromkeys(stored.reports, fill))

    def join(self, sightings: Sequence[Sighting]) -> None:
        """Join logs before API rows, and each kind from the surest likeness to the least."""
        logs = [(sighting, place) for sighting in sightings if (place := sighting.fill.place) is not None]
        logs.sort(key=lambda log: log[1].log_index)
        unmet = [log for log in logs if not self._meet_repeated_log(*log)]
        for likeness in (_is_moved_alike, _is_api_only_alike, _is_moved_unconfirmed):
            unmet = [log for log in unmet if not self._meet_log(*log, likeness)]
        for sighting, place in unmet:
            if not self._meet_repeated_log(sighting, place):
                self._add_log(sighting, place)
        for sighting in sightings:
            if sighting.fill.place is None:
                self._meet_row(sighting)

    def _meet_repeated_log(self, sighting: Sighting, place: LogPlace) -> bool:
        found = self._by_report.get((sighting.fill.source, sighting.source_key))
        if found is None:
            found = next((known for known in self.fills if known.is_at(place)), None)
        if found is None:
            return False
        if found.is_orphaned or not found.is_at(place):
            self._place(found, sighting.fill, place)
        self._report(found, sighting)
        return True

    def _meet_log(self, sighting: Sighting, place: LogPlace, likeness: Callable[[_Fill, LeaderFill], bool]) -> bool:
        if self._meet_repeated_log(sighting, place):
            return True
        alike = [known for known in self.fills if likeness(known, sighting.fill)]
        if not alike:
            return False
        found = min(alike, key=lambda known: _distance(known, sighting.fill))
        self._place(found, sighting.fill, place)
        self._report(found, sighting)
        return True

    def _meet_row(self, sighting: Sighting) -> None:
        source = sighting.fill.source
        found = self._by_report.get((source, sighting.source_key))
        if found is None:
            alike = [known for known in self.fills if _is_alike(known, sighting.fill) and source not in known.reporters]
            found = min(alike, key=lambda known: _distance(known, sighting.fill), default=None)
        if found is None:
            found = self._add(sighting, key=_key_of(sighting), spare="")
        self._report(found, sighting)

    def _add_log(self, sighting: Sighting, place: LogPlace) -> None:
        key = _key_of(sighting)
        self._free(key)
        self._report(self._add(sighting, key=key, spare=place.block_hash), sighting)

    def _add(self, sighting: Sighting, *, key: str, spare: str) -> _Fill:
        """Add a fill; `spare` makes its id unique when a fill that moved away was first stored under this key."""
        fill_id = leader_fill_id(key)
        if any(known.recorded.id == fill_id for known in self.fills):
            fill_id = leader_fill_id(f"{key}|{spare}")
        recorded = RecordedFill(
            id=fill_id,
            leader_id=self._leader_ids[sighting.fill.leader],
            dedupe_key=key,
            fill=sighting.fill,
        )
        added = _Fill(recorded, is_new=True, is_orphaned=False, reporters=set())
        self.fills.append(added)
        return added

    def _place(self, known: _Fill, seen: LeaderFill, place: LogPlace) -> None:
        """Give a fill what the chain says; who reported it first, and when, stays."""
        key = place.dedupe_key(seen.tx_hash)
        if known.recorded.dedupe_key != key:
            self._free(key)
        first = known.recorded.fill
        fill = replace(seen, source=first.source, detected_at_ms=first.detected_at_ms)
        known.recorded = replace(known.recorded, dedupe_key=key, fill=fill)
        known.is_orphaned = False
        known.is_changed = True

    def _free(self, key: str) -> None:
        """Take a key from the fill that had it in a block of the same height which lost to this one.

        It keeps the key with its block's hash added, until its own log is seen again.
        """
        for known in self.fills:
            place = known.recorded.fill.place
            if known.recorded.dedupe_key == key and place is not None:
                known.recorded = replace(known.recorded, dedupe_key=f"{key}|{place.block_hash}")
                known.is_changed = True

    def _report(self, known: _Fill, sighting: Sighting) -> None:
        report = (sighting.fill.source, sighting.source_key)
        known.is_met = True
        if report in self._by_report:
            return
        known.reporters.add(sighting.fill.source)
        self._by_report[report] = known
        self.new_reports.append((sighting, known.recorded.id))


def _key_of(sighting: Sighting) -> str:
    fill = sighting.fill
    return fill.place.dedupe_key(fill.tx_hash) if fill.place else api_dedupe_key(fill.source, sighting.source_key)


def _is_moved(known: _Fill, seen: LeaderFill) -> bool:
    """Tell whether a stored log of the same order lies in another block: in one block it would be another fill."""
    stored, place = known.recorded.fill.place, seen.place
    return (
        stored is not None
        and place is not None
        and stored.order_hash == place.order_hash
        and stored.block_hash != place.block_hash
        and known.recorded.fill.leader == seen.leader
    )


def _is_moved_alike(known: _Fill, seen: LeaderFill) -> bool:
    stored = known.recorded.fill
    return _is_moved(known, seen) and (stored.token_id, stored.side, stored.size, stored.usdc) == (
        seen.token_id,
        seen.side,
        seen.size,
        seen.usdc,
    )


def _is_moved_unconfirmed(known: _Fill, seen: LeaderFill) -> bool:
    return known.reporters <= {Source.POLYGON} and _is_moved(known, seen)


def _is_api_only_alike(known: _Fill, seen: LeaderFill) -> bool:
    return known.recorded.fill.place is None and _is_alike(known, seen)


def _is_alike(known: _Fill, seen: LeaderFill) -> bool:
    stored = known.recorded.fill
    if Source.LEADER_EVENT in {stored.source, seen.source}:
        return False
    return (stored.leader, stored.token_id, stored.side) == (seen.leader, seen.token_id, seen.side) and abs(
        stored.size - seen.size
    ) <= SIZE_TOLERANCE


def _distance(known: _Fill, seen: LeaderFill) -> tuple[int, int, int]:
    """Return how unlike two fills are, then the log order, so that the nearest and earliest is the least."""
    stored = known.recorded.fill
    log_index = stored.place.log_index if stored.place else 0
    return abs(stored.size - seen.size), abs(stored.price - seen.price), log_index
