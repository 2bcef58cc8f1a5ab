"""What earlier decisions left for the next ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, func, select

from copytrade.adapters.sql import attempts
from copytrade.adapters.sql.ingest import FILL_WITH_ADDRESS
from copytrade.adapters.sql.rows import carry_of, recorded_fill_of
from copytrade.adapters.sql.statements import chunks
from copytrade.adapters.sql.tables import carry, execution_attempt, leader_fill
from copytrade.domain.attempts import Decision
from copytrade.domain.fills import Side

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis

    Owner = tuple[str, str]


def carries(connection: Connection, *, owner: Owner) -> tuple[Carry, ...]:
    """Return what waits."""
    strategy_id, account_id = owner
    rows = connection.execute(
        select(carry).where(carry.c.strategy_id == strategy_id, carry.c.account_id == account_id, carry.c.shares > 0)
    )
    return tuple(carry_of(row) for row in rows)


def decided_since(
    connection: Connection, *, since_ms: Millis, owner: Owner
) -> tuple[tuple[RecordedFill, ExecutionAttempt], ...]:
    """Return the attempts decided since then with their fills, oldest first."""
    decided = attempts.select_where(connection, _decided(since_ms, owner))
    fills: dict[UUID, RecordedFill] = {}
    for ids in chunks(attempt.leader_fill_id for attempt in decided):
        for row in connection.execute(FILL_WITH_ADDRESS.where(leader_fill.c.id.in_(ids))):
            fills[row.id] = recorded_fill_of(row)
    return tuple((fills[attempt.leader_fill_id], attempt) for attempt in decided)


def last_entries(connection: Connection, *, since_ms: Millis, owner: Owner) -> Mapping[UUID, Millis]:
    """Return when each leader was last followed into a position."""
    attempt = execution_attempt.c
    statement = (
        select(leader_fill.c.leader_id, func.max(attempt.decided_at, type_=attempt.decided_at.type).label("at"))
        .join_from(execution_attempt, leader_fill)
        .where(_decided(since_ms, owner), attempt.decision == Decision.TRADE, attempt.side == Side.BUY)
        .group_by(leader_fill.c.leader_id)
    )
    return {row.leader_id: row.at for row in connection.execute(statement)}


def _decided(since_ms: Millis, owner: Owner) -> ColumnElement[bool]:
    """Return the condition of an owner's attempts decided since then: made and decided are one moment, and indexed."""
    strategy_id, account_id = owner
    attempt = execution_attempt.c
    return and_(attempt.created_at >= since_ms, attempt.strategy_id == strategy_id, attempt.account_id == account_id)
