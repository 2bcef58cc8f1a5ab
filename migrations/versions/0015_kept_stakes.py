"""What was at stake at an earlier time, so that a start need not count a long history again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON_TEXT = postgresql.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "kept_stake",
        sa.Column("strategy_id", sa.Text, nullable=False),
        sa.Column("account_id", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("position_ordinal", sa.Integer, nullable=False),
        sa.Column("before_at", INSTANT, nullable=False),
        sa.Column("shares", MICRO, nullable=False),
        sa.Column("cost_usdc", MICRO, nullable=False),
        sa.Column("at_stake_usdc", MICRO, nullable=False),
        sa.Column("parts", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("strategy_id", "account_id", "token_id", name="pk_kept_stake"),
    )


def downgrade() -> None:
    op.drop_table("kept_stake")
