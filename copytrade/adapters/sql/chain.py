"""What the chain makes of stored fills later: a reorg takes them away, finality confirms them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, assert_never

from sqlalchemy import Connection, and_, select, update

from copytrade.adapters.sql import attempts, cursors
from copytrade.adapters.sql.ingest import FILL_WITH_ADDRESS
from copytrade.adapters.sql.rows import recorded_fill_of
from copytrade.adapters.sql.statements import chunks
from copytrade.adapters.sql.tables import execution_attempt, leader_fill, leader_fill_raw
from copytrade.domain.attempts import AttemptStatus
from copytrade.ports.leader_fills import ChainConfirmed, FillsConfirmed
from copytrade.ports.ledger import Orphaned

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import FillsRemoved, LogRef


def orphan(connection: Connection, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
    """Mark the fills that still lie where logs were removed, and cancel what was not sent for them."""
    orphaned = _take_away(connection, _fills_at(connection, removed.logs), now_ms=now_ms)
    if removed.rewind_to is not None:
        cursors.rewind(connection, removed.rewind_to, now_ms=now_ms)
    return orphaned


def refute(connection: Connection, fill_ids: Iterable[UUID], *, now_ms: Millis) -> Orphaned:
    """Do the same with fills that no log was ever seen of."""
    fills = [one for one in _not_orphaned(connection, fill_ids) if one.fill.place is None]
    return _take_away(connection, fills, now_ms=now_ms)


def take_away(connection: Connection, fill_ids: Iterable[UUID], *, now_ms: Millis) -> Orphaned:
    """Do the same with fills, whatever was seen of them."""
    return _take_away(connection, _not_orphaned(connection, fill_ids), now_ms=now_ms)


def _not_orphaned(connection: Connection, fill_ids: Iterable[UUID]) -> list[RecordedFill]:
    fill = leader_fill.c
    return [
        recorded_fill_of(row)
        for ids in chunks(fill_ids)
        for row in connection.execute(
            FILL_WITH_ADDRESS.where(fill.id.in_(ids), fill.orphaned_at.is_(None)).order_by(fill.fill_ts, fill.id)
        )
    ]


def _take_away(connection: Connection, fills: list[RecordedFill], *, now_ms: Millis) -> Orphaned:
    _mark_orphaned(connection, [recorded.id for recorded in fills], now_ms=now_ms)
    cancelled: list[ExecutionAttempt | None] = []
    already_sent: list[ExecutionAttempt] = []
    for attempt in _attempts_on(connection, [recorded.id for recorded in fills]):
        if attempt.status is AttemptStatus.PENDING:
            cancelled.append(attempts.cancel_orphaned(connection, attempt, at_ms=now_ms))
        elif attempt.order_hash is not None:
            already_sent.append(attempt)
    return Orphaned(fills=tuple(fills), cancelled=tuple(filter(None, cancelled)), already_sent=tuple(already_sent))


def confirm(connection: Connection, confirmed: FillsConfirmed | ChainConfirmed) -> int:
    """Set `confirmed_at` where it is not set yet."""
    match confirmed:
        case ChainConfirmed():
            return _confirm_where(connection, leader_fill.c.block_number <= confirmed.block_number, confirmed.at_ms)
        case FillsConfirmed():
            return sum(
                _confirm_where(connection, _is_reported(confirmed, keys), confirmed.at_ms)
                for keys in chunks(confirmed.source_keys)
            )
        case _:
            assert_never(confirmed)


def _fills_at(connection: Connection, logs: Iterable[LogRef]) -> list[RecordedFill]:
    refs_by_tx: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for log in logs:
        refs_by_tx[log.tx_hash].add((log.block_hash, log.log_index))
    return [
        recorded_fill_of(row)
        for hashes in chunks(refs_by_tx)
        for row in connection.execute(
            FILL_WITH_ADDRESS.where(leader_fill.c.tx_hash.in_(hashes), leader_fill.c.orphaned_at.is_(None)).order_by(
                leader_fill.c.block_number, leader_fill.c.log_index
            )
        )
        if (row.block_hash, row.log_index) in refs_by_tx[row.tx_hash]
    ]


def _mark_orphaned(connection: Connection, fill_ids: Iterable[UUID], *, now_ms: Millis) -> None:
    for ids in chunks(fill_ids):
        connection.execute(
            update(leader_fill).where(leader_fill.c.id.in_(ids)).values(orphaned_at=now_ms, confirmed_at=None)
        )


def _attempts_on(connection: Connection, fill_ids: Iterable[UUID]) -> list[ExecutionAttempt]:
    return [
        attempt
        for ids in chunks(fill_ids)
        for attempt in attempts.select_where(connection, execution_attempt.c.leader_fill_id.in_(ids))
    ]


def _confirm_where(connection: Connection, condition: ColumnElement[bool], at_ms: Millis) -> int:
    is_open = and_(leader_fill.c.confirmed_at.is_(None), leader_fill.c.orphaned_at.is_(None))
    return connection.execute(update(leader_fill).where(is_open, condition).values(confirmed_at=at_ms)).rowcount


def _is_reported(confirmed: FillsConfirmed, keys: list[str]) -> ColumnElement[bool]:
    raw = leader_fill_raw.c
    reported = select(raw.leader_fill_id).where(raw.source == confirmed.source, raw.source_key.in_(keys))
    return leader_fill.c.id.in_(reported)
