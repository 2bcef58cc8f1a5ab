"""How domain values are kept in columns of either database.

| value | PostgreSQL | SQLite |
|---|---|---|
| id | uuid | 36 characters with hyphens, as people copy them |
| micro-units | numeric(20,6) | REAL: rounding to micro-units gives back every amount up to 2e9 exactly |
| UTC milliseconds | timestamptz | text `YYYY-MM-DD HH:MM:SS.mmm`, which sorts and which its date functions read |
| JSON | json, the text as given | text |

REAL rather than NUMERIC on SQLite: there whole numbers would be stored as integers, and dividing one
column by another in SQL would drop the fraction.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import CHAR, REAL, Numeric, Text, Uuid, cast
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.types import TypeDecorator, UserDefinedType

from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement, Dialect
    from sqlalchemy.types import TypeEngine

    Convert = Callable[[Any], Any]

REAL_EXACT_MAX: Final = 2_000_000_000 * MICRO
"""Below this, the nearest double to an amount is nearer to it than to any other amount in micro-units."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_SIX_DECIMALS: Final = Decimal("0.000001")


def _is_sqlite(dialect: Dialect) -> bool:
    return dialect.name == "sqlite"


def _id_text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


@lru_cache(maxsize=4_096)
def instant_text(value: int) -> str:
    """Return a time as text that sorts; a batch holds few different ones."""
    return f"{_second_text(value // 1_000)}.{value % 1_000:03d}"


@lru_cache(maxsize=64)
def _second_text(value: int) -> str:
    """Return a whole second as text; what happens now happens in few different ones."""
    moment = _EPOCH + timedelta(seconds=value)
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _id_of(value: str | None) -> UUID | None:
    return None if value is None else UUID(value)


def _instant_text(value: int | None) -> str | None:
    return None if value is None else instant_text(value)


def _instant_of(value: str | None) -> int | None:
    return None if value is None else (datetime.fromisoformat(value).replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


def _real(value: int | None) -> float | None:
    if value is None:
        return None
    if abs(value) > REAL_EXACT_MAX:
        raise ValueError(f"{value} micro-units are more than SQLite keeps exactly")
    return value / MICRO


class Id(TypeDecorator[UUID]):
    """A UUID."""

    impl = Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(CHAR(36) if _is_sqlite(dialect) else Uuid())

    def bind_processor(self, dialect: Dialect) -> Convert | None:
        return _id_text if _is_sqlite(dialect) else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Convert | None:
        return _id_of if _is_sqlite(dialect) else super().result_processor(dialect, coltype)


class Micro(TypeDecorator[int]):
    """Money, shares, a price or a ratio: integer micro-units here, a decimal number in the database."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(REAL() if _is_sqlite(dialect) else Numeric(20, 6))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Return the database's number.

        :raises ValueError: SQLite could not give the amount back exactly.
        """
        if value is None:
            return None
        return _real(value) if _is_sqlite(dialect) else value * _SIX_DECIMALS

    def bind_processor(self, dialect: Dialect) -> Convert | None:
        return _real if _is_sqlite(dialect) else super().bind_processor(dialect)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else round(value * MICRO)


class Instant(TypeDecorator[int]):
    """A time: UTC Unix milliseconds here, a date and time of day in the database."""

    impl = TIMESTAMP
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if _is_sqlite(dialect) else TIMESTAMP(timezone=True))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return instant_text(value) if _is_sqlite(dialect) else _EPOCH + timedelta(milliseconds=value)

    def bind_processor(self, dialect: Dialect) -> Convert | None:
        return _instant_text if _is_sqlite(dialect) else super().bind_processor(dialect)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MILLISECOND

    def result_processor(self, dialect: Dialect, coltype: object) -> Convert | None:
        return _instant_of if _is_sqlite(dialect) else super().result_processor(dialect, coltype)


class _PlainJson(UserDefinedType[str]):
    """PostgreSQL's `json`, which keeps the text as it was given; `jsonb` would not."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"


class JsonText(TypeDecorator[str]):
    """A JSON document as text, unchanged in both directions."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if _is_sqlite(dialect) else _PlainJson())

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return cast(column, Text)


class Texts(TypeDecorator[list[str]]):
    """A list of texts as one parameter; never a column."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if _is_sqlite(dialect) else ARRAY(Text))

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        return value if value is None or not _is_sqlite(dialect) else msgspec.json.encode(value).decode()
