"""The tables of shadows and of the ladder, exactly as the migrations make them. The last row of an account holds."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, text

from copytrade.adapters.sql.columns import Id, Instant, JsonText, Micro
from copytrade.adapters.sql.tables import metadata

# A partial index serves only a query that says its condition in the same words.
IS_OPEN_SHADOW: Final = "done_at IS NULL"


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


shadow_order: Final = Table(
    "shadow_order",
    metadata,
    Column("attempt_id", Id, ForeignKey("execution_attempt.id"), primary_key=True),
    _required("status", Text),
    Column("reason", JsonText),
    _required("filled_shares", Micro),
    _required("filled_usdc", Micro),
    _required("placed_at", Instant),
    Column("first_fill_at", Instant),
    Column("done_at", Instant),
)
"""What an attempt became on paper while it was a real order."""
Index(
    "ix_shadow_order_open",
    shadow_order.c.attempt_id,
    postgresql_where=text(IS_OPEN_SHADOW),
    sqlite_where=text(IS_OPEN_SHADOW),
)

live_rung: Final = Table(
    "live_rung",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    _required("rung", Text),
    _required("moved_by", Text),
    _required("why", Text),
    _required("since", Instant),
)
"""Every move of an account on the ladder."""
