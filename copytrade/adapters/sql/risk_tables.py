"""The tables of limits, halts, gates and days, exactly as the migrations make them.

Of `limit_change` the last row of a name and scope is what is set; an empty scope column is "any", counts and
milliseconds are whole numbers beside the decimals of USDC. `risk_day.unrealized` has what each token held when
the day began would have gained then, null while nobody has told a price.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, Table, Text, text

from copytrade.adapters.sql.columns import Id, Instant, JsonText, Micro
from copytrade.adapters.sql.tables import metadata

IS_OPEN: Final = "ended_at IS NULL"


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


limit_change: Final = Table(
    "limit_change",
    metadata,
    Column("revision", Integer, primary_key=True),
    _required("name", Text),
    _required("strategy_id", Text),
    _required("account_id", Text),
    _required("leader", Text),
    Column("old_value", Micro),
    Column("new_value", Micro),
    _required("changed_by", Text),
    _required("changed_at", Instant),
)

halt_state: Final = Table(
    "halt_state",
    metadata,
    Column("id", Id, primary_key=True),
    _required("cause", Text),
    _required("level", Text),
    _required("why", Text),
    _required("started_by", Text),
    _required("started_at", Instant),
    Column("ended_by", Text),
    Column("ended_at", Instant),
    CheckConstraint("level IN ('entries', 'all')", name="level"),
)
Index(
    "ix_halt_state_open",
    halt_state.c.cause,
    unique=True,
    postgresql_where=text(IS_OPEN),
    sqlite_where=text(IS_OPEN),
)

gate_state: Final = Table(
    "gate_state",
    metadata,
    Column("name", Text, primary_key=True),
    _required("healthy", Boolean),
    _required("value", Text),
    _required("limit_value", Text),
    _required("since", Instant),
    _required("checked_at", Instant),
)

risk_day: Final = Table(
    "risk_day",
    metadata,
    Column("strategy_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("started_at", Instant, primary_key=True),
    _required("realized_usdc", Micro),
    _required("unrealized", JsonText),
    Column("gain_usdc", Micro),
    Column("unmarked", Integer),
    _required("updated_at", Instant),
)

kept_stake: Final = Table(
    "kept_stake",
    metadata,
    Column("strategy_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("token_id", Text, primary_key=True),
    _required("position_ordinal", Integer),
    _required("before_at", Instant),
    _required("shares", Micro),
    _required("cost_usdc", Micro),
    _required("at_stake_usdc", Micro),
    _required("parts", JsonText),
)
