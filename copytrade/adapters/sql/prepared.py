"""Statements compiled once for each database and given to the driver as text.

SQLAlchemy builds, hashes and looks up a statement each time it is executed, and wraps what comes of it, which
costs more than a small write itself. What a fill waits for goes to the driver's cursor instead, inside
SQLAlchemy's transaction: the text still comes from the tables, the columns' own types still convert the
values, both ways, and the driver's errors are raised as SQLAlchemy's.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, exc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import BindParameter, Connection, Dialect, Insert, Update
    from sqlalchemy.types import TypeEngine

    Statement = Select[Any] | Insert | Update
    Convert = Callable[[Any], Any]

Values = dict[str, Any]


class Prepared:
    """One statement; `build` writes it for a database, and is asked once for each kind."""

    def __init__(self, build: Callable[[Dialect], Statement]) -> None:
        self._build = build
        self._texts: dict[str, _Text] = {}

    def parameters(self, connection: Connection, values: Values) -> Any:
        """Return the values as the driver takes them."""
        return self._text(connection).parameters(values)

    def run(self, connection: Connection, values: Values) -> int:
        """Execute with one set of values by parameter name; return how many rows it changed."""
        text = self._text(connection)
        return int(execute(connection, text.sql, text.parameters(values)).rowcount)

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute once for each row."""
        text = self._text(connection)
        if len(rows) == 1:
            execute(connection, text.sql, text.parameters(rows[0]))
        else:
            execute_many(connection, text.sql, text.many_parameters(rows))

    def rows(self, connection: Connection, values: Values) -> list[Any]:
        """Execute a SELECT and return its rows, each with its columns as attributes."""
        text = self._text(connection)
        return text.rows(execute(connection, text.sql, text.parameters(values)))

    def _text(self, connection: Connection) -> _Text:
        dialect = connection.dialect
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _Text(self._build(dialect), dialect)
        return text


class _Text:
    """A statement as one driver takes it."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        binds: Mapping[str, BindParameter[Any]] = {name: bind for bind, name in compiled.bind_names.items()}
        self.sql = str(compiled)
        self._is_positional: bool = compiled.positional
        self._writers = [(name, _writer(binds[name].type, dialect)) for name in compiled.positiontup or binds]
        self._fixed = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        self._dialect = dialect
        self._columns = list(statement.selected_columns) if isinstance(statement, Select) else []
        self._names = [str(column.key) for column in self._columns]
        self._readers: list[Convert | None] = []

    def parameters(self, values: Values) -> Any:
        """Return the values as the driver takes them."""
        given = {**self._fixed, **values} if self._fixed else values
        if self._is_positional:
            return tuple([given[name] if write is None else write(given[name]) for name, write in self._writers])
        return {name: given[name] if write is None else write(given[name]) for name, write in self._writers}

    def many_parameters(self, rows: Sequence[Values]) -> list[Any]:
        """Return what `parameters` returns for each row; column by column, which takes half the time."""
        if not self._is_positional or self._fixed:
            return [self.parameters(row) for row in rows]
        columns = [
            [row[name] for row in rows] if write is None else [write(row[name]) for row in rows]
            for name, write in self._writers
        ]
        return list(zip(*columns, strict=True))

    def rows(self, cursor: Any) -> list[Any]:
        """Return what the driver found as domain values."""
        if not self._readers:
            kinds = [column[1] for column in cursor.description]
            self._readers = [
                column.type.dialect_impl(self._dialect).result_processor(self._dialect, kind)
                for column, kind in zip(self._columns, kinds, strict=True)
            ]
        return [self._row(found) for found in cursor.fetchall()]

    def _row(self, found: Sequence[Any]) -> SimpleNamespace:
        read_each = zip(self._names, self._readers, found, strict=True)
        return SimpleNamespace(**{name: value if read is None else read(value) for name, read, value in read_each})


def execute(connection: Connection, sql: str, parameters: Any = ()) -> Any:
    """Execute a statement in the connection's transaction; return the driver's cursor."""
    try:
        cursor = connection.connection.cursor()
        cursor.execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_usual(connection, sql, error) from error
    return cursor


def execute_many(connection: Connection, sql: str, parameters: Sequence[Any]) -> None:
    """Execute a statement with each set of parameters."""
    try:
        connection.connection.cursor().executemany(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_usual(connection, sql, error) from error


def commit(connection: Connection) -> None:
    """Commit a transaction that was begun with `execute`, and what SQLAlchemy has taken part in since."""
    if connection.in_transaction():
        connection.commit()
        return
    try:
        connection.connection.commit()
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_usual(connection, "COMMIT", error) from error


def rollback(connection: Connection) -> None:
    """Undo such a transaction; nothing happens if the database has given it up by itself."""
    connection.rollback()
    try:
        connection.connection.rollback()
    except connection.dialect.loaded_dbapi.Error as error:
        raise _as_usual(connection, "ROLLBACK", error) from error


def _as_usual(connection: Connection, sql: str, error: BaseException) -> BaseException:
    """Return a driver's error as SQLAlchemy raises it."""
    return exc.DBAPIError.instance(sql, None, error, connection.dialect.loaded_dbapi.Error)


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)
