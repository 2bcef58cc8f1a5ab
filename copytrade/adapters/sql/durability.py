"""Whether a database keeps what it has committed through a loss of power."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

FULL = 2
"""PRAGMA synchronous: what is committed is on the disk."""


def weakness(connection: Connection) -> str:
    """Return in words why a commit might be lost, "" if none is."""
    if connection.dialect.name == "sqlite":
        return _of_sqlite(connection)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        if connection.exec_driver_sql(f"SHOW {setting}").scalar() == "off":
            return f"PostgreSQL runs with {setting} off"
    return ""


def _of_sqlite(connection: Connection) -> str:
    files = [row[2] for row in connection.exec_driver_sql("PRAGMA database_list") if row[1] == "main"]
    if not any(files):
        return "the database is in memory"
    synchronous = connection.exec_driver_sql("PRAGMA synchronous").scalar()
    if not isinstance(synchronous, int) or synchronous < FULL:
        return f"SQLite runs with synchronous={synchronous}, less than FULL"
    return ""
