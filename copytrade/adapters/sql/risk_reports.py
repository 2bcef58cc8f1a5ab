"""What people ask about halts, gates and the day: plain rows, ready for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, select, text

from copytrade.adapters.sql.columns import instant_text
from copytrade.adapters.sql.risk_tables import IS_OPEN, gate_state, halt_state, risk_day
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from copytrade.domain.units import Millis

PlainRow = dict[str, Any]


def open_halts(connection: Connection) -> list[PlainRow]:
    """Return what is halted now, oldest first."""
    halt = halt_state.c
    rows = connection.execute(select(halt_state).where(text(IS_OPEN)).order_by(halt.started_at, halt.id))
    return [
        {"level": row.level, "cause": row.cause, "why": row.why, "by": row.started_by, "since": _iso(row.started_at)}
        for row in rows
    ]


def gates(connection: Connection, *, now_ms: Millis) -> list[PlainRow]:
    """Return what each gate said last, and how long ago: an old answer means that no worker runs."""
    rows = connection.execute(select(gate_state).order_by(gate_state.c.name))
    return [
        {
            "gate": row.name,
            "healthy": row.healthy,
            "value": row.value,
            "limit": row.limit_value,
            "since": _iso(row.since),
            "checked_ms_ago": now_ms - row.checked_at,
        }
        for row in rows
    ]


def days(connection: Connection) -> list[PlainRow]:
    """Return the latest day of each strategy and account: its PnL, realised and marked, as last kept."""
    day = risk_day.c
    latest = select(day.strategy_id, day.account_id, func.max(day.started_at).label("started_at"))
    latest_of = latest.group_by(day.strategy_id, day.account_id).subquery()
    is_latest = (
        (day.strategy_id == latest_of.c.strategy_id)
        & (day.account_id == latest_of.c.account_id)
        & (day.started_at == latest_of.c.started_at)
    )
    rows = connection.execute(select(risk_day).join(latest_of, is_latest).order_by(day.strategy_id, day.account_id))
    return [
        {
            "strategy_id": row.strategy_id,
            "account_id": row.account_id,
            "began": _iso(row.started_at),
            "gain_usdc": None if row.gain_usdc is None else format_micro(row.gain_usdc),
            "unmarked_positions": row.unmarked,
            "updated": _iso(row.updated_at),
        }
        for row in rows
    ]


def _iso(at_ms: Millis) -> str:
    return instant_text(at_ms).replace(" ", "T") + "Z"
