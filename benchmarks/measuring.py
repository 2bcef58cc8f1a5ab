"""What every benchmark needs: fresh databases of both kinds, percentiles, and the table that is printed."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import structlog
from sqlalchemy import URL, make_url

from copytrade.adapters.sql import schema
from tests.postgres import started_server

DURABLE = ("fsync=on", "synchronous_commit=on", "autovacuum=off", "listen_addresses=")
"""A server whose commits reach the disk; the vacuum would only blur the figures of a short run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Ours and the peer's figure of one run; `ratio` is what the bar is about, where there is one."""

    what: str
    ours: str
    peer: str
    ratio: float
    bar: float | None
    is_least: bool = False
    """The ratio must be at least the bar; otherwise at most."""

    @property
    def is_met(self) -> bool:
        """Tell whether the ratio keeps to the bar."""
        if self.bar is None:
            return True
        return self.ratio >= self.bar if self.is_least else self.ratio <= self.bar

    def cells(self) -> tuple[str, ...]:
        """Return the line of the table."""
        if self.bar is None:
            return (self.what, self.ours, self.peer, f"{self.ratio:.2f}", "", "")
        sign = ">=" if self.is_least else "<="
        verdict = "met" if self.is_met else "MISSED"
        return (self.what, self.ours, self.peer, f"{self.ratio:.2f}", f"{sign} {self.bar:g}", verdict)


HEAD = ("what", "ours", "peer", "ratio", "bar", "")


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    lines = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so many of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


LAG_EVERY_S = 0.005


@asynccontextmanager
async def lags() -> AsyncIterator[list[float]]:
    """Give a list that grows by how many milliseconds the event loop is late, again and again."""
    late: list[float] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while True:
            moment = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            late.append((loop.time() - moment) * 1e3)

    watching = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watching.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of database; `new` makes an empty one with the schema in place and returns its URL."""

    name: str
    new: Callable[[], str]

    @property
    def is_sqlite(self) -> bool:
        """Tell the two kinds apart."""
        return self.name == "SQLite"


@contextmanager
def kinds() -> Iterator[tuple[Kind, ...]]:
    """Give SQLite, and PostgreSQL where a server can be started."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="copytrade-bench-") as folder:
        sqlite = Kind(name="SQLite", new=_sqlite_files(Path(folder)))
        try:
            server = started_server(DURABLE)
            url = server.__enter__()
        except pytest.fail.Exception as error:
            print(f"without PostgreSQL: {error}")
            yield (sqlite,)
            return
        try:
            yield (sqlite, Kind(name="PostgreSQL", new=_postgres_databases(make_url(url))))
        finally:
            server.__exit__(None, None, None)


def dsn(url: str) -> str:
    """Return a PostgreSQL URL as the bare driver takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _sqlite_files(folder: Path) -> Callable[[], str]:
    numbers = itertools.count()

    def new() -> str:
        url = f"sqlite:///{folder}/ledger-{next(numbers)}.db"
        schema.upgrade(url)
        return url

    return new


def _postgres_databases(server: URL) -> Callable[[], str]:
    numbers = itertools.count()

    def new() -> str:
        name = f"bench_{next(numbers)}"
        with psycopg.connect(dsn(server.render_as_string(hide_password=False)), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        url = server.set(database=name).render_as_string(hide_password=False)
        schema.upgrade(url)
        return url

    return new
