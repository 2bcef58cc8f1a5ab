"""The accounts we follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, exists, select, update

from copytrade.adapters.sql.rows import leader_of, leader_values
from copytrade.adapters.sql.statements import insert
from copytrade.adapters.sql.tables import execution_attempt, leader, leader_fill, leader_roll
from copytrade.ports.ledger import UnknownLeaderError

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.leaders import Leader

_STAYS: Final = frozenset({"id", "address", "enabled", "followed_since", "created_at"})
"""Who is followed and from when, which no change of how changes."""


def all_leaders(connection: Connection) -> tuple[Leader, ...]:
    """Return all leaders by address."""
    return tuple(leader_of(row) for row in connection.execute(select(leader).order_by(leader.c.address)))


def revision(connection: Connection) -> int:
    """Return how often the table was changed so far."""
    return int(connection.execute(select(leader_roll.c.revision)).scalar_one())


def add_leader(connection: Connection, given: Leader) -> bool:
    """Store a leader or enable a disabled one; False if the address is enabled already."""
    statement = insert(connection, leader).values(leader_values(given))
    renewed = {name: statement.excluded[name] for name in leader_values(given) if name not in {"id", "address"}}
    stored_id = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["address"], set_=renewed, where=leader.c.enabled.is_(False)
        ).returning(leader.c.id)
    ).scalar_one_or_none()
    if stored_id is None:
        return False
    _await_decisions(connection, stored_id, given)
    return True


def _await_decisions(connection: Connection, leader_id: UUID, given: Leader) -> None:
    """Say anew which of his stored fills are to be copied: the time he is followed from may have changed."""
    from_ms = given.followed_since_ms // 1000 * 1000
    has_attempt = exists().where(execution_attempt.c.leader_fill_id == leader_fill.c.id)
    connection.execute(
        update(leader_fill)
        .where(leader_fill.c.leader_id == leader_id, ~has_attempt)
        .values(awaits_decision=leader_fill.c.fill_ts >= from_ms)
    )


def change_leader(connection: Connection, given: Leader) -> None:
    """Store how a leader is copied.

    :raises UnknownLeaderError: no such address.
    """
    values = {name: value for name, value in leader_values(given).items() if name not in _STAYS}
    done = connection.execute(update(leader).where(leader.c.address == given.address).values(values))
    if done.rowcount == 0:
        raise UnknownLeaderError(f"{given.address} is not a leader")


def remove_leader(connection: Connection, address: str) -> None:
    """Disable a leader.

    :raises UnknownLeaderError: no such address.
    """
    done = connection.execute(update(leader).where(leader.c.address == address).values(enabled=False))
    if done.rowcount == 0:
        raise UnknownLeaderError(f"{address} is not a leader")
