"""Many rows at once into PostgreSQL: its COPY takes them several times as fast as INSERT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from sqlalchemy import exc

from copytrade.adapters.sql.columns import Instant, Micro, instant_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Table
    from sqlalchemy.types import TypeEngine

    from copytrade.adapters.sql.prepared import Values

    Write = Callable[[list[Any]], list[str]]

ROWS_PER_WRITE: Final = 500
"""While the server takes one part, the next is written out."""
_NULL: Final = "\\N"


def copy(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Add rows that are known to be new, each with a value for every column."""
    columns = [(column.name, _writer(column.type)) for column in table.c]
    statement = f"COPY {table.name} ({', '.join(name for name, _ in columns)}) FROM STDIN"

    async def send(driver: psycopg.AsyncConnection[Any]) -> None:
        async with driver.cursor() as cursor, cursor.copy(statement) as copying:
            for start in range(0, len(rows), ROWS_PER_WRITE):
                await copying.write(_text(rows[start : start + ROWS_PER_WRITE], columns))

    adapted: Any = connection.connection.dbapi_connection
    try:
        adapted.run_async(send)
    except psycopg.Error as error:
        raise exc.DBAPIError.instance(statement, None, error, psycopg.Error) from error


def _text(rows: Sequence[Values], columns: Sequence[tuple[str, Write]]) -> str:
    """Return rows as COPY reads them; column by column, because one look then tells if any value needs escaping."""
    written = [write([row[name] for row in rows]) for name, write in columns]
    return "\n".join(map("\t".join, zip(*written, strict=True))) + "\n"


def _writer(kind: TypeEngine[Any]) -> Write:
    """Return what writes the values of a column of that type."""
    match kind:
        case Micro():
            return lambda values: [_NULL if value is None else f"{value}e-6" for value in values]
        case Instant():
            return lambda values: [_NULL if value is None else f"{instant_text(value)}+00" for value in values]
        case _:
            return _escaped


def _escaped(values: list[Any]) -> list[str]:
    texts = [_NULL if value is None else str(value) for value in values]
    together = "".join(text for text in texts if text is not _NULL)
    if not any(special in together for special in "\\\t\n\r"):
        return texts
    return [_NULL if value is None else _escape(str(value)) for value in values]


def _escape(text: str) -> str:
    text = text.replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
