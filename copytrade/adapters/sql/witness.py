"""Stored fills as evidence: which logs they stand on, and which of them the chain never showed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from copytrade.adapters.sql.ingest import FILL_WITH_ADDRESS
from copytrade.adapters.sql.rows import recorded_fill_of
from copytrade.adapters.sql.tables import leader, leader_fill, worker_event
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import LogRef, StoredLog

if TYPE_CHECKING:
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis


def unconfirmed_logs(connection: Connection) -> tuple[StoredLog, ...]:
    """Return the logs of fills that are neither confirmed nor orphaned, lowest block first."""
    fill = leader_fill.c
    rows = connection.execute(
        select(fill.block_number, fill.block_hash, fill.tx_hash, fill.log_index, leader.c.address)
        .join_from(leader_fill, leader)
        .where(fill.confirmed_at.is_(None), fill.orphaned_at.is_(None), fill.block_number.is_not(None))
        .order_by(fill.block_number, fill.log_index)
    )
    return tuple(
        StoredLog(
            ref=LogRef(block_hash=row.block_hash, tx_hash=row.tx_hash, log_index=row.log_index),
            block_number=row.block_number,
            leader=row.address,
        )
        for row in rows
    )


def all_fills_of(connection: Connection, *, address: str, since_ms: Millis) -> tuple[RecordedFill, ...]:
    """Return a leader's fills since a time that are not orphaned, oldest first."""
    fill = leader_fill.c
    rows = connection.execute(
        FILL_WITH_ADDRESS.where(
            leader.c.address == address,
            fill.fill_ts >= since_ms,
            fill.orphaned_at.is_(None),
            fill.source != Source.LEADER_EVENT,
        ).order_by(fill.fill_ts, fill.block_number, fill.log_index)
    )
    return tuple(map(recorded_fill_of, rows))


def unmatched_rows(
    connection: Connection, *, first_ms: Millis, last_ms: Millis, noted_as: str
) -> tuple[RecordedFill, ...]:
    """Return fills known only from an API, but for those that were noted before."""
    event, fill = worker_event.c, leader_fill.c
    details = connection.execute(select(event.detail).where(event.at >= first_ms, event.code == noted_as)).scalars()
    noted = {json.loads(detail).get("fill") for detail in details}
    rows = connection.execute(
        FILL_WITH_ADDRESS.where(
            fill.block_number.is_(None),
            fill.source != Source.LEADER_EVENT,
            fill.orphaned_at.is_(None),
            fill.detected_at >= first_ms,
            fill.detected_at <= last_ms,
        ).order_by(fill.detected_at)
    )
    return tuple(recorded for row in rows if str((recorded := recorded_fill_of(row)).id) not in noted)
