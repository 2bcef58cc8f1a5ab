"""How far each scope was read; a cursor is written only in the transaction that stores its fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, and_, case, select, update

from copytrade.adapters.sql import hot
from copytrade.adapters.sql.tables import polygon_cursor
from copytrade.ports.leader_fills import Cursor, CursorScope

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from copytrade.domain.units import Millis

_ROLE: Final = "maker"


def find(connection: Connection, scope: CursorScope) -> Cursor | None:
    """Return the cursor of exactly this scope."""
    row = connection.execute(select(polygon_cursor).where(_is_of(scope))).one_or_none()
    if row is None:
        return None
    return Cursor(scope=scope, last_processed_block=row.last_processed_block, proved_block=row.proved_block)


def advance(connection: Connection, cursor: Cursor, *, now_ms: Millis) -> None:
    """Move a cursor forward, or make it; neither of its blocks ever goes back here."""
    values = {
        "exchange_address": cursor.scope.exchange_address,
        "leader_address": cursor.scope.leader_address,
        "role": _ROLE,
        "last_processed_block": cursor.last_processed_block,
        "proved_block": cursor.proved_block,
        "updated_at": now_ms,
    }
    hot.ADVANCE.run(connection, values)


def rewind(connection: Connection, block: int, *, now_ms: Millis) -> None:
    """Move the cursor over everything back to `block`, if it is beyond."""
    stored = polygon_cursor.c
    connection.execute(
        update(polygon_cursor)
        .where(_is_of(CursorScope()), stored.last_processed_block > block)
        .values(
            last_processed_block=block,
            proved_block=case((stored.proved_block > block, block), else_=stored.proved_block),
            updated_at=now_ms,
        )
    )


def _is_of(scope: CursorScope) -> ColumnElement[bool]:
    return and_(
        polygon_cursor.c.exchange_address == scope.exchange_address,
        polygon_cursor.c.leader_address == scope.leader_address,
        polygon_cursor.c.role == _ROLE,
    )
