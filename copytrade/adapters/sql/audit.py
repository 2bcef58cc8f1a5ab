"""The whole ledger as evidence: one transaction, streamed, with as little done to each row as can be.

A million rows are read by the driver's own cursor: amounts become integers and ids text in the database, which
is quicker at it than anything on this side.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import NullPool, create_engine, func, select

from copytrade.adapters.sql.audit_text import Dialect, statements
from copytrade.adapters.sql.engine import is_sqlite, parse_url, sqlite_engine, translated
from copytrade.adapters.sql.rows import payouts_of
from copytrade.adapters.sql.tables import execution_attempt, execution_fill, leader_fill, leader_fill_raw, worker_event
from copytrade.domain.happenings import ROWS_COUNTED
from copytrade.ports.audit import (
    AttemptRow,
    BalanceRow,
    CountedRow,
    CursorRow,
    DanglingRow,
    EntryRow,
    Evidence,
    PositionRow,
    RangeRow,
    RepeatedRow,
    SettlementRow,
    UnconfirmedRow,
    WaitingRow,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import URL, Connection, Engine

    from copytrade.domain.units import Millis

T = TypeVar("T")

ROWS_AT_ONCE: Final = 5_000
TO_THE_END: Final = "SET LOCAL cursor_tuple_fraction = 1; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"
"""PostgreSQL plans for the first rows of a cursor otherwise, and joins one by one what is to be joined as a whole."""
_FOREVER_MS: Final = 1 << 62
GROWING: Final = (
    leader_fill.c.created_at,
    leader_fill_raw.c.created_at,
    execution_attempt.c.created_at,
    execution_fill.c.fill_at,
)
"""What tells when a row of a table that only grows came."""


@contextmanager
def open_evidence(url: str) -> Iterator[SqlEvidence]:
    """Open a database for one reading of all of it; writers go on meanwhile.

    :raises LedgerUnavailableError: it cannot be opened or read.
    """
    parsed = parse_url(url)
    engine = _engine(parsed)
    try:
        with translated(parsed), engine.begin() as connection:
            if not is_sqlite(parsed):
                connection.exec_driver_sql(TO_THE_END)
            yield SqlEvidence(connection)
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    if is_sqlite(url):
        return sqlite_engine(url, begin="BEGIN", query_only=True)
    return create_engine(
        url, poolclass=NullPool, execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )


class SqlEvidence(Evidence):
    """What an open transaction sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._statements = statements(Dialect(is_sqlite=self._is_sqlite))
        self._streams = 0

    def attempts(self) -> Iterator[AttemptRow]:
        return self._stream("attempts", _attempt)

    def repeated(self) -> Iterator[RepeatedRow]:
        return self._stream("repeated", RepeatedRow._make)

    def entries(self) -> Iterator[EntryRow]:
        return self._stream("entries", EntryRow._make)

    def positions(self) -> Iterator[PositionRow]:
        return self._stream("positions", PositionRow._make)

    def balances(self) -> Iterator[BalanceRow]:
        return self._stream("balances", BalanceRow._make)

    def settlements(self) -> Iterator[SettlementRow]:
        return map(_settlement, self._stream("settlements", tuple))

    def waiting(self) -> Iterator[WaitingRow]:
        return self._stream("waiting", WaitingRow._make)

    def cursors(self) -> Iterator[CursorRow]:
        return self._stream("cursors", CursorRow._make)

    def ranges(self) -> Iterator[RangeRow]:
        return self._stream("ranges", RangeRow._make)

    def unconfirmed(self) -> Iterator[UnconfirmedRow]:
        return self._stream("unconfirmed", UnconfirmedRow._make)

    def dangling(self) -> Iterator[DanglingRow]:
        return self._stream("dangling", DanglingRow._make)

    def counted(self) -> Iterator[CountedRow]:
        event = worker_event.c
        newest = select(event.detail).where(event.code == ROWS_COUNTED).order_by(event.at.desc(), event.id.desc())
        for detail in self._connection.execute(newest.limit(1)).scalars():
            found = json.loads(detail)
            for created in GROWING:
                if created.table.name in found:
                    yield CountedRow(created.table.name, found["until_ms"], found[created.table.name])

    def count(self, until_ms: Millis) -> Mapping[str, int]:
        return count_rows(self._connection, until_ms=until_ms)

    def _stream(self, name: str, make: Callable[[Any], T]) -> Iterator[T]:
        """Yield a statement's rows, a few thousand of them in memory at a time."""
        with self._cursor() as cursor:
            cursor.execute(self._statements[name])
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                yield from map(make, rows)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Open a cursor of the driver; one on the server's side where there is a server."""
        driver: Any = self._connection.connection.driver_connection
        self._streams += 1
        cursor = driver.cursor() if self._is_sqlite else driver.cursor(name=f"audit_{self._streams}", binary=True)
        try:
            yield cursor
        finally:
            cursor.close()


def _attempt(row: Any) -> AttemptRow:
    """Read the age of the book, which is text; what is no number is older than any limit."""
    key, fill_id, has_fill, decision, status, order_hash, age, *moments = row
    if age is not None:
        age = int(age) if age.isdecimal() else _FOREVER_MS
    return AttemptRow._make((key, fill_id, has_fill, decision, status, order_hash, age, *moments))


def _settlement(row: Any) -> SettlementRow:
    """Name what was settled together, and find the payout of the settled token's outcome."""
    key, strategy, account, condition, at, kind, *amounts, payouts, place = row
    known = payouts_of(payouts)
    payout = None if known is None or place is None or place >= len(known) else known[place]
    return SettlementRow._make((key, (strategy, account, condition, str(at)), kind, *amounts, payout))


def count_rows(connection: Connection, *, until_ms: Millis) -> dict[str, int]:
    """Return how many rows of each table that only grows were created up to a time."""
    return {
        created.table.name: connection.execute(select(func.count()).where(created <= until_ms)).scalar_one()
        for created in GROWING
    }
