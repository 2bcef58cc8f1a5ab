"""The tables of money, exactly as the migrations make them: cash, settlements, equity over time."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from copytrade.adapters.sql.columns import Id, Instant, JsonText, Micro
from copytrade.adapters.sql.tables import metadata


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


account_balance: Final = Table(
    "account_balance",
    metadata,
    Column("strategy_id", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    _required("start_cash_usdc", Micro),
    _required("cash_usdc", Micro),
    _required("updated_at", Instant),
)

resolution: Final = Table(
    "resolution",
    metadata,
    Column("condition_id", Text, primary_key=True),
    _required("payouts", JsonText),
    _required("source", Text),
    _required("resolved_at", Instant),
)

settlement: Final = Table(
    "settlement",
    metadata,
    Column("id", Id, primary_key=True),
    _required("strategy_id", Text),
    _required("account_id", Text),
    _required("token_id", Text),
    _required("condition_id", Text),
    _required("kind", Text),
    _required("shares", Micro),
    _required("proceeds_usdc", Micro),
    _required("cost_usdc", Micro),
    _required("realized_pnl_usdc", Micro),
    _required("source", Text),
    _required("settled_at", Instant),
    _required("position_ordinal", Integer),
    UniqueConstraint(
        "strategy_id", "account_id", "token_id", "position_ordinal", name="uq_settlement_position_ordinal"
    ),
    CheckConstraint("kind IN ('resolution', 'merge', 'migration_out', 'migration_in')", name="kind"),
    CheckConstraint("shares > 0", name="shares"),
)
Index("ix_settlement_settled_at", settlement.c.settled_at)

settlement_part: Final = Table(
    "settlement_part",
    metadata,
    Column("settlement_id", Id, ForeignKey("settlement.id"), primary_key=True),
    Column("leader_id", Id, ForeignKey("leader.id"), primary_key=True),
    _required("shares", Micro),
    _required("proceeds_usdc", Micro),
    _required("cost_usdc", Micro),
    _required("realized_pnl_usdc", Micro),
)

equity_point: Final = Table(
    "equity_point",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("at", Instant, primary_key=True),
    _required("cash_usdc", Micro),
    _required("marked_value_usdc", Micro),
    _required("marked_cost_usdc", Micro),
    _required("unmarked_cost_usdc", Micro),
    _required("open_positions", Integer),
    _required("unmarked_positions", Integer),
    _required("realized_pnl_usdc", Micro),
    _required("unrealized_pnl_usdc", Micro),
    _required("fees_usdc", Micro),
)

token_mark: Final = Table(
    "token_mark",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("price", Micro),
    _required("marked_at", Instant),
)
