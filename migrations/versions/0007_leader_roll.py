"""A number that goes up with every change of the leader table, whoever makes it: the worker asks for it each second."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EVENTS = ("INSERT", "UPDATE", "DELETE")
COUNT = "UPDATE leader_roll SET revision = revision + 1"


def upgrade() -> None:
    """Create the counter and what counts."""
    table = op.create_table(
        "leader_roll",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leader_roll"),
    )
    op.bulk_insert(table, [{"id": 1, "revision": 0}])
    if op.get_context().dialect.name == "sqlite":
        for event in EVENTS:
            op.execute(f"CREATE TRIGGER leader_roll_{event.lower()} AFTER {event} ON leader BEGIN {COUNT}; END")
        return
    op.execute(
        f"CREATE FUNCTION leader_roll_count() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {COUNT}; RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER leader_roll_change AFTER {' OR '.join(EVENTS)} ON leader "
        "FOR EACH STATEMENT EXECUTE FUNCTION leader_roll_count()"
    )


def downgrade() -> None:
    """Drop both."""
    if op.get_context().dialect.name == "sqlite":
        for event in EVENTS:
            op.execute(f"DROP TRIGGER leader_roll_{event.lower()}")
    else:
        op.execute("DROP TRIGGER leader_roll_change ON leader")
        op.execute("DROP FUNCTION leader_roll_count()")
    op.drop_table("leader_roll")
