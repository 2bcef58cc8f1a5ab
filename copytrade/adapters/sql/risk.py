"""Limits, halts, gates and days: small tables that are read all the time and written seldom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, delete, func, insert, select, text, update

from copytrade.adapters.sql.events import note_risk
from copytrade.adapters.sql.risk_tables import IS_OPEN, gate_state, halt_state, limit_change, risk_day
from copytrade.adapters.sql.statements import insert as upsert
from copytrade.domain.drawdown import DayStart
from copytrade.domain.halts import Halt, HaltLevel
from copytrade.domain.halts import told as halt_told
from copytrade.domain.risk import LIMIT_SET, LimitChange, LimitName
from copytrade.domain.risk import told as limit_told
from copytrade.domain.scopes import Scope
from copytrade.domain.units import MICRO, format_micro, parse_micro

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.adapters.sql.rows import Values
    from copytrade.domain.gates import GateState
    from copytrade.domain.units import Millis, Usdc

_OPEN: Final = text(IS_OPEN)


def set_limit(
    connection: Connection, name: LimitName, scope: Scope, value: int | None, *, start: int | None, by: str, at_ms: int
) -> LimitChange:
    """Append a change, and tell of it in the audit."""
    change = limit_change.c
    last = connection.execute(
        select(change.new_value)
        .where(
            change.name == name,
            change.strategy_id == scope.strategy_id,
            change.account_id == scope.account_id,
            change.leader == scope.leader,
        )
        .order_by(change.revision.desc())
        .limit(1)
    ).one_or_none()
    values: Values = {
        "name": name,
        **scope._asdict(),
        "old_value": _in_row(name, start) if last is None else last.new_value,
        "new_value": _in_row(name, value),
        "changed_by": by,
        "changed_at": at_ms,
    }
    row = connection.execute(insert(limit_change).values(values).returning(limit_change)).one()
    made = _change_of(row)
    note_risk(connection, LIMIT_SET, limit_told(made), at_ms=at_ms)
    return made


def limit_changes(connection: Connection, *, after: int) -> tuple[LimitChange, ...]:
    """Return later changes, oldest first."""
    later = select(limit_change).where(limit_change.c.revision > after).order_by(limit_change.c.revision)
    return tuple(_change_of(row) for row in connection.execute(later))


def halt(connection: Connection, given: Halt) -> bool:
    """Store a halt over an open one of its cause, and tell of it in the audit; False if that says the same."""
    standing = connection.execute(select(halt_state).where(halt_state.c.cause == given.cause, _OPEN)).one_or_none()
    if standing is not None:
        if _halt_of(standing).says_the_same(given):
            return False
        _end(connection, [standing], by=given.started_by, at_ms=given.started_at_ms)
    values: Values = {
        "id": given.id,
        "cause": given.cause,
        "level": given.level,
        "why": given.why,
        "started_by": given.started_by,
        "started_at": given.started_at_ms,
    }
    connection.execute(insert(halt_state).values(values))
    note_risk(connection, "HALTED", halt_told(given), at_ms=given.started_at_ms)
    return True


def resume(connection: Connection, cause: str | None, *, by: str, at_ms: Millis) -> tuple[Halt, ...]:
    """End open halts, and tell of each in the audit."""
    statement = select(halt_state).where(_OPEN).order_by(halt_state.c.started_at, halt_state.c.id)
    if cause is not None:
        statement = statement.where(halt_state.c.cause == cause)
    return _end(connection, connection.execute(statement).all(), by=by, at_ms=at_ms)


def open_halts(connection: Connection) -> tuple[Halt, ...]:
    """Return the halts that have not ended, oldest first."""
    statement = select(halt_state).where(_OPEN).order_by(halt_state.c.started_at, halt_state.c.id)
    return tuple(_halt_of(row) for row in connection.execute(statement))


def save_gates(connection: Connection, states: Sequence[GateState], *, at_ms: Millis) -> None:
    """Replace what the gates said before."""
    connection.execute(delete(gate_state))
    rows: list[Values] = [
        {
            "name": state.name,
            "healthy": state.reading.is_healthy,
            "value": state.reading.value,
            "limit_value": state.reading.limit,
            "since": state.since_ms,
            "checked_at": at_ms,
        }
        for state in states
    ]
    if rows:
        connection.execute(insert(gate_state), rows)


def gates_saved_ms(connection: Connection) -> Millis | None:
    """Return when the gates were kept last."""
    saved_ms: Millis | None = connection.execute(select(func.max(gate_state.c.checked_at))).scalar_one()
    return saved_ms


def day_start(connection: Connection, strategy_id: str, account_id: str) -> DayStart | None:
    """Return the latest day."""
    day = risk_day.c
    statement = select(risk_day).where(day.strategy_id == strategy_id, day.account_id == account_id)
    row = connection.execute(statement.order_by(day.started_at.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    amounts = {
        token_id: None if amount is None else parse_micro(amount)
        for token_id, amount in json.loads(row.unrealized).items()
    }
    return DayStart(
        strategy_id=strategy_id,
        account_id=account_id,
        started_at_ms=row.started_at,
        realized_usdc=row.realized_usdc,
        unrealized_usdc=amounts,
    )


def save_day_start(connection: Connection, day: DayStart, *, at_ms: Millis) -> None:
    """Store a day, over what was known of it."""
    amounts = {
        token_id: None if amount is None else format_micro(amount) for token_id, amount in day.unrealized_usdc.items()
    }
    values: Values = {
        "strategy_id": day.strategy_id,
        "account_id": day.account_id,
        "started_at": day.started_at_ms,
        "realized_usdc": day.realized_usdc,
        "unrealized": json.dumps(amounts),
        "updated_at": at_ms,
    }
    statement = upsert(connection, risk_day).values(values)
    moved = {name: statement.excluded[name] for name in ("realized_usdc", "unrealized", "updated_at")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["strategy_id", "account_id", "started_at"], set_=moved)
    )


def save_day_gain(connection: Connection, day: DayStart, *, gain_usdc: Usdc, unmarked: int, at_ms: Millis) -> None:
    """Write how a day goes."""
    row = risk_day.c
    connection.execute(
        update(risk_day)
        .where(
            row.strategy_id == day.strategy_id, row.account_id == day.account_id, row.started_at == day.started_at_ms
        )
        .values(gain_usdc=gain_usdc, unmarked=unmarked, updated_at=at_ms)
    )


def day_gain(connection: Connection, strategy_id: str, account_id: str, *, started_at_ms: Millis) -> Usdc | None:
    """Return how a day goes."""
    row = risk_day.c
    statement = select(row.gain_usdc).where(
        row.strategy_id == strategy_id, row.account_id == account_id, row.started_at == started_at_ms
    )
    return connection.execute(statement).scalar_one_or_none()


def _end(connection: Connection, rows: Sequence[Any], *, by: str, at_ms: Millis) -> tuple[Halt, ...]:
    ended = []
    for row in rows:
        connection.execute(update(halt_state).where(halt_state.c.id == row.id).values(ended_by=by, ended_at=at_ms))
        halt_ended = _halt_of(row, ended_by=by, ended_at_ms=at_ms)
        note_risk(connection, "RESUMED", halt_told(halt_ended), at_ms=at_ms)
        ended.append(halt_ended)
    return tuple(ended)


def _halt_of(row: Any, *, ended_by: str | None = None, ended_at_ms: Millis | None = None) -> Halt:
    return Halt(
        id=row.id,
        cause=row.cause,
        level=HaltLevel(row.level),
        why=row.why,
        started_by=row.started_by,
        started_at_ms=row.started_at,
        ended_by=ended_by or row.ended_by,
        ended_at_ms=ended_at_ms or row.ended_at,
    )


def _change_of(row: Any) -> LimitChange:
    name = LimitName(row.name)
    return LimitChange(
        revision=row.revision,
        name=name,
        scope=Scope(row.strategy_id, row.account_id, row.leader),
        old=_from_row(name, row.old_value),
        new=_from_row(name, row.new_value),
        changed_by=row.changed_by,
        changed_at_ms=row.changed_at,
    )


def _in_row(name: LimitName, value: int | None) -> int | None:
    """Return micro-units: a count is a whole number in its column."""
    return value if value is None or name.is_usdc else value * MICRO


def _from_row(name: LimitName, value: int | None) -> int | None:
    return value if value is None or name.is_usdc else value // MICRO
