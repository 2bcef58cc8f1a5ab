"""What was signed of a real order, and the executions that are still on their way to the chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "live_order",
        sa.Column("attempt_id", ID, primary_key=True),
        sa.Column("order_hash", sa.Text, nullable=False),
        sa.Column("salt", sa.BigInteger, nullable=False),
        sa.Column("order_time", INSTANT, nullable=False),
        sa.Column("exchange_address", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("maker", sa.Text, nullable=False),
        sa.Column("signer", sa.Text, nullable=False),
        sa.Column("signature_type", sa.Integer, nullable=False),
        sa.Column("maker_amount", MICRO, nullable=False),
        sa.Column("taker_amount", MICRO, nullable=False),
        sa.Column("expiration", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["execution_attempt.id"], name="fk_live_order_attempt_id"),
        sa.UniqueConstraint("order_hash", name="uq_live_order_order_hash"),
        sa.CheckConstraint("signature_type IN (0, 1, 2, 3)", name="ck_live_order_signature_type"),
    )
    unsettled = sa.text("settlement IN ('matched', 'mined', 'retrying')")
    op.create_index(
        "ix_execution_fill_unsettled",
        "execution_fill",
        ["token_id"],
        postgresql_where=unsettled,
        sqlite_where=unsettled,
    )


def downgrade() -> None:
    op.drop_index("ix_execution_fill_unsettled", "execution_fill")
    op.drop_table("live_order")
