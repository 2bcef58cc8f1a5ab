"""What has been proved of the chain: ranges of blocks by scope, and the newest block the nodes told of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "proved_range",
        sa.Column("exchange_address", sa.Text, nullable=False),
        sa.Column("leader_address", sa.Text, nullable=False),
        sa.Column("single_source", sa.Boolean, nullable=False),
        sa.Column("from_block", sa.BigInteger, nullable=False),
        sa.Column("to_block", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("proved_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint(
            "exchange_address", "leader_address", "single_source", "from_block", name="pk_proved_range"
        ),
        sa.CheckConstraint("from_block <= to_block", name="ck_proved_range_blocks"),
    )
    op.create_table(
        "chain_head",
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_chain_head"),
    )


def downgrade() -> None:
    op.drop_table("chain_head")
    op.drop_table("proved_range")
