"""Back-fill: decode, deduplicate and store `OrderFilled` logs, against two peers on the same tables.

    scripts/bench-peers                      # once: web3.py, in an environment of its own
    python -m benchmarks.backfill [LOGS]

The first peer is the loop that is usually written: web3.py's `process_log`, an object added with SQLAlchemy's ORM,
a commit for each log; it checks and deduplicates nothing. The bar is about that one. Measured too, without a bar, is
the same with a commit for as many logs as ours. The second peer puts the same rows, ready-made, into the tables: by
COPY on PostgreSQL, by executemany on SQLite. Rounds alternate between ours and the rows; the middle one counts.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import insert, make_url
from sqlalchemy.dialects import sqlite

from benchmarks.chain_logs import EXCHANGE, addresses, logs
from benchmarks.measuring import Figure, Kind, dsn, kinds, show
from copytrade.adapters.polygon import decode
from copytrade.adapters.sql import hot, ingest
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.rows import recorded_fill_values
from copytrade.adapters.sql.tables import leader_fill, leader_fill_raw
from copytrade.domain.fills import RecordedFill, Sighting, Source
from copytrade.ports.leader_fills import FillsSeen
from tests.makers import NOW_MS, a_leader

LOGS = 10_000
BATCH = 2_000
ROUNDS = 3
PEER_LOGS = 500
ROOT = Path(__file__).resolve().parents[1]
PEER = ROOT / ".bench-venv" / "bin" / "python"
STAMP_S = NOW_MS // 1000

Log = dict[str, Any]
Ready = tuple[list[Any], list[Any]]


async def followed(url: str) -> None:
    """Put the leaders into an empty ledger; all that is read is history."""
    async with open_database(url) as database:
        for address in addresses(10):
            await SqlLedger(database).add_leader(a_leader(address=address, followed_since_ms=NOW_MS + 60_000))


async def ours(url: str, given: list[Log]) -> tuple[float, list[RecordedFill], list[Sighting]]:
    """Return the seconds from raw logs to stored fills, and what was stored."""
    decoders = decode.registry((EXCHANGE,))
    new: list[RecordedFill] = []
    seen: list[Sighting] = []
    async with open_database(url) as database:
        ledger = SqlLedger(database)
        started = time.perf_counter()
        for start in range(0, len(given), BATCH):
            sightings = tuple(_sighting(log, decoders) for log in given[start : start + BATCH])
            ingested = await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=sightings), now_ms=NOW_MS)
            new += ingested.new
            seen += sightings
        return time.perf_counter() - started, new, seen


def _sighting(log: Log, decoders: decode.Registry) -> Sighting:
    decoded = decode.decode_log(log, decoders)
    return decoded.sighting(log, fill_ts_ms=decoded.block_ts_ms or 0, detected_at_ms=NOW_MS)


async def ready(url: str, new: list[RecordedFill], seen: list[Sighting]) -> Ready:
    """Return the rows of both tables as the driver takes them."""
    own = {"confirmed_at": None, "orphaned_at": None, "awaits_decision": False, "created_at": NOW_MS}
    async with open_database(url) as database:
        return await database.read(
            lambda connection: (
                [hot.ADD_FILL.parameters(connection, {**recorded_fill_values(one), **own}) for one in new],
                [
                    hot.KEEP_RAW.parameters(connection, ingest.raw_values(one, fill.id, now_ms=NOW_MS))
                    for one, fill in zip(seen, new, strict=True)
                ],
            )
        )


def bare_sqlite(url: str, rows: Ready) -> float:
    """Return the seconds of executemany."""
    connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
    for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")
    started = time.perf_counter()
    for start in range(0, len(rows[0]), BATCH):
        connection.execute("BEGIN IMMEDIATE")
        for table, ready_made in zip((leader_fill, leader_fill_raw), rows, strict=True):
            statement = str(insert(table).compile(dialect=sqlite.dialect()))
            connection.executemany(statement, ready_made[start : start + BATCH])
        connection.execute("COMMIT")
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def bare_postgres(url: str, rows: Ready) -> float:
    """Return the seconds of COPY."""
    tables = (leader_fill, leader_fill_raw)
    tuples = [
        [[row[column.name] for column in table.c] for row in ready_made]
        for table, ready_made in zip(tables, rows, strict=True)
    ]
    with psycopg.connect(dsn(url)) as connection:
        started = time.perf_counter()
        for start in range(0, len(tuples[0]), BATCH):
            for table, ready_made in zip(tables, tuples, strict=True):
                names = ", ".join(column.name for column in table.c)
                with connection.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copying:
                    for row in ready_made[start : start + BATCH]:
                        copying.write_row(row)
            connection.commit()
        return time.perf_counter() - started


def web3(kind: Kind, given: list[Log], batch: int) -> float | None:
    """Return the peer's seconds a log; None without the peer."""
    if not PEER.exists():
        return None
    url = kind.new()
    asyncio.run(followed(url))
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given[:PEER_LOGS], file)
        file.flush()
        script = ROOT / "benchmarks" / "peer_web3.py"
        done = subprocess.run([PEER, script, url, file.name, str(batch)], check=True, capture_output=True, text=True)
    return 1 / float(done.stdout)


def measure(kind: Kind, count: int = LOGS) -> list[Figure]:
    """Measure on one kind of database."""
    given = logs(count, addresses(10), stamp_s=STAMP_S)
    bare = bare_sqlite if kind.is_sqlite else bare_postgres
    ours_s, bare_s, peer_s, lone_s = [], [], [], []
    for _ in range(ROUNDS):
        url, other = kind.new(), kind.new()
        asyncio.run(followed(url))
        asyncio.run(followed(other))
        gc.collect()
        seconds, new, seen = asyncio.run(ours(url, given))
        rows = asyncio.run(ready(url, new, seen))
        gc.collect()
        ours_s.append(seconds / count)
        bare_s.append(bare(other, rows) / count)
        peer_s.append(web3(kind, given, BATCH))
        lone_s.append(web3(kind, given, 1))
    return _figures(kind, ours_s, [("rows ready-made", bare_s, 0.5), *_peers(peer_s, lone_s)])


def _peers(peer_s: list[float | None], lone_s: list[float | None]) -> list[tuple[str, list[float], float | None]]:
    batched, lone = [one for one in peer_s if one], [one for one in lone_s if one]
    if not batched:
        print("without web3.py: run scripts/bench-peers first")
        return []
    return [("web3.py + ORM, a commit a log", lone, 20.0), ("the same with our commits", batched, None)]


def _figures(kind: Kind, ours_s: list[float], peers: list[tuple[str, list[float], float | None]]) -> list[Figure]:
    return [
        Figure(
            what=f"{kind.name}: back-fill against {name}",
            ours=f"{1 / statistics.median(ours_s):,.0f} logs/s",
            peer=f"{1 / statistics.median(theirs_s):,.0f} logs/s",
            ratio=statistics.median(their_s / our_s for our_s, their_s in zip(ours_s, theirs_s, strict=True)),
            bar=bar,
            is_least=True,
        )
        for name, theirs_s, bar in peers
    ]


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else LOGS
    with kinds() as found:
        show([figure for kind in found for figure in measure(kind, count)])


if __name__ == "__main__":
    main()
