"""Events of leaders that are mirrored: a third policy."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAME = "ck_leader_event_policy"
TWO, THREE = "policy IN ('alert', 'ignore')", "policy IN ('mirror', 'alert', 'ignore')"


def upgrade() -> None:
    """Allow it."""
    _replace(THREE)


def downgrade() -> None:
    """Forget which were mirrored: a person was told of them, too."""
    op.execute("UPDATE leader_event SET policy = 'alert' WHERE policy = 'mirror'")
    _replace(TWO)


def _replace(rule: str) -> None:
    if op.get_context().dialect.name == "sqlite":
        _replace_in_sqlite(rule)
        return
    op.drop_constraint(op.f(NAME), "leader_event", type_="check")
    op.create_check_constraint(op.f(NAME), "leader_event", rule)


def _replace_in_sqlite(rule: str) -> None:
    """Copy the table: nothing refers to it, and SQLite changes no constraint."""
    connection = op.get_bind()
    written = str(connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'leader_event'").scalar_one())
    before = TWO if TWO in written else THREE
    op.execute("ALTER TABLE leader_event RENAME TO leader_event_before")
    op.execute(written.replace(before, rule))
    op.execute("INSERT INTO leader_event SELECT * FROM leader_event_before")
    op.execute("DROP TABLE leader_event_before")
    op.execute("CREATE INDEX ix_leader_event_leader_id_event_ts ON leader_event (leader_id, event_ts)")
