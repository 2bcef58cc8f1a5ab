"""The table of comparisons with the chain, exactly as the migrations make it: one row for each."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Index, Integer, Table

from copytrade.adapters.sql.columns import Id, Instant, JsonText
from copytrade.adapters.sql.tables import metadata


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


reconciliation: Final = Table(
    "reconciliation",
    metadata,
    Column("id", Id, primary_key=True),
    _required("at", Instant),
    _required("from_at", Instant),
    _required("to_at", Instant),
    _required("leaders", Integer),
    _required("errors", Integer),
    _required("pending", Integer),
    _required("detail", JsonText),
)
Index("ix_reconciliation_at", reconciliation.c.at)
