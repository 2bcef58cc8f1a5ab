"""How far the full sync of the registry has come, so that a worker killed in the middle goes on from there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = postgresql.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Create the table; no row means that no sync is under way."""
    op.create_table(
        "registry_sync",
        sa.Column("listing", sa.Text, nullable=False),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("pages", sa.Integer, nullable=False),
        sa.Column("markets", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("listing", name="pk_registry_sync"),
    )


def downgrade() -> None:
    """Drop it: the next sync starts at the first page."""
    op.drop_table("registry_sync")
