"""Why each copy cost what it cost, and what the market did after it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = postgresql.UUID().with_variant(sa.CHAR(36), "sqlite")
MICRO = sa.Numeric(20, 6).with_variant(sa.REAL(), "sqlite")
INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
JSON_TEXT = postgresql.JSON().with_variant(sa.Text(), "sqlite")
PARTS = ("decision_delay", "spread", "placement_delay", "depth", "rest", "unknown", "cost")
OUTCOME = ("mid_at_decision", "touch_at_decision", "touch_at_placement", "filled_shares", "filled_usdc",
           "avg_fill_price", "fee_usdc")  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "attempt_attribution",
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("leader_price", MICRO, nullable=False),
        *(sa.Column(name, MICRO) for name in OUTCOME),
        *(sa.Column(f"{part}_{unit}", MICRO) for unit in ("usdc", "price") for part in PARTS),
        sa.Column("book_at_decision", JSON_TEXT),
        sa.Column("book_at_placement", JSON_TEXT),
        sa.Column("verdicts", JSON_TEXT, nullable=False),
        sa.Column("missing", JSON_TEXT, nullable=False),
        sa.Column("is_final", sa.Boolean, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name="pk_attempt_attribution"),
        sa.ForeignKeyConstraint(["attempt_id"], ["execution_attempt.id"], name="fk_attempt_attribution_attempt_id"),
    )
    op.create_table(
        "fill_markout",
        sa.Column("attempt_id", ID, nullable=False),
        sa.Column("fill_at", INSTANT, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        *(sa.Column(f"mid_{horizon}", MICRO) for horizon in ("1s", "10s", "1m", "10m")),
        sa.Column("payout", MICRO),
        sa.Column("missing", JSON_TEXT, nullable=False),
        sa.Column("next_due", INSTANT),
        sa.PrimaryKeyConstraint("attempt_id", "fill_at", name="pk_fill_markout"),
        sa.ForeignKeyConstraint(["attempt_id"], ["execution_attempt.id"], name="fk_fill_markout_attempt_id"),
    )
    for name, column, where in (
        ("ix_fill_markout_next_due", "next_due", "next_due IS NOT NULL"),
        ("ix_fill_markout_unresolved", "token_id", "payout IS NULL"),
    ):
        op.create_index(name, "fill_markout", [column], postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def downgrade() -> None:
    op.drop_table("fill_markout")
    op.drop_table("attempt_attribution")
