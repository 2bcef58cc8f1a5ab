"""What leaders do other than trade: splits, merges, redemptions and the like, and snapshots of what they hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON_TEXT = postgresql.JSON().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leader_event",
        sa.Column("id", ID, nullable=False),
        sa.Column("leader_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("condition_id", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text),
        sa.Column("shares", MICRO, nullable=False),
        sa.Column("usdc", MICRO, nullable=False),
        sa.Column("tx_hash", sa.Text, nullable=False),
        sa.Column("event_ts", INSTANT, nullable=False),
        sa.Column("detected_at", INSTANT, nullable=False),
        sa.Column("dedupe_key", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("payload", JSON_TEXT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leader_event"),
        sa.ForeignKeyConstraint(["leader_id"], ["leader.id"], name="fk_leader_event_leader_id"),
        sa.UniqueConstraint("dedupe_key", name="uq_leader_event_dedupe_key"),
        sa.CheckConstraint(
            "kind IN ('SPLIT', 'MERGE', 'REDEEM', 'CONVERSION', 'MIGRATION', 'DEPOSIT', 'WITHDRAWAL', 'SNAPSHOT')",
            name="ck_leader_event_kind",
        ),
        sa.CheckConstraint("policy IN ('alert', 'ignore')", name="ck_leader_event_policy"),
    )
    op.create_index("ix_leader_event_leader_id_event_ts", "leader_event", ["leader_id", "event_ts"])
    op.create_index("ix_leader_fill_token_id_leader_id", "leader_fill", ["token_id", "leader_id", "fill_ts"])


def downgrade() -> None:
    op.drop_index("ix_leader_fill_token_id_leader_id", "leader_fill")
    op.drop_table("leader_event")
