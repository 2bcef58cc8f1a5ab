"""The database of a trial, SQLite or a PostgreSQL of its own that can be stopped, and what is read from it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, create_engine, text

from copytrade.adapters.sql import schema
from tests import postgres

Rows = list[dict[str, Any]]


class TrialDatabase(Protocol):
    """Where a worker keeps what it knows."""

    url: str

    def rows(self, statement: str, **values: Any) -> Rows:
        """Return what a query gives."""


class _Readable:
    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, statement: str, **values: Any) -> Rows:
        """Return what a query gives."""
        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(text(statement), values).mappings()]
        finally:
            engine.dispose()


class SqliteFile(_Readable):
    """A database file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "worker.db"
        super().__init__(f"sqlite:///{self.path}")


class PostgresServer(_Readable):
    """A server of the trial's own, with fsync on, that may be stopped and started again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._owner = postgres._server_owner()
        found = postgres._find_binaries()
        if self._owner is not None:
            os.chown(home, self._owner.pw_uid, self._owner.pw_gid)
            found = postgres._reachable(found, home=home)
        self._binaries = found
        postgres._initialise(found, home=home, owner=self._owner)
        self._running = ExitStack()
        url = URL.create(postgres.DRIVER, username="postgres", database="postgres", query={"host": str(home)})
        super().__init__(url.render_as_string())

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self._running.enter_context(
            postgres._running(self._binaries, home=self._home, owner=self._owner, settings=("listen_addresses=",))
        )

    def stop(self) -> None:
        """Stop it, cutting every connection."""
        self._running.close()


@contextmanager
def a_database(kind: str, folder: Path) -> Iterator[SqliteFile | PostgresServer]:
    """Give an empty, migrated database of a kind, `sqlite` or `postgresql`."""
    if kind == "sqlite":
        yield SqliteFile(folder)
        return
    home = Path(tempfile.mkdtemp(prefix="copytrade-chaos-", dir="/tmp"))
    server = PostgresServer(home)
    try:
        server.start()
        schema.upgrade(server.url)
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)
