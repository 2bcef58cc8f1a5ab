"""The tables of what copies cost and what came after them, exactly as the migrations make them."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text, text

from copytrade.adapters.sql.columns import Id, Instant, JsonText, Micro
from copytrade.adapters.sql.tables import metadata
from copytrade.domain.markouts import HORIZONS

# A partial index serves only a query that says its condition in the same words.
AWAITS_MARK: Final = "next_due IS NOT NULL"
AWAITS_PAYOUT: Final = "payout IS NULL"
LOSS_PARTS: Final = ("decision_delay", "spread", "placement_delay", "depth", "rest", "unknown", "cost")
"""What a copy lost on its way, in the order of the way; `cost` is all of it and the fee."""


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


attempt_attribution: Final = Table(
    "attempt_attribution",
    metadata,
    Column("attempt_id", Id, ForeignKey("execution_attempt.id"), primary_key=True),
    _required("leader_price", Micro),
    *(Column(name, Micro) for name in ("mid_at_decision", "touch_at_decision", "touch_at_placement")),
    *(Column(name, Micro) for name in ("filled_shares", "filled_usdc", "avg_fill_price", "fee_usdc")),
    *(Column(f"{part}_{unit}", Micro) for unit in ("usdc", "price") for part in LOSS_PARTS),
    Column("book_at_decision", JsonText),
    Column("book_at_placement", JsonText),
    _required("verdicts", JsonText),
    _required("missing", JsonText),
    _required("is_final", Boolean),
    _required("updated_at", Instant),
)

fill_markout: Final = Table(
    "fill_markout",
    metadata,
    Column("attempt_id", Id, ForeignKey("execution_attempt.id"), primary_key=True),
    Column("fill_at", Instant, primary_key=True),
    _required("token_id", Text),
    *(Column(f"mid_{horizon}", Micro) for horizon in HORIZONS),
    Column("payout", Micro),
    _required("missing", JsonText),
    Column("next_due", Instant),
)
Index(
    "ix_fill_markout_next_due",
    fill_markout.c.next_due,
    postgresql_where=text(AWAITS_MARK),
    sqlite_where=text(AWAITS_MARK),
)
Index(
    "ix_fill_markout_unresolved",
    fill_markout.c.token_id,
    postgresql_where=text(AWAITS_PAYOUT),
    sqlite_where=text(AWAITS_PAYOUT),
)
