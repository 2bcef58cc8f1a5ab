"""Limits as people set them, halts, what the health gates say, and where each day of an account began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON_TEXT = postgresql.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "limit_change",
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("strategy_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("leader", sa.Text, nullable=False),
        sa.Column("old_value", MICRO),
        sa.Column("new_value", MICRO),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_limit_change"),
    )
    op.create_table(
        "halt_state",
        sa.Column("id", ID, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_by", sa.Text),
        sa.Column("ended_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_halt_state"),
        sa.CheckConstraint("level IN ('entries', 'all')", name="ck_halt_state_level"),
    )
    is_open = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_halt_state_open", "halt_state", ["cause"], unique=True, postgresql_where=is_open, sqlite_where=is_open
    )
    op.create_table(
        "gate_state",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("healthy", sa.Boolean, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("limit_value", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("checked_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gate_state"),
    )
    op.create_table(
        "risk_day",
        sa.Column("strategy_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("realized_usdc", MICRO, nullable=False),
        sa.Column("unrealized", JSON_TEXT, nullable=False),
        sa.Column("gain_usdc", MICRO),
        sa.Column("unmarked", sa.Integer),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("strategy_id", "account_id", "started_at", name="pk_risk_day"),
    )


def downgrade() -> None:
    for table in ("risk_day", "gate_state", "halt_state", "limit_change"):
        op.drop_table(table)
