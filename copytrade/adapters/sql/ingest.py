"""Storing what a source reports: raw rows, fills and the cursor in one transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Boolean, Connection, bindparam, case, exists, null, select, update

from copytrade.adapters.sql import copying, cursors, hot
from copytrade.adapters.sql.rows import Values, recorded_fill_of, recorded_fill_values
from copytrade.adapters.sql.statements import chunks
from copytrade.adapters.sql.tables import execution_attempt, leader, leader_fill, leader_fill_raw
from copytrade.domain.dedupe import KnownFill, join
from copytrade.domain.fills import Source
from copytrade.domain.ids import raw_row_id
from copytrade.domain.leaders import is_copied
from copytrade.ports.ledger import Ingested

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Table

    from copytrade.adapters.sql.prepared import Prepared
    from copytrade.domain.fills import RecordedFill, Sighting
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import FillsSeen

REDATED_MS_MAX: Final = 600_000
"""An API's date of a fill and that of its block are never further apart."""
BATCH_MIN: Final = 50
"""From so many rows on, asking first whether they are new pays."""
FILL_WITH_ADDRESS: Final = select(leader_fill, leader.c.address).join_from(leader_fill, leader)
_KEPT: Final = {"id", "leader_id", "source", "detected_at"}
"""What a later sighting never changes."""
_CHANGE: Final = (
    update(leader_fill)
    .where(leader_fill.c.id == bindparam("fill_id"))
    .values(
        orphaned_at=case((bindparam("is_revived", type_=Boolean()), null()), else_=leader_fill.c.orphaned_at),
        **{
            column.name: bindparam(column.name)
            for column in leader_fill.c
            if column.name not in _KEPT | {"confirmed_at", "orphaned_at", "awaits_decision", "created_at"}
        },
    )
)


def ingest(connection: Connection, seen: FillsSeen, *, now_ms: Millis) -> Ingested:
    """Store a batch; see the port for what makes two reports one fill."""
    leaders, is_any_known = _followed(connection, seen)
    followed = [sighting for sighting in seen.sightings if sighting.fill.leader in leaders]
    joined = join(
        _known(connection, {sighting.fill.tx_hash for sighting in followed}) if is_any_known else (),
        followed,
        leader_ids={address: leader.id for address, leader in leaders.items()},
    )
    _change(connection, joined.changed, joined.revived)
    _await_decision(connection, [one for one in joined.changed if _may_be_copied_now(one, leaders)])
    _add(connection, joined.new, leaders, now_ms=now_ms)
    _keep_raw(connection, joined.reports, now_ms=now_ms)
    if seen.cursor is not None:
        cursors.advance(connection, seen.cursor, now_ms=now_ms)
    return Ingested(new=joined.new, joined=joined.met, retold=joined.retold())


def _followed(connection: Connection, seen: FillsSeen) -> tuple[Mapping[str, Any], bool]:
    """Return what counts here of the sighted leaders that are enabled, and whether any transaction is known."""
    if not seen.sightings:
        return {}, False
    addresses = {sighting.fill.leader for sighting in seen.sightings}
    tx_hashes = {sighting.fill.tx_hash for sighting in seen.sightings}
    rows = hot.FOLLOWED.rows(connection, {"addresses": [*addresses], "tx_hashes": [*tx_hashes]})
    return {row.address: row for row in rows}, any(row.is_known for row in rows)


def _known(connection: Connection, tx_hashes: Iterable[str]) -> list[KnownFill]:
    """Read every fill of these transactions, in the order they were stored, with its reports."""
    rows = [
        row
        for hashes in chunks(tx_hashes)
        for row in connection.execute(
            FILL_WITH_ADDRESS.where(leader_fill.c.tx_hash.in_(hashes)).order_by(
                leader_fill.c.created_at, leader_fill.c.log_index.nulls_last(), leader_fill.c.dedupe_key
            )
        )
    ]
    reports = _reports(connection, [row.id for row in rows])
    return [
        KnownFill(
            recorded=recorded_fill_of(row),
            is_orphaned=row.orphaned_at is not None,
            reports=frozenset(reports[row.id]),
        )
        for row in rows
    ]


