"""Where a simulated worker keeps its ledger: in memory, or in a real SQLite file that is written without threads."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Select, event, select, text

from copytrade.adapters.memory import MemoryLedger, StoredFill
from copytrade.adapters.memory.audit import MemoryEvidence
from copytrade.adapters.sql import accounts, attempts, cursors, executions, money_tables, rows, schema, tables
from copytrade.adapters.sql.audit import SqlEvidence
from copytrade.adapters.sql.engine import Database, parse_url, sqlite_engine, translated
from copytrade.adapters.sql.ingest import FILL_WITH_ADDRESS
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
from copytrade.domain.carry import Carry
from copytrade.domain.invariants import AuditRules, Breach
from copytrade.domain.leaders import Leader
from copytrade.domain.money import Balance
from copytrade.domain.positions import Position
from copytrade.domain.settlement import PositionSettlement
from copytrade.engine.audit import audit
from copytrade.ports.audit import Evidence
from copytrade.ports.leader_fills import CursorScope
from copytrade.ports.ledger import Ledger

T = TypeVar("T")
Owner = tuple[str, str, str]
"""Strategy, account and token."""

WHOLE_FILTER = CursorScope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The rows of a ledger at one instant; `entries` are what each position is folded from, in order."""

    leaders: Mapping[str, Leader]
    fills: Mapping[UUID, StoredFill]
    raws: Collection[object]
    attempts: Mapping[UUID, ExecutionAttempt]
    executions: Sequence[ExecutionFill]
    entries: Mapping[Owner, Sequence[ExecutionFill | PositionSettlement]]
    balances: Mapping[tuple[str, str], Balance]
    positions: Mapping[Owner, Position]
    carries: Mapping[tuple[str, str, UUID, str], Carry]
    covered: int
    """The last block that the worker says it has read; -1 before it says so."""


class Storage(ABC):
    """A ledger that outlives the worker, and its rows for whoever judges them."""

    ledger: Ledger
    judged_every_s: int

    @abstractmethod
    def kept(self) -> Kept:
        """Return the rows as they are now."""

    @abstractmethod
    def audit(self, rules: AuditRules) -> list[Breach]:
        """Return what the program's own audit finds wrong."""

    @abstractmethod
    def events(self) -> list[tuple[int, str, str]]:
        """Return the audit trail: time, code and detail as JSON."""


class MemoryStorage(Storage):
    """The ledger in memory."""

    judged_every_s = 1

    def __init__(self) -> None:
        self.ledger = self._ledger = MemoryLedger()

    def kept(self) -> Kept:
        ledger = self._ledger
        cursor = ledger._cursors.get(WHOLE_FILTER)
        return Kept(
            leaders=ledger._leaders,
            fills=ledger.stored,
            raws=ledger.payloads.keys(),
            attempts=ledger._attempts,
            executions=ledger.executions,
            entries=ledger._entries,
            balances=ledger._balances,
            positions=ledger._positions,
            carries=ledger.carried,
            covered=-1 if cursor is None else cursor.last_processed_block,
        )

    def audit(self, rules: AuditRules) -> list[Breach]:
        return _breaches(MemoryEvidence(self._ledger), rules)

    def events(self) -> list[tuple[int, str, str]]:
        return [(event.at_ms, event.code, json.dumps(event.detail)) for event in self._ledger.events]


class SqliteStorage(Storage):
    """The real SQL ledger on a real file."""

    judged_every_s = 4

    def __init__(self, path: Path) -> None:
        self._database = InlineDatabase(f"sqlite:///{path}")
        self.ledger = SqlLedger(self._database)
        self._read: tuple[int, Kept] | None = None

    def kept(self) -> Kept:
        writes = self._database.writes
        if self._read is None or self._read[0] != writes:
            self._read = (writes, self._database.transaction(_read_all))
        return self._read[1]

    def audit(self, rules: AuditRules) -> list[Breach]:
        return self._database.transaction(lambda connection: _breaches(SqlEvidence(connection), rules))

    def events(self) -> list[tuple[int, str, str]]:
        return self._database.transaction(_read_events)

    def close(self) -> None:
        """Let go of the file."""
        self._database.dispose()


