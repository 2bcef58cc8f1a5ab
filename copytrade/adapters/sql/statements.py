"""What both databases can do but SQLAlchemy or Python 3.11 do not spell for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Dialect, Table

T = TypeVar("T")

PARAMETERS_MAX: Final = 1_000
"""Values in one IN list; both databases take many more, but the statement is compiled per length."""


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert into `table` that can say what to do about a conflict."""
    return insert_on(connection.dialect, table)


def insert_on(dialect: Dialect, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return the same for a database that is not connected to yet."""
    return sqlite.insert(table) if dialect.name == "sqlite" else postgresql.insert(table)


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Cut values into lists that fit into one IN list; nothing for no values."""
    everything = list(values)
    for start in range(0, len(everything), PARAMETERS_MAX):
        yield everything[start : start + PARAMETERS_MAX]
