"""What real orders became on paper beside it, and how far an account may go with real orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON_TEXT = postgresql.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shadow_order",
        sa.Column("attempt_id", ID, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", JSON_TEXT),
        sa.Column("filled_shares", MICRO, nullable=False),
        sa.Column("filled_usdc", MICRO, nullable=False),
        sa.Column("placed_at", INSTANT, nullable=False),
        sa.Column("first_fill_at", INSTANT),
        sa.Column("done_at", INSTANT),
        sa.ForeignKeyConstraint(["attempt_id"], ["execution_attempt.id"], name="fk_shadow_order_attempt_id"),
    )
    is_open = sa.text("done_at IS NULL")
    op.create_index(
        "ix_shadow_order_open", "shadow_order", ["attempt_id"], postgresql_where=is_open, sqlite_where=is_open
    )
    op.create_table(
        "live_rung",
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("rung", sa.Text, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "revision", name="pk_live_rung"),
    )


def downgrade() -> None:
    op.drop_table("live_rung")
    op.drop_index("ix_shadow_order_open", "shadow_order")
    op.drop_table("shadow_order")
