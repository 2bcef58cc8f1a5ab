"""Which kind of order an attempt became; none before it is sent, as the order hash."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("execution_attempt", sa.Column("order_type", sa.Text))


def downgrade() -> None:
    op.drop_column("execution_attempt", "order_type")
