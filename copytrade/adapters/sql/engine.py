"""Opening a database and running transactions on it.

A unit of work is a plain function of one connection. On SQLite a whole transaction runs in one hop to a
thread: writers share one thread, so they never meet each other's locks and a cancelled task cannot leave a
transaction half done; readers have their own. PostgreSQL runs on the event loop.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from copytrade.adapters.sql import prepared
from copytrade.adapters.sql.writing import WriterThread
from copytrade.ports.ledger import LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")

SQLITE_BUSY_MS: Final = 10_000
SQLITE_READERS: Final = 3
POSTGRES_CONNECTIONS: Final = 8
POSTGRES_CONNECT_SECONDS: Final = 10
_ONE_WRITER: Final = 0x636F7079
"""The advisory lock that lets one writer at a time decide by what it reads; 'copy' in ASCII."""
_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"
_REASON_LENGTH_MAX: Final = 300


class Database(Protocol):
    """One open database. What `work` changes is committed when it returns and undone when it raises.

    Every method raises LedgerUnavailableError when the database cannot be reached or used.
    """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run a reader; it never waits for writers."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run a writer whose statements each check for themselves that they still apply."""

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        """Run a writer that acts on what it has read; no other of its kind runs meanwhile, in any process."""

    async def close(self) -> None:
        """Finish what runs and let go of the database."""


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open `sqlite:///PATH` or `postgresql+psycopg://...` and prove that it answers.

    :raises LedgerUnavailableError: it cannot be opened; the text is one line without the password.
    """
    parsed = parse_url(url)
    database: Database = SqliteDatabase(parsed) if is_sqlite(parsed) else PostgresDatabase(parsed)
    try:
        await database.read(_prove)
        yield database
    finally:
        await database.close()


def parse_url(url: str) -> URL:
    """Return the URL taken apart.

    :raises LedgerUnavailableError: it is neither `sqlite:///PATH` nor `postgresql+psycopg://...`.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise LedgerUnavailableError("DATABASE_URL is not a URL") from None
    if parsed.drivername == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    if parsed.drivername == "postgresql+psycopg":
        return parsed
    raise LedgerUnavailableError(
        f"{shown(parsed)} is not sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
    )


def is_sqlite(url: URL) -> bool:
    """Tell which of the two kinds a parsed URL is."""
    return url.get_backend_name() == "sqlite"


def sqlite_path(url: URL) -> Path:
    """Return the file a SQLite URL names."""
    return Path(str(url.database))


def existing_folder(url: URL) -> Path:
    """Return the folder of a SQLite file.

    :raises LedgerUnavailableError: it does not exist; it is not made, for it may be a slip of the pen.
    """
    folder = sqlite_path(url).parent
    if not folder.is_dir():
        raise LedgerUnavailableError(f"{shown(url)}: there is no folder {folder}")
    return folder


def shown(url: URL) -> str:
    """Return the URL as it may be shown: no password, wherever it was put."""
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def translated(url: URL) -> AbstractContextManager[None]:
    """Turn what the drivers raise about the database itself into LedgerUnavailableError."""
    return _Translated(url)


class _Translated(AbstractContextManager[None]):
    """A class, for each write passes through it and a generator costs more."""

    __slots__ = ("_url",)

    def __init__(self, url: URL) -> None:
        self._url = url

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DatabaseError | InterfaceError) and _is_about_the_database(error):
            raise LedgerUnavailableError(f"{shown(self._url)}: {_reason(error)}") from error
        if isinstance(error, PoolTimeoutError):
            raise LedgerUnavailableError(f"{shown(self._url)}: no connection became free in time") from error


def _is_about_the_database(error: DatabaseError | InterfaceError) -> bool:
    """Tell an outage or a broken file from a statement that is wrong or breaks a rule, which is our bug."""
    return error.connection_invalidated or type(error).__name__ in {
        "DatabaseError",
        "OperationalError",
        "InterfaceError",
        "InternalError",
    }


def _reason(error: DatabaseError | InterfaceError) -> str:
    return " ".join(str(error.orig).split())[:_REASON_LENGTH_MAX]


def _prove(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.execute(text("SELECT count(*) FROM sqlite_master"))
    else:
        connection.execute(text("SELECT 1"))


def sqlite_engine(url: URL, *, begin: str, connections: int = 1, query_only: bool = False) -> Engine:
    """Return an engine whose transactions start with the statement `begin` and cover DDL too.

    A connection on which one is open already takes part in that.

    :raises LedgerUnavailableError: the folder of the file does not exist.
    """
    existing_folder(url)
    engine = create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": SQLITE_BUSY_MS / 1000, "isolation_level": None, "check_same_thread": False},
    )

    def prepare(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        if not query_only:
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA query_only = {int(query_only)}")
        cursor.close()

    def start(connection: Connection) -> None:
        raw: Any = connection.connection.driver_connection
        if not raw.in_transaction:
            prepared.execute(connection, begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", start)
    return engine


class SqliteDatabase(Database):
    """A file: one writing thread, a few reading ones."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._writer = sqlite_engine(url, begin=_BEGIN_WRITING)
        self._readers = sqlite_engine(url, begin="BEGIN", connections=SQLITE_READERS, query_only=True)
        self._writing = WriterThread("ledger-writer", self._transaction)
        self._reading = ThreadPoolExecutor(SQLITE_READERS, thread_name_prefix="ledger-reader")
        self._connection: Connection | None = None

    async def read(self, work: Callable[[Connection], T]) -> T:
        def transaction() -> T:
            with translated(self._url), self._readers.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._reading, transaction)

    async def write(self, work: Callable[[Connection], T]) -> T:
        with translated(self._url):
            return await self._writing.run(work)

    write_alone = write
    """There is one writer; against those of other processes it begins with `IMMEDIATE`."""

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _transaction(self, work: Callable[[Connection], None]) -> None:
        """Begin and commit past SQLAlchemy, whose own ways to both take longer than the statements of a fill."""
        connection = self._open_writer()
        prepared.execute(connection, _BEGIN_WRITING)
        try:
            work(connection)
            prepared.commit(connection)
        except BaseException:
            prepared.rollback(connection)
            raise

    def _open_writer(self) -> Connection:
        """Return the one connection that writes; taking it from the pool each time costs a part of a write."""
        if self._connection is None or self._connection.closed:
            self._connection = self._writer.connect()
        return self._connection

    def _close(self) -> None:
        self._writing.stop()
        self._reading.shutdown()
        if self._connection is not None:
            self._connection.close()
        for engine in (self._readers, self._writer):
            engine.dispose()


class PostgresDatabase(Database):
    """A server: a small pool of connections."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = create_async_engine(
            url,
            pool_size=POSTGRES_CONNECTIONS,
            max_overflow=0,
            connect_args={"connect_timeout": POSTGRES_CONNECT_SECONDS, "application_name": "copytrade"},
        )
        # A reader sees one state of the database, as it does on SQLite.
        self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._alone = asyncio.Lock()

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._run(self._snapshots, work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._run(self._engine, work)

    async def write_alone(self, work: Callable[[Connection], T]) -> T:
        def locked(connection: Connection) -> T:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ONE_WRITER})")
            return work(connection)

        # Waiting here rather than for the lock leaves the connections to others.
        async with self._alone:
            return await self.write(locked)

    async def close(self) -> None:
        await self._engine.dispose()

    async def _run(self, engine: AsyncEngine, work: Callable[[Connection], T]) -> T:
        with translated(self._url):
            async with engine.begin() as connection:
                return await connection.run_sync(work)