class InlineDatabase(Database):
    """The file as production opens it, with every transaction done at once on the loop that asks.

    A thread would not be waited for in virtual time; whoever wants others to run around a transaction
    lets them (`MortalLedger` does).
    """

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._writer = sqlite_engine(self._url, begin="BEGIN IMMEDIATE")
        event.listen(self._writer, "connect", _never_flush)
        self._reader = sqlite_engine(self._url, begin="BEGIN", query_only=True)
        self.writes = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        return self.transaction(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        self.writes += 1
        with translated(self._url), self._writer.begin() as connection:
            return work(connection)

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        return await self.write(work)

    async def close(self) -> None:
        self.dispose()

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run a reader now."""
        with translated(self._url), self._reader.begin() as connection:
            return work(connection)

    def dispose(self) -> None:
        """Close every connection."""
        self._reader.dispose()
        self._writer.dispose()


def _never_flush(connection: Any, _record: object) -> None:
    """Leave it to the system when to write to the disk: here processes die, and the machine does not."""
    connection.execute("PRAGMA synchronous = OFF")


@contextmanager
def open_storage(*, is_sqlite: bool) -> Iterator[Storage]:
    """Open an empty ledger."""
    if not is_sqlite:
        yield MemoryStorage()
        return
    with tempfile.TemporaryDirectory(prefix="copytrade-sim-") as folder:
        path = Path(folder) / "ledger.db"
        shutil.copyfile(_empty_file(), path)
        storage = SqliteStorage(path)
        try:
            yield storage
        finally:
            storage.close()


_FOLDER = functools.cache(lambda: tempfile.TemporaryDirectory(prefix="copytrade-sim-schema-"))


@functools.cache
def _empty_file() -> Path:
    """Return a migrated file without rows; migrating takes far longer than copying."""
    path = Path(_FOLDER().name) / "empty.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


def _breaches(evidence: Evidence, rules: AuditRules) -> list[Breach]:
    return [breach for verdict in audit(evidence, rules) for breach in verdict.breaches]


def _read_all(connection: Connection) -> Kept:
    fills = {row.id: _stored_of(row) for row in connection.execute(FILL_WITH_ADDRESS.order_by(*_AGE_OF_FILL))}
    tried = {row.id: rows.attempt_of(row) for row in connection.execute(_oldest_first())}
    booked = [(row.position_ordinal, rows.execution_of(row)) for row in connection.execute(_EXECUTIONS)]
    positions = {_owner_of(position): position for position in executions.positions(connection)}
    return Kept(
        leaders={row.address: rows.leader_of(row) for row in connection.execute(select(tables.leader))},
        fills=fills,
        raws={(row.source, row.source_key) for row in connection.execute(_RAWS)},
        attempts=tried,
        executions=[fill for _, fill in booked],
        entries=_entries(connection, booked, positions),
        balances={(one.strategy_id, one.account_id): one for one in accounts.balances(connection)},
        positions=positions,
        carries={
            (row.strategy_id, row.account_id, row.leader_id, row.token_id): rows.carry_of(row)
            for row in connection.execute(select(tables.carry))
        },
        covered=_covered(connection),
    )


_AGE_OF_FILL = (tables.leader_fill.c.created_at, tables.leader_fill.c.id)
_RAWS = select(tables.leader_fill_raw.c.source, tables.leader_fill_raw.c.source_key)
_EXECUTIONS = select(tables.execution_fill).order_by(
    tables.execution_fill.c.token_id, tables.execution_fill.c.position_ordinal
)


def _oldest_first() -> Select:
    return attempts.ATTEMPT.order_by(tables.execution_attempt.c.created_at, tables.execution_attempt.c.id)


def _stored_of(row) -> StoredFill:
    return StoredFill(
        recorded=rows.recorded_fill_of(row), confirmed_at_ms=row.confirmed_at, orphaned_at_ms=row.orphaned_at
    )


def _entries(
    connection: Connection, booked: Iterable[tuple[int, ExecutionFill]], owners: Collection[Owner]
) -> dict[Owner, list[ExecutionFill | PositionSettlement]]:
    numbered: dict[Owner, list[tuple[int, ExecutionFill | PositionSettlement]]] = defaultdict(list)
    for ordinal, fill in booked:
        numbered[fill.strategy_id, fill.account_id, fill.token_id].append((ordinal, fill))
    if connection.execute(select(money_tables.settlement.c.id).limit(1)).first() is not None:
        for owner in owners:
            numbered[owner] += accounts.settled_in_order(connection, owner)
    return {owner: [entry for _, entry in sorted(found, key=itemgetter(0))] for owner, found in numbered.items()}


def _owner_of(position: Position) -> Owner:
    return (position.strategy_id, position.account_id, position.token_id)


def _covered(connection: Connection) -> int:
    cursor = cursors.find(connection, WHOLE_FILTER)
    return -1 if cursor is None else cursor.last_processed_block


def _read_events(connection: Connection) -> list[tuple[int, str, str]]:
    noted = tables.worker_event.c
    rows_of = connection.execute(select(noted.at, noted.code, noted.detail).order_by(text("rowid")))
    return [(row.at, row.code, row.detail) for row in rows_of]
