"""Decisions and the orders they became: every move checks the status it starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, bindparam, func, select, text, update

from copytrade.adapters.sql import hot
from copytrade.adapters.sql.ingest import FILL_WITH_ADDRESS
from copytrade.adapters.sql.rows import attempt_of, attempt_values, carry_values, reasons_json, recorded_fill_of
from copytrade.adapters.sql.tables import AWAITS_DECISION, IS_OPEN, execution_attempt, execution_fill, leader_fill
from copytrade.domain.attempts import AttemptStatus, Settlement, reason
from copytrade.domain.booking import end

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement, TextClause

    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.orders import OrderType
    from copytrade.domain.units import Millis
    from copytrade.ports.execution import OrderDone

_FILLED_SHARES: Final = (
    select(func.coalesce(func.sum(execution_fill.c.filled_shares), 0, type_=execution_fill.c.filled_shares.type))
    .where(execution_fill.c.attempt_id == execution_attempt.c.id, execution_fill.c.settlement != Settlement.FAILED)
    .scalar_subquery()
    .label("filled_shares")
)
ATTEMPT: Final = select(execution_attempt, _FILLED_SHARES)


class StatusChangedError(Exception):
    """An attempt is not in the status it was read in, though nothing else may write now."""


def find(connection: Connection, attempt_id: UUID) -> ExecutionAttempt | None:
    """Return one attempt."""
    found = select_where(connection, execution_attempt.c.id == attempt_id)
    return found[0] if found else None


def select_where(connection: Connection, condition: ColumnElement[bool] | TextClause) -> list[ExecutionAttempt]:
    """Return attempts, oldest first."""
    ordered = ATTEMPT.where(condition).order_by(execution_attempt.c.created_at, execution_attempt.c.id)
    return [attempt_of(row) for row in connection.execute(ordered)]


def open_attempts(connection: Connection) -> tuple[ExecutionAttempt, ...]:
    """Return what is not over, oldest first."""
    return tuple(select_where(connection, text(IS_OPEN)))


def record(connection: Connection, attempt: ExecutionAttempt, carry: Carry | None = None) -> bool:
    """Store an attempt, that its fill needs none any more and what waits after it; False if there is one."""
    if hot.RECORD.run(connection, attempt_values(attempt)) != 1:
        return False
    if carry is not None:
        hot.KEEP_CARRY.run(connection, carry_values(carry, attempt))
    hot.IS_DECIDED.run(connection, {"fill_id": attempt.leader_fill_id})
    return True


def submit(
    connection: Connection, attempt_id: UUID, *, order_type: OrderType, order_hash: str, placed_at_ms: Millis
) -> bool:
    """Move PENDING to SUBMITTED; False if it is not PENDING, or its fill is orphaned and it ends here."""
    sent = {"attempt_id": attempt_id, "type": order_type, "hash": order_hash, "at_ms": placed_at_ms}
    done = hot.SUBMIT.run(connection, sent)
    if done == 1:
        return True
    attempt = find(connection, attempt_id)
    if attempt is not None and attempt.status is AttemptStatus.PENDING:
        cancel_orphaned(connection, attempt, at_ms=attempt.decided_at_ms)
    return False


def cancel_orphaned(connection: Connection, attempt: ExecutionAttempt, *, at_ms: Millis) -> ExecutionAttempt | None:
    """End an attempt whose fill a reorg took away before anything was sent."""
    return _end(connection, attempt, status=AttemptStatus.CANCELED, why=reason("ORPHANED"), at_ms=at_ms)


def close(
    connection: Connection, attempt_id: UUID, *, status: AttemptStatus, why: Reason | None, at_ms: Millis
) -> ExecutionAttempt | None:
    """End an open attempt; None if it is over, or was never one.

    :raises ValueError: `status` is no ending.
    """
    attempt = find(connection, attempt_id)
    return None if attempt is None else _end(connection, attempt, status=status, why=why, at_ms=at_ms)


def close_many(connection: Connection, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
    """End what of these is still open; return that.

    :raises ValueError: a status is no ending.
    """
    named = execution_attempt.c.id.in_([told.attempt_id for told in endings])
    known = {attempt.id: attempt for attempt in select_where(connection, named)}
    closed: dict[UUID, ExecutionAttempt] = {}
    for told in endings:
        attempt = closed.get(told.attempt_id) or known.get(told.attempt_id)
        after = attempt and end(attempt, status=told.status, why=told.reason, at_ms=told.at_ms)
        if after is not None:
            closed[after.id] = after
    _change_many(connection, [(known[after.id], after) for after in closed.values()])
    return tuple(closed.values())


def _change_many(connection: Connection, changes: Sequence[tuple[ExecutionAttempt, ExecutionAttempt]]) -> None:
    """Write what moves with the status of each.

    :raises StatusChangedError: as `change` does.
    """
    if not changes:
        return
    rows = [{"attempt": before.id, "was": before.status, **_moved(after)} for before, after in changes]
    done = connection.execute(
        update(execution_attempt).where(
            execution_attempt.c.id == bindparam("attempt"), execution_attempt.c.status == bindparam("was")
        ),
        rows,
    )
    if done.rowcount != len(rows):
        raise StatusChangedError(f"{len(rows) - done.rowcount} of {len(rows)} attempts are not as they were read")


def _end(
    connection: Connection, attempt: ExecutionAttempt, *, status: AttemptStatus, why: Reason | None, at_ms: Millis
) -> ExecutionAttempt | None:
    after = end(attempt, status=status, why=why, at_ms=at_ms)
    if after is not None:
        change(connection, before=attempt, after=after)
    return after


def change(connection: Connection, *, before: ExecutionAttempt, after: ExecutionAttempt) -> None:
    """Write what moves with the status.

    :raises StatusChangedError: the stored status is not that of `before`; the transaction must not go on.
    """
    done = connection.execute(
        update(execution_attempt)
        .where(execution_attempt.c.id == before.id, execution_attempt.c.status == before.status)
        .values(_moved(after))
    )
    if done.rowcount != 1:
        raise StatusChangedError(f"attempt {before.id} is not {before.status} any more")


def _moved(after: ExecutionAttempt) -> dict[str, object]:
    return {
        "status": after.status,
        "decision_reason": reasons_json(after.reasons),
        "first_fill_at": after.first_fill_at_ms,
        "done_at": after.done_at_ms,
    }


def undecided(connection: Connection, *, limit: int) -> tuple[RecordedFill, ...]:
    """Return fills that wait for their attempt, in the order they happened."""
    fill = leader_fill.c
    statement = (
        FILL_WITH_ADDRESS.where(text(AWAITS_DECISION), fill.orphaned_at.is_(None))
        .order_by(fill.fill_ts, fill.block_number.nulls_last(), fill.log_index, fill.detected_at, fill.id)
        .limit(limit)
    )
    return tuple(recorded_fill_of(row) for row in connection.execute(statement))


def find_fill(connection: Connection, leader_fill_id: UUID) -> RecordedFill | None:
    """Return one leader fill."""
    row = connection.execute(FILL_WITH_ADDRESS.where(leader_fill.c.id == leader_fill_id)).one_or_none()
    return None if row is None else recorded_fill_of(row)
