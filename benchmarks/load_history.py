"""A start over very much history: until the worker is ready, with orders that the last life left open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, make_url, select, text, update

from benchmarks import many_fills
from benchmarks.measuring import Kind, percentile
from benchmarks.measuring_loads import Held
from copytrade import app
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.reports import SqlReports
from copytrade.adapters.sql.tables import execution_attempt
from copytrade.cli.demonstration import demo_settings
from copytrade.domain.attempts import OPEN_STATUSES
from copytrade.sandbox.server import urls_of

FILLS_SHORT, FILLS_LONG = 100_000, 1_000_000
OPEN_ORDERS = 10_000
READY_S_MAX = {FILLS_SHORT: 15.0, FILLS_LONG: 60.0}
LOOK_EVERY_S = 0.2
PATIENCE_S = 180.0
"""What is not settled by then is told as still open."""
KB_A_FILL_MAX = 6.0
PAGES, ROWS_OF_A_PAGE = 50, 20
PAGE_P99_MS_MAX = 200.0


def measure(kind: Kind, *, long: bool) -> Iterator[Held]:
    """Yield how long a start takes, and what a fill takes on the disk with all that came of it."""
    fills = FILLS_LONG if long else FILLS_SHORT
    url = kind.new()
    asyncio.run(many_fills.store(url, fills, tell=lambda _: None))
    kilobytes = asyncio.run(_size_kb(url)) / fills
    what = f"{kind.name}: a fill with its attempt and execution"
    yield Held(what=what, figure=kilobytes, unit="kB", bound=KB_A_FILL_MAX)
    seconds, left = asyncio.run(_start(url))
    for name, took_ms in asyncio.run(_pages(url)).items():
        what = f"{kind.name}: `{name}` over {fills:,} fills, p99"
        yield Held(what=what, figure=percentile(took_ms, 0.99), unit="ms", bound=PAGE_P99_MS_MAX)
    what = f"{kind.name}: ready over {fills:,} fills, {OPEN_ORDERS:,} open orders"
    yield Held(what=what, figure=seconds, unit="s", bound=READY_S_MAX[fills])
    yield Held(what=f"{kind.name}: orders still open then", figure=left, unit="orders", bound=0)


async def _pages(url: str) -> dict[str, list[float]]:
    """Return how long (ms) each page of rows took that people turn over."""
    async with open_database(url) as database:
        reports = SqlReports(database)
        pages: dict[str, Callable[[], Awaitable[Any]]] = {
            "attempts": lambda: reports.attempts(limit=ROWS_OF_A_PAGE),
            "attempts --leader": lambda: reports.attempts(limit=ROWS_OF_A_PAGE, leader=many_fills.address(7)),
            "trades": lambda: reports.trades(limit=ROWS_OF_A_PAGE),
        }
        return {name: [await _took_ms(page) for _ in range(PAGES)] for name, page in pages.items()}


async def _took_ms(page: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    await page()
    return (time.perf_counter() - begun) * 1e3


async def _start(url: str) -> tuple[float, int]:
    """Return the seconds from opening the ledger until the worker has settled what was open, and how much is left."""
    async with open_database(url) as database:
        await database.write(_reopen)
    settings = demo_settings(urls_of("127.0.0.1", 9), url)
    begun = time.monotonic()
    async with (
        open_database(url) as beside,
        app.open_ledger(settings) as ledger,
        app.build_worker(settings, ledger) as worker,
    ):
        running = asyncio.create_task(worker.run())
        left = OPEN_ORDERS
        while left and not running.done() and time.monotonic() - begun < PATIENCE_S:
            await asyncio.wait([running], timeout=LOOK_EVERY_S)
            left = await beside.read(_still_open)
        seconds = time.monotonic() - begun
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return seconds, left


def _reopen(connection: Connection) -> None:
    """Let the newest attempts be open, as a death leaves them."""
    newest = (
        select(execution_attempt.c.id)
        .where(execution_attempt.c.decision == "TRADE")
        .order_by(execution_attempt.c.created_at.desc())
        .limit(OPEN_ORDERS)
    )
    connection.execute(
        update(execution_attempt).where(execution_attempt.c.id.in_(newest)).values(status="PARTIAL", done_at=None)
    )


def _still_open(connection: Connection) -> int:
    """Count, and no more: to read them all would cost the worker more than its own work."""
    query = select(func.count()).where(execution_attempt.c.status.in_(OPEN_STATUSES))
    return connection.execute(query).scalar_one()


async def _size_kb(url: str) -> float:
    if make_url(url).get_backend_name() == "sqlite":
        path = Path(str(make_url(url).database))
        return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e3
    async with open_database(url) as database:
        query = text("SELECT pg_database_size(current_database())")
        return await database.read(lambda connection: connection.execute(query).scalar_one()) / 1e3
