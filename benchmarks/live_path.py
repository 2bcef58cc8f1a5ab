"""From a chain log's frame to the attempt that is durable and with the executor, against the bare commits it needs.

    python -m benchmarks.live_path [FILLS]

The peer executes the very statements of our path, prebuilt and with ready values, through the same driver on a
database of its own; ours and the peer's turn come alternately, fill by fill. So both write the same rows into the
same tables and indexes with the same settings; the peer has no loop to keep free, and so no thread to hand over to.
Also: 500 fills in one block.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from sqlalchemy import Connection, make_url

from benchmarks.chain_logs import addresses, frame, logs
from benchmarks.measuring import Figure, Kind, dsn, kinds, percentile, show
from benchmarks.working import working
from tests.statements import commits_heard, heard

FILLS = 1_200
WARM_UP = 50
LEADERS = 10
BLOCK_FILLS = 500
BLOCK_S_MAX = 2.0
ON_THE_PATH = ("INSERT INTO leader_fill ", "UPDATE leader_fill SET awaits_decision")

Statement = tuple[str, Any]


@dataclass(slots=True)
class Tape:
    """The transactions that stored a fill or an attempt, in their order."""

    transactions: list[list[Statement]] = field(default_factory=list)
    open: dict[int, list[Statement]] = field(default_factory=dict)

    def execute(self, connection: Connection, sql: str, given: Any) -> None:
        """Note a statement."""
        self.open.setdefault(id(connection), []).append((sql, given))

    def commit(self, connection: Connection) -> None:
        """Note a commit."""
        done = self.open.pop(id(connection), [])
        if any(sql.startswith(ON_THE_PATH) for sql, _ in done):
            self.transactions.append(done)


@contextmanager
def recording() -> Iterator[Tape]:
    """Give what is committed meanwhile."""
    tape = Tape()
    with commits_heard(tape.commit), heard(tape.execute):
        yield tape


class Bare(Protocol):
    """A driver without anything around it."""

    async def commit(self, statements: list[Statement]) -> None:
        """Execute one transaction."""


class BareSqlite(Bare):
    """The standard library's driver, on this thread."""

    def __init__(self, url: str) -> None:
        """Open a file as the worker does."""
        self._connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {setting}")

    async def commit(self, statements: list[Statement]) -> None:
        """Execute one transaction; its BEGIN is among the statements."""
        for sql, given in statements:
            self._connection.execute(sql, given).fetchall()
        self._connection.execute("COMMIT")


class BarePostgres(Bare):
    """The asynchronous driver, which prepares what it sees often."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Use an open connection."""
        self._connection = connection

    async def commit(self, statements: list[Statement]) -> None:
        """Execute one transaction."""
        for sql, given in statements:
            cursor = await self._connection.execute(sql, given or None)
            if cursor.description:
                await cursor.fetchall()
        await self._connection.commit()


@asynccontextmanager
async def bare(kind: Kind, url: str) -> AsyncIterator[Bare]:
    """Open the driver alone."""
    if kind.is_sqlite:
        yield BareSqlite(url)
        return
    async with await psycopg.AsyncConnection.connect(dsn(url)) as connection:
        yield BarePostgres(connection)


async def recorded(kind: Kind, frames: list[str], leaders: list[str]) -> tuple[str, list[list[Statement]]]:
    """Return an empty ledger with the leaders, and the transactions our path makes of the frames, one list a fill."""
    url = kind.new()
    async with working(url, leaders) as ours:
        await asyncio.sleep(0.3)
        with recording() as tape:
            for one in frames:
                ours.frames.put_nowait(one)
                await ours.orders.get()
    async with working(other := kind.new(), leaders):
        pass
    assert len(tape.transactions) == 2 * len(frames), f"a fill is two commits: {len(tape.transactions)}"
    return other, [[*pair] for pair in zip(tape.transactions[::2], tape.transactions[1::2], strict=True)]


async def path(kind: Kind, fills: int) -> tuple[list[float], list[float]]:
    """Return our milliseconds and the peer's, fill by fill."""
    leaders = addresses(LEADERS)
    frames = [frame(log) for log in logs(fills + WARM_UP, leaders, stamp_s=int(time.time()))]
    other, per_fill = await recorded(kind, frames, leaders)
    ours_ms, bare_ms = [], []
    async with working(kind.new(), leaders) as ours, bare(kind, other) as peer:
        await asyncio.sleep(0.3)
        for one, transactions in zip(frames, per_fill, strict=True):
            started = time.perf_counter()
            for statements in transactions:
                await peer.commit(statements)
            between = time.perf_counter()
            ours.frames.put_nowait(one)
            await ours.orders.get()
            ours_ms.append((time.perf_counter() - between) * 1000)
            bare_ms.append((between - started) * 1000)
    return ours_ms[WARM_UP:], bare_ms[WARM_UP:]


async def block(kind: Kind) -> float:
    """Return the seconds until every fill of one block is decided."""
    leaders = addresses(LEADERS)
    frames = [frame(log) for log in logs(BLOCK_FILLS, leaders, stamp_s=int(time.time()))]
    async with working(kind.new(), leaders) as ours:
        await asyncio.sleep(0.3)
        started = time.perf_counter()
        for one in frames:
            ours.frames.put_nowait(one)
        for _ in frames:
            await ours.orders.get()
        return time.perf_counter() - started


def measure(kind: Kind, fills: int = FILLS) -> list[Figure]:
    """Measure on one kind of database."""
    ours, peer = asyncio.run(path(kind, fills))
    figures = [
        Figure(
            what=f"{kind.name}: frame to executor, {name}",
            ours=f"{percentile(ours, share):.2f} ms",
            peer=f"{percentile(peer, share):.2f} ms, bare commits",
            ratio=percentile(ours, share) / percentile(peer, share),
            bar=bar,
        )
        for name, share, bar in (("p50", 0.5, 2.0), ("p99", 0.99, 4.0))
    ]
    seconds = asyncio.run(block(kind))
    what = f"{kind.name}: {BLOCK_FILLS} fills of one block decided"
    return [*figures, Figure(what=what, ours=f"{seconds:.2f} s", peer="-", ratio=seconds, bar=BLOCK_S_MAX)]


def main() -> None:
    """Measure and print."""
    fills = int(sys.argv[1]) if len(sys.argv) > 1 else FILLS
    with kinds() as found:
        show([figure for kind in found for figure in measure(kind, fills)])


if __name__ == "__main__":
    main()
