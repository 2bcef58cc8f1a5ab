"""What people wait for once there is very much history: a start, and each command that reads.

    python -m benchmarks.history [FILLS] [--sqlite]

PostgreSQL is filled with 1,000,000 fills of leaders, each with its raw row, its attempt and its execution, which
takes some minutes. `--sqlite` measures a file instead. Exit code 1: a bound is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from benchmarks import many_fills
from benchmarks.measuring import DURABLE
from copytrade import app
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import Database, open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.reports import SqlReports
from copytrade.adapters.sql.statistics import SqlStatistics
from copytrade.adapters.system import SystemClock
from copytrade.cli.demonstration import demo_settings
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.stake_keeping import StakeKeeping
from copytrade.sandbox.server import urls_of
from tests.makers import NOW_MS
from tests.postgres import new_database, started_server

FILLS = 1_000_000
TELL_EVERY_S = 10.0
LOOK_EVERY_S = 0.01
READY_S_MAX = 5.0
READ_S_MAX = {"status": 5.0, "attempts": 0.5, "trades": 0.5, "positions": 1.0, "pnl": 10.0, "stats": 10.0}
"""The table of positions is as long as the markets are many; `stats` counts the newest attempts; `pnl` counts all."""

Read = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Wait:
    """How long something took, and how long it may."""

    what: str
    seconds: float
    seconds_max: float

    @property
    def is_met(self) -> bool:
        """Tell whether the bound holds."""
        return self.seconds <= self.seconds_max

    def __str__(self) -> str:
        verdict = "" if self.is_met else "  MISSED"
        return f"{self.what:<28} {self.seconds:>8.2f} s  <= {self.seconds_max:g} s{verdict}"


def reads(database: Database) -> Mapping[str, Read]:
    """Return what each command asks, by its name."""
    reports, statistics = SqlReports(database), SqlStatistics(database)

    async def pnl() -> None:
        for read in (reports.accounts, reports.positions, reports.pnl_by_leader, reports.pnl_by_market,
                     reports.pnl_by_category, reports.pnl_by_day):  # fmt: skip
            await read()

    return {
        "status": lambda: reports.status(now_ms=NOW_MS),
        "attempts": lambda: reports.attempts(limit=20),
        "attempts of a leader": lambda: reports.attempts(limit=20, leader=many_fills.address(7)),
        "trades": lambda: reports.trades(limit=20),
        "positions": reports.positions,
        "pnl": pnl,
        "pnl: by leader": reports.pnl_by_leader,
        "pnl: by day": reports.pnl_by_day,
        "stats": lambda: statistics.figures(now_ms=NOW_MS),
        "stats of an hour": lambda: statistics.figures(now_ms=NOW_MS, since_ms=NOW_MS - 3_600_000),
    }


async def measure(url: str) -> list[Wait]:
    """Start a worker over the history until it decides, then ask everything once."""
    print(f"what was at stake is kept in {await _keep(url):.0f} s, as a worker does while it runs", flush=True)
    waits = [Wait("start until it decides", await _start(url), READY_S_MAX)]
    async with open_database(url) as database:
        for name, read in reads(database).items():
            began_s = time.monotonic()
            await read()
            bound = READ_S_MAX[name.split(" of ")[0].split(":")[0]]
            waits.append(Wait(name, time.monotonic() - began_s, bound))
    return waits


async def _keep(url: str) -> float:
    """Let be kept what a worker keeps while it runs; return how many seconds that takes at once."""
    began_s = time.monotonic()
    portfolio = Portfolio(strategy_id=COPY_STRATEGY_ID, account_id="paper")
    async with open_database(url) as database:
        ledger = SqlLedger(database)
        await portfolio.load(ledger)
        await StakeKeeping(ledger, portfolio=portfolio, clock=SystemClock()).keep()
    return time.monotonic() - began_s


async def _start(url: str) -> float:
    """Return the seconds from opening the ledger until the stage that decides runs; the venue does not answer."""
    settings = demo_settings(urls_of("127.0.0.1", 9), url)
    began_s = time.monotonic()
    async with app.open_ledger(settings) as ledger, app.build_worker(settings, ledger) as worker:
        running = asyncio.create_task(worker.run())
        while not _decides():
            await asyncio.wait([running], timeout=LOOK_EVERY_S)
            if running.done():
                await running
        seconds = time.monotonic() - began_s
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return seconds


def _decides() -> bool:
    return any(task.get_name() == "decide" for task in asyncio.all_tasks())


@contextmanager
def _database(*, is_sqlite: bool) -> Iterator[str]:
    if is_sqlite:
        with tempfile.TemporaryDirectory(prefix="copytrade-history-") as folder:
            yield f"sqlite:///{Path(folder) / 'ledger.db'}"
    else:
        with started_server(DURABLE) as server, new_database(server) as url:
            yield url


def _teller() -> Callable[[int], None]:
    told_s = time.monotonic()

    def tell(stored: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= TELL_EVERY_S:
            told_s = time.monotonic()
            print(f"{stored:,} fills stored", flush=True)

    return tell


def main() -> int:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("fills", type=int, nargs="?", default=FILLS)
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with _database(is_sqlite=given.sqlite) as url:
        schema.upgrade(url)
        began_s = time.monotonic()
        asyncio.run(many_fills.store(url, given.fills, tell=_teller()))
        print(f"{given.fills:,} fills stored in {time.monotonic() - began_s:.0f} s")
        waits = asyncio.run(measure(url))
    for wait in waits:
        print(wait)
    return 0 if all(wait.is_met for wait in waits) else 1


if __name__ == "__main__":
    sys.exit(main())
