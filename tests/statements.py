"""Every statement that is executed on a database and every commit, by SQLAlchemy or past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from copytrade.adapters.sql import prepared

Hear = Callable[[Connection, str, Any], None]


@contextmanager
def heard(hear: Hear) -> Iterator[None]:
    """Call `hear` with each statement and its parameters once it was executed; what it raises breaks off."""
    execute, execute_many = prepared.execute, prepared.execute_many

    def by_driver(connection: Connection, sql: str, parameters: Any = ()) -> Any:
        cursor = execute(connection, sql, parameters)
        hear(connection, sql, parameters)
        return cursor

    def many_by_driver(connection: Connection, sql: str, parameters: Any) -> None:
        execute_many(connection, sql, parameters)
        hear(connection, sql, parameters)

    def by_sqlalchemy(connection: Connection, _cursor: object, sql: str, parameters: Any, *_: object) -> None:
        hear(connection, sql, parameters)

    vars(prepared).update(execute=by_driver, execute_many=many_by_driver)
    event.listen(Engine, "after_cursor_execute", by_sqlalchemy)
    try:
        yield
    finally:
        vars(prepared).update(execute=execute, execute_many=execute_many)
        event.remove(Engine, "after_cursor_execute", by_sqlalchemy)


@contextmanager
def commits_heard(hear: Callable[[Connection], None]) -> Iterator[None]:
    """Call `hear` with each commit, by SQLAlchemy or past it, just before it is made."""
    commit = prepared.commit

    def by_driver(connection: Connection) -> None:
        if not connection.in_transaction():
            hear(connection)
        commit(connection)

    vars(prepared).update(commit=by_driver)
    event.listen(Engine, "commit", hear)
    try:
        yield
    finally:
        vars(prepared).update(commit=commit)
        event.remove(Engine, "commit", hear)
