"""How each leader is copied, and what waits of copies that were too small for an order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON_TEXT = postgresql.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.add_column("leader", sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("leader", sa.Column("exit_only", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("leader", sa.Column("rules", JSON_TEXT))
    op.create_table(
        "carry",
        sa.Column("strategy_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("leader_id", ID, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("shares", MICRO, nullable=False),
        sa.Column("leader_usdc", MICRO, nullable=False),
        sa.Column("fills", sa.Integer, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("strategy_id", "account_id", "leader_id", "token_id", name="pk_carry"),
        sa.ForeignKeyConstraint(["leader_id"], ["leader.id"], name="fk_carry_leader_id"),
        sa.CheckConstraint("side IN ('BUY', 'SELL')", name="ck_carry_side"),
        sa.CheckConstraint("shares >= 0", name="ck_carry_shares"),
    )


def downgrade() -> None:
    op.drop_table("carry")
    for name in ("rules", "exit_only", "paused"):
        op.drop_column("leader", name)
