"""What leaders do other than trade, and what that and their fills make of their positions."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, func, select

from copytrade.adapters.sql import cursors
from copytrade.adapters.sql import events as audit
from copytrade.adapters.sql.ingest import FILL_WITH_ADDRESS
from copytrade.adapters.sql.markets import all_markets
from copytrade.adapters.sql.rows import recorded_fill_of
from copytrade.adapters.sql.statements import chunks, insert
from copytrade.adapters.sql.tables import leader, leader_event, leader_fill
from copytrade.domain.fills import Source
from copytrade.domain.ids import leader_event_id
from copytrade.domain.leader_events import (
    EventPolicy,
    LeaderEvent,
    LeaderEventKind,
    LeaderHolding,
    alerts_of,
    holding,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import Cursor

EVENTS_PER_INSERT: Final = 500
_EVENT_WITH_ADDRESS: Final = select(leader_event, leader.c.address).join_from(leader_event, leader)


def keep(
    connection: Connection, events: Sequence[LeaderEvent], *, now_ms: Millis, cursor: Cursor | None = None
) -> tuple[LeaderEvent, ...]:
    """Store events that are not stored yet and note those a person is told of; return the new ones."""
    leader_ids = _leader_ids(connection, {event.leader for event in events})
    known = _known(connection, (event.dedupe_key for event in events))
    new = tuple(event for event in events if event.leader in leader_ids and event.dedupe_key not in known)
    for start in range(0, len(new), EVENTS_PER_INSERT):
        values = [_values(event, leader_ids, now_ms) for event in new[start : start + EVENTS_PER_INSERT]]
        connection.execute(insert(connection, leader_event).on_conflict_do_nothing(), values)
    for code, detail in alerts_of(new):
        audit.note(connection, code, detail, at_ms=now_ms)
    if cursor is not None:
        cursors.advance(connection, cursor, now_ms=now_ms)
    return new


def events_of(connection: Connection, address: str) -> tuple[LeaderEvent, ...]:
    """Return every event of a leader."""
    rows = connection.execute(_EVENT_WITH_ADDRESS.where(leader.c.address == address))
    return tuple(_event_of(row) for row in rows)


def fills_of(connection: Connection, address: str, token_id: str, *, since_ms: Millis) -> tuple[RecordedFill, ...]:
    """Return a leader's fills of a token since then, those of orphaned blocks left out."""
    fill = leader_fill.c
    rows = connection.execute(
        FILL_WITH_ADDRESS.where(
            leader.c.address == address,
            fill.token_id == token_id,
            fill.fill_ts >= since_ms,
            fill.orphaned_at.is_(None),
            fill.source != Source.LEADER_EVENT,
        )
    )
    return tuple(recorded_fill_of(row) for row in rows)


def counts(connection: Connection) -> dict[str, int]:
    """Return how many events of each kind are stored."""
    kind = leader_event.c.kind
    return {str(one): int(n) for one, n in connection.execute(select(kind, func.count()).group_by(kind).order_by(kind))}


def leader_positions(connection: Connection, address: str) -> dict[str, LeaderHolding]:
    """Return what a leader holds now of every token that is known of him and whose market is."""
    events = events_of(connection, address)
    fills: dict[str, list[RecordedFill]] = defaultdict(list)
    is_trade = (leader_fill.c.orphaned_at.is_(None), leader_fill.c.source != Source.LEADER_EVENT)
    rows = connection.execute(FILL_WITH_ADDRESS.where(leader.c.address == address, *is_trade))
    for recorded in map(recorded_fill_of, rows):
        fills[recorded.fill.token_id].append(recorded)
    named = fills.keys() | {event.token_id for event in events}
    conditions = {event.condition_id for event in events}
    return {
        token.token_id: holding(token.token_id, market, fills=fills[token.token_id], events=events)
        for market in all_markets(connection)
        for token in market.tokens
        if token.token_id in named or market.condition_id in conditions
    }


def _leader_ids(connection: Connection, addresses: Iterable[str]) -> dict[str, UUID]:
    return {
        row.address: row.id
        for some in chunks(addresses)
        for row in connection.execute(select(leader.c.address, leader.c.id).where(leader.c.address.in_(some)))
    }


def _known(connection: Connection, keys: Iterable[str]) -> set[str]:
    column = leader_event.c.dedupe_key
    return {
        key for some in chunks(keys) for key in connection.execute(select(column).where(column.in_(some))).scalars()
    }


def _values(event: LeaderEvent, leader_ids: dict[str, UUID], now_ms: Millis) -> dict[str, Any]:
    return {
        "id": leader_event_id(event.dedupe_key),
        "leader_id": leader_ids[event.leader],
        "kind": event.kind.value,
        "condition_id": event.condition_id,
        "token_id": event.token_id,
        "shares": event.shares,
        "usdc": event.usdc,
        "tx_hash": event.tx_hash,
        "event_ts": event.event_ts_ms,
        "detected_at": event.detected_at_ms,
        "dedupe_key": event.dedupe_key,
        "policy": event.policy.value,
        "payload": event.payload,
        "created_at": now_ms,
    }


def _event_of(row: Any) -> LeaderEvent:
    return LeaderEvent(
        leader=row.address,
        kind=LeaderEventKind(row.kind),
        condition_id=row.condition_id,
        token_id=row.token_id,
        shares=row.shares,
        usdc=row.usdc,
        tx_hash=row.tx_hash,
        event_ts_ms=row.event_ts,
        detected_at_ms=row.detected_at,
        dedupe_key=row.dedupe_key,
        payload=row.payload,
        policy=EventPolicy(row.policy),
    )
