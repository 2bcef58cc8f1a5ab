"""The table of real orders, exactly as the migrations make it. No signature is in it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, Table, Text, UniqueConstraint

from copytrade.adapters.sql.columns import Id, Instant, Micro
from copytrade.adapters.sql.tables import metadata


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


live_order: Final = Table(
    "live_order",
    metadata,
    Column("attempt_id", Id, ForeignKey("execution_attempt.id"), primary_key=True),
    _required("order_hash", Text),
    _required("salt", BigInteger),
    _required("order_time", Instant),
    _required("exchange_address", Text),
    _required("protocol", Text),
    _required("maker", Text),
    _required("signer", Text),
    _required("signature_type", Integer),
    _required("maker_amount", Micro),
    _required("taker_amount", Micro),
    _required("expiration", BigInteger),
    UniqueConstraint("order_hash"),
    CheckConstraint("signature_type IN (0, 1, 2, 3)", name="signature_type"),
)
"""What was signed of an order, written before it was sent; token, side and type are the attempt's."""
