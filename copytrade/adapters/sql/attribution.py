"""Why copies cost what they cost, and the marks of their fills."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, exists, func, not_, or_, select, text, update

from copytrade.adapters.sql.attribution_rows import attribution_of, attribution_values, marks_of, marks_values
from copytrade.adapters.sql.columns import Micro
from copytrade.adapters.sql.rows import attempt_of, execution_of
from copytrade.adapters.sql.statements import chunks, insert
from copytrade.adapters.sql.story_tables import AWAITS_MARK, AWAITS_PAYOUT, attempt_attribution, fill_markout
from copytrade.adapters.sql.tables import execution_attempt, execution_fill, leader_fill, market_registry, market_token
from copytrade.domain.attempts import Decision, Settlement
from copytrade.domain.units import parse_micro
from copytrade.ports.attribution import Unattributed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Select, Table

    from copytrade.adapters.sql.rows import Values
    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.attribution import Attribution
    from copytrade.domain.markouts import FillMarks
    from copytrade.domain.units import Millis, Price


def keep(connection: Connection, attributions: Sequence[Attribution], *, now_ms: Millis) -> None:
    """Insert or replace attributions."""
    rows = [attribution_values(noted, now_ms=now_ms) for noted in attributions]
    _upsert(connection, attempt_attribution, rows, keep={"attempt_id"})


def keep_marks(connection: Connection, marks: Sequence[FillMarks]) -> None:
    """Insert or replace marks, but not a payout that is stored."""
    _upsert(connection, fill_markout, [marks_values(one) for one in marks], keep={"attempt_id", "fill_at", "payout"})


def attributions_of(connection: Connection, attempt_ids: Collection[UUID]) -> tuple[Attribution, ...]:
    """Return what is kept of these attempts."""
    noted = attempt_attribution.c
    return tuple(
        attribution_of(row)
        for ids in chunks(attempt_ids)
        for row in connection.execute(select(attempt_attribution).where(noted.attempt_id.in_(ids)))
    )


def prices_followed(connection: Connection, attempt_ids: Collection[UUID]) -> dict[UUID, Price]:
    """Return the price of the leader's fill of each of these attempts."""
    attempt = execution_attempt.c
    followed = select(attempt.id, leader_fill.c.leader_price).join(
        leader_fill, leader_fill.c.id == attempt.leader_fill_id
    )
    return {
        row.id: row.leader_price
        for ids in chunks(attempt_ids)
        for row in connection.execute(followed.where(attempt.id.in_(ids)))
    }


def executions_of(connection: Connection, attempt_ids: Collection[UUID]) -> tuple[ExecutionFill, ...]:
    """Return every execution of these attempts, in the order of booking for each position."""
    fill = execution_fill.c
    return tuple(
        execution_of(row)
        for ids in chunks(attempt_ids)
        for row in connection.execute(
            select(execution_fill).where(fill.attempt_id.in_(ids)).order_by(fill.token_id, fill.position_ordinal)
        )
    )


def unattributed(connection: Connection, *, newest: int) -> tuple[Unattributed, ...]:
    """Return what is missing or not final among the newest attempts, oldest first."""
    attempt, noted = _newest(newest), attempt_attribution.c
    filled = (
        select(func.coalesce(func.sum(execution_fill.c.filled_shares), 0, type_=Micro()))
        .where(execution_fill.c.attempt_id == attempt.c.id, execution_fill.c.settlement != Settlement.FAILED)
        .scalar_subquery()
    )
    statement = (
        select(attempt, filled.label("filled_shares"), leader_fill.c.leader_price, noted.attempt_id.label("kept_id"))
        .join(leader_fill, leader_fill.c.id == attempt.c.leader_fill_id)
        .outerjoin(attempt_attribution, noted.attempt_id == attempt.c.id)
        .where(attempt.c.decision == Decision.TRADE, or_(noted.is_final.is_(None), not_(noted.is_final)))
        .order_by(attempt.c.created_at, attempt.c.id)
    )
    rows = connection.execute(statement).all()
    kept_ids = [row.kept_id for row in rows if row.kept_id is not None]
    kept = {one.attempt_id: one for one in attributions_of(connection, kept_ids)}
    return tuple(
        Unattributed(attempt=attempt_of(row), leader_price=row.leader_price, kept=kept.get(row.id)) for row in rows
    )


def marks(connection: Connection, attempt_ids: Collection[UUID]) -> tuple[FillMarks, ...]:
    """Return the marks of these attempts."""
    mark = fill_markout.c
    return tuple(
        marks_of(row)
        for ids in chunks(sorted(attempt_ids))
        for row in connection.execute(
            select(fill_markout).where(mark.attempt_id.in_(ids)).order_by(mark.attempt_id, mark.fill_at)
        )
    )


def unmarked(connection: Connection, *, newest: int) -> tuple[ExecutionFill, ...]:
    """Return executions of the newest attempts that no marks are kept of."""
    attempt, fill, mark = _newest(newest), execution_fill.c, fill_markout.c
    is_marked = exists().where(and_(mark.attempt_id == fill.attempt_id, mark.fill_at == fill.fill_at))
    statement = (
        select(execution_fill)
        .join(attempt, attempt.c.id == fill.attempt_id)
        .where(fill.settlement != Settlement.FAILED, ~is_marked)
        .order_by(fill.fill_at, fill.id)
    )
    return tuple(execution_of(row) for row in connection.execute(statement))


def open_marks(connection: Connection, *, limit: int) -> tuple[FillMarks, ...]:
    """Return marks that have a horizon to come, the one due next first."""
    mark = fill_markout.c
    ordered = select(fill_markout).where(text(AWAITS_MARK)).order_by(mark.next_due, mark.attempt_id).limit(limit)
    return tuple(marks_of(row) for row in connection.execute(ordered))


def resolved(connection: Connection, *, limit: int) -> dict[str, Price]:
    """Return what tokens of resolved markets paid of which fills wait for that."""
    waiting = select(fill_markout.c.token_id).where(text(AWAITS_PAYOUT)).distinct().subquery()
    statement = (
        select(waiting.c.token_id, market_token.c.outcome_index, market_registry.c.payouts)
        .join_from(waiting, market_token, market_token.c.token_id == waiting.c.token_id)
        .join(market_registry, market_registry.c.condition_id == market_token.c.condition_id)
        .where(market_registry.c.payouts.is_not(None))
        .limit(limit)
    )
    rows = connection.execute(statement)
    return {row.token_id: parse_micro(json.loads(row.payouts)[row.outcome_index]) for row in rows}


def mark_resolved(connection: Connection, payouts: Mapping[str, Price]) -> None:
    """Give fills that wait for it what their token paid."""
    for token_id, payout in payouts.items():
        waiting = (fill_markout.c.token_id == token_id, text(AWAITS_PAYOUT))
        connection.execute(update(fill_markout).where(*waiting).values(payout=payout))


def _newest(newest: int) -> Any:
    order = (execution_attempt.c.created_at.desc(), execution_attempt.c.id)
    statement: Select[Any] = select(execution_attempt).order_by(*order).limit(newest)
    return statement.subquery()


def _upsert(connection: Connection, table: Table, rows: Sequence[Values], *, keep: Collection[str]) -> None:
    if not rows:
        return
    statement = insert(connection, table)
    replaced = {name: statement.excluded[name] for name in rows[0] if name not in keep}
    keys = [column.name for column in table.primary_key]
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=replaced), list(rows))
