"""Rows as people and programs read them: decimals and times as text, JSON as what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from copytrade.adapters.sql.columns import Instant, JsonText, Micro
from copytrade.domain.units import format_micro

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Select

    from copytrade.domain.units import Millis

PlainRow = dict[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def plain_rows(connection: Connection, statement: Select[Any]) -> list[PlainRow]:
    """Run a statement and return its rows by column."""
    columns = list(statement.selected_columns)
    return [plain(row, columns) for row in connection.execute(statement)]


def plain(row: Any, columns: list[Any]) -> PlainRow:
    """Return one row, given the columns it was selected by."""
    return {
        column.name: None if value is None else _PLAIN.get(type(column.type), _as_is)(value)
        for column, value in zip(columns, row, strict=True)
    }


def iso(at_ms: Millis | None) -> str | None:
    """Return a time as ISO text in UTC."""
    if at_ms is None:
        return None
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_is(value: Any) -> Any:
    return value if isinstance(value, bool | int) else str(value)


_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {Micro: format_micro, Instant: iso, JsonText: json.loads}
