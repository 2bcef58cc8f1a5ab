"""One worker for a database: a second one would end the orders of the first and book what that one owns."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from copytrade.adapters.sql.engine import (
    POSTGRES_CONNECT_SECONDS,
    existing_folder,
    is_sqlite,
    parse_url,
    shown,
    sqlite_path,
    translated,
)
from copytrade.ports.ledger import LedgerInUseError, LedgerUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

_SOLE_WORKER: Final = 0x736F6C65
"""The advisory lock that the one worker holds as long as it lives; 'sole' in ASCII."""
TAKE_OVER_TRIES: Final = 20
TAKE_OVER_PAUSE_S: Final = 0.25
"""A server may notice only after a moment that the process which held the lock is gone."""


@asynccontextmanager
async def sole_worker(url: str) -> AsyncIterator[None]:
    """Be the only worker on a database until the block ends, or the process, however it ends.

    :raises LedgerInUseError: another worker is.
    :raises LedgerUnavailableError: the database cannot be reached.
    """
    parsed = parse_url(url)
    async with _beside(parsed) if is_sqlite(parsed) else _within(parsed):
        yield


@asynccontextmanager
async def _beside(url: URL) -> AsyncIterator[None]:
    """Hold the lock of a file next to the database; the file stays, the lock ends with the process."""
    existing_folder(url)
    path = sqlite_path(url)
    lock = path.with_name(f"{path.name}.lock")
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise LedgerUnavailableError(f"{shown(url)}: {lock.name} cannot be opened: {error.strerror}") from error
    try:
        _take(file, url)
        yield
    finally:
        os.close(file)


def _take(file: int, url: URL) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(url) from None


@asynccontextmanager
async def _within(url: URL) -> AsyncIterator[None]:
    """Hold a lock of the server with a connection of its own."""
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": POSTGRES_CONNECT_SECONDS, "application_name": "copytrade sole worker"},
    )
    try:
        with translated(url):
            connection = await engine.connect()
        try:
            with translated(url):
                if not await _comes_free(connection):
                    raise _in_use(url)
            yield
        finally:
            await connection.close()
    finally:
        await engine.dispose()


async def _comes_free(connection: AsyncConnection) -> bool:
    for _ in range(TAKE_OVER_TRIES):
        if (await connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_SOLE_WORKER})")).scalar():
            return True
        await asyncio.sleep(TAKE_OVER_PAUSE_S)
    return False


def _in_use(url: URL) -> LedgerInUseError:
    return LedgerInUseError(f"{shown(url)}: another worker runs on it; stop that one, or set another DATABASE_URL")