def _reports(connection: Connection, fill_ids: Sequence[UUID]) -> Mapping[UUID, set[tuple[Source, str]]]:
    raw = leader_fill_raw.c
    reports: dict[UUID, set[tuple[Source, str]]] = defaultdict(set)
    for ids in chunks(fill_ids):
        statement = select(raw.leader_fill_id, raw.source, raw.source_key).where(raw.leader_fill_id.in_(ids))
        for row in connection.execute(statement):
            reports[row.leader_fill_id].add((Source(row.source), row.source_key))
    return reports


def _change(connection: Connection, changed: Sequence[RecordedFill], revived: frozenset[UUID]) -> None:
    if not changed:
        return
    if len(changed) > 1:
        _vacate_keys(connection, changed)
    connection.execute(_CHANGE, [_changes(recorded, is_revived=recorded.id in revived) for recorded in changed])


def _may_be_copied_now(recorded: RecordedFill, leaders: Mapping[str, Any]) -> bool:
    """Tell whether the chain may date a fill after he was followed that an API dated before it."""
    leader = leaders.get(recorded.fill.leader)
    at_ms = recorded.fill.fill_ts_ms
    return leader is not None and is_copied(leader, at_ms) and at_ms < leader.followed_since_ms + REDATED_MS_MAX


def _await_decision(connection: Connection, copied: Sequence[RecordedFill]) -> None:
    if not copied:
        return
    attempt, fill = execution_attempt.c, leader_fill.c
    has_attempt = exists().where(attempt.leader_fill_id == fill.id)
    connection.execute(
        update(leader_fill)
        .where(fill.id.in_([one.id for one in copied]), fill.orphaned_at.is_(None), ~has_attempt)
        .values(awaits_decision=True)
    )


def _changes(recorded: RecordedFill, *, is_revived: bool) -> Values:
    values = {name: value for name, value in recorded_fill_values(recorded).items() if name not in _KEPT}
    return {"fill_id": recorded.id, "is_revived": is_revived, **values}


def _vacate_keys(connection: Connection, changed: Sequence[RecordedFill]) -> None:
    """Let go of the old keys first: fills of one transaction may take each other's."""
    statement = update(leader_fill).where(leader_fill.c.id == bindparam("fill_id")).values(dedupe_key=bindparam("key"))
    connection.execute(statement, [{"fill_id": recorded.id, "key": str(recorded.id)} for recorded in changed])


def _add(connection: Connection, new: Sequence[RecordedFill], leaders: Mapping[str, Any], *, now_ms: Millis) -> None:
    if not new:
        return
    rows = [
        {
            **recorded_fill_values(recorded),
            "confirmed_at": None,
            "orphaned_at": None,
            "awaits_decision": is_copied(leaders[recorded.fill.leader], recorded.fill.fill_ts_ms),
            "created_at": now_ms,
        }
        for recorded in new
    ]
    _insert(connection, hot.ADD_FILL, leader_fill, rows)


def _keep_raw(connection: Connection, reports: Sequence[tuple[Sighting, UUID]], *, now_ms: Millis) -> None:
    if not reports:
        return
    rows = [raw_values(sighting, fill_id, now_ms=now_ms) for sighting, fill_id in reports]
    if len(rows) < BATCH_MIN or _is_any_kept(connection, rows):
        hot.KEEP_RAW.run_many(connection, rows)
    else:
        _insert(connection, hot.ADD_RAW, leader_fill_raw, rows)


def _insert(connection: Connection, statement: Prepared, table: Table, rows: Sequence[Values]) -> None:
    """Add new rows, many at once where the database can."""
    if len(rows) < BATCH_MIN or connection.dialect.name == "sqlite":
        statement.run_many(connection, rows)
    else:
        copying.copy(connection, table, rows)


def _is_any_kept(connection: Connection, rows: Sequence[Values]) -> bool:
    keys = [row["source_key"] for row in rows]
    return any(row.is_kept for row in hot.ANY_KEPT.rows(connection, {"source_keys": keys, "sources": [*Source]}))


def raw_values(sighting: Sighting, fill_id: UUID, *, now_ms: Millis) -> Values:
    """Return every column of `leader_fill_raw`."""
    source = sighting.fill.source
    return {
        "id": raw_row_id(source, sighting.source_key),
        "source": source,
        "source_key": sighting.source_key,
        "leader_fill_id": fill_id,
        "payload": sighting.payload,
        "received_at": sighting.fill.detected_at_ms,
        "created_at": now_ms,
    }
