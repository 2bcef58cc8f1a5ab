"""Leader fills as fast as the venue could bring them: steadily, and very many in one block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import live_path
from benchmarks.chain_logs import addresses, frame, logs
from benchmarks.measuring import Kind, percentile
from benchmarks.measuring_loads import Held
from benchmarks.working import Working, working
from copytrade.adapters.sql.engine import PostgresDatabase, SqliteDatabase

FILLS_PER_S = 50
SHORT_S, LONG_S = 20, 600
LEADERS = 200
DECIDED_S_MAX = 2.0
COMMIT_P99_MS_MAX = 20.0
INTENT_P50_MS_MAX, INTENT_P99_MS_MAX = 30.0, 150.0
PATH_FILLS_SHORT, PATH_FILLS_LONG = 400, 5_000


def measure(kind: Kind, *, long: bool) -> Iterator[Held]:
    """Yield what fills come to on one kind of database."""
    seconds = LONG_S if long else SHORT_S
    with _commits() as commits_ms:
        waits_s = asyncio.run(_steadily(kind, seconds))
    what = f"{kind.name}: {FILLS_PER_S} fills/s of {LEADERS} leaders for {seconds} s"
    yield Held(what=f"{what}, slowest decided", figure=max(waits_s), unit="s", bound=DECIDED_S_MAX)
    figure = percentile(commits_ms, 0.99)
    yield Held(what=f"{kind.name}: a write then, p99", figure=figure, unit="ms", bound=COMMIT_P99_MS_MAX)
    seconds = asyncio.run(live_path.block(kind))
    what = f"{kind.name}: {live_path.BLOCK_FILLS} fills of one block decided"
    yield Held(what=what, figure=seconds, unit="s", bound=DECIDED_S_MAX)
    ours, _ = asyncio.run(live_path.path(kind, PATH_FILLS_LONG if long else PATH_FILLS_SHORT))
    for name, share, bound in (("p50", 0.5, INTENT_P50_MS_MAX), ("p99", 0.99, INTENT_P99_MS_MAX)):
        what = f"{kind.name}: log to durable attempt, {name}"
        yield Held(what=what, figure=percentile(ours, share), unit="ms", bound=bound)


async def _steadily(kind: Kind, seconds: int) -> list[float]:
    """Return how long each fill took from its frame to the executor."""
    leaders, count = addresses(LEADERS), FILLS_PER_S * seconds
    stream = [frame(log) for log in logs(count, leaders, stamp_s=int(time.time()))]
    sent: list[float] = []
    taken: list[float] = []
    async with working(kind.new(), leaders) as path:
        await asyncio.sleep(0.3)
        async with asyncio.TaskGroup() as both:
            both.create_task(_send(path, stream, sent))
            both.create_task(_take(path, count, taken))
    return [after - before for before, after in zip(sent, taken, strict=True)]


async def _send(path: Working, stream: list[str], sent: list[float]) -> None:
    begun = time.perf_counter()
    for number, one in enumerate(stream):
        await asyncio.sleep(begun + number / FILLS_PER_S - time.perf_counter())
        sent.append(time.perf_counter())
        path.frames.put_nowait(one)


async def _take(path: Working, count: int, taken: list[float]) -> None:
    """Take them as they come: fills of one token are decided in their order, and all are of one token here."""
    for _ in range(count):
        await asyncio.wait_for(path.orders.get(), 60)
        taken.append(time.perf_counter())


@contextmanager
def _commits() -> Iterator[list[float]]:
    """Give a list that grows by how many milliseconds each write waited and took."""
    took: list[float] = []
    kept = {(kind, name): getattr(kind, name) for kind in (SqliteDatabase, PostgresDatabase) for name in WRITES}
    for (kind, name), method in kept.items():
        setattr(kind, name, _timed(method, took))
    try:
        yield took
    finally:
        for (kind, name), method in kept.items():
            setattr(kind, name, method)


WRITES = ("write", "write_alone")


def _timed(method: Callable[..., Awaitable[Any]], took: list[float]) -> Callable[..., Awaitable[Any]]:
    async def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return await method(*args, **kwargs)
        finally:
            took.append((time.perf_counter() - begun) * 1e3)

    return timed
