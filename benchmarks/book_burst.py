"""A busy market socket beside a leader's fills, which must not wait for it: everything in one event loop.

    python -m benchmarks.book_burst [--seconds N]

A venue in a process of its own sends, over a real socket, 20 messages a second, then 2,000, then 10,000, by
turns of two seconds, so that whatever else the machine does meets all three alike. Meanwhile fills of a leader on
that very token come in as chain frames. Printed for each: how late the loop is, and how long after its frame a
fill is durable, decided on the real book and with the executor.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import structlog
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.book import NO, YES, Tape
from benchmarks.chain_logs import addresses, frame, logs
from benchmarks.measuring import percentile
from benchmarks.working import Working, working
from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.sql import schema
from copytrade.adapters.system import SystemClock
from tests import makers

BATCH_S = 0.01
TURN_S = 2
SETTLED_S = 0.1
"""After the begin of a turn."""
LAG_EVERY_S = 0.005
FILL_EVERY_S = 0.05
WARM_UP_S = 2.0
LAG_BAR_MS = 20.0
BURST_BAR = 2.0
"""How much longer a fill may take at the 99th percentile beside bursts than at rest."""
BEST_LEVELS_KEPT = 5
RATES = (20, 2_000, 10_000)
"""Messages a second, turn by turn."""


def turn_at(moment: float) -> tuple[int, float]:
    """Return which turn it is at a Unix time, and for how many seconds already."""
    turns, seconds = divmod(moment, TURN_S)
    return int(turns) % len(RATES), seconds


async def feed() -> None:
    """Be a venue of one market: its book, then changes by turns; the port is the first line printed."""

    async def talk(connection: ServerConnection) -> None:
        market, stamp = Tape(seed=9, depth_min=BEST_LEVELS_KEPT), int(time.time() * 1000)
        await connection.recv()
        await connection.send(_of_the_leader(market.full(stamp, token=YES)))
        ready = [_of_the_leader(market.change(stamp)) for _ in range(20_000)]
        sent, due, last = 0, 0.0, time.time()
        while True:
            moment = time.time()
            due, last = due + (moment - last) * RATES[turn_at(moment)[0]], moment
            while sent < due:
                await connection.send(ready[sent % len(ready)].replace(str(stamp), str(int(moment * 1000))))
                sent += 1
            await asyncio.sleep(BATCH_S)

    async def until_left(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await talk(connection)

    async with serve(until_left, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


def _of_the_leader(message: bytes) -> str:
    """Return a message about the tokens that the leader trades."""
    return message.decode().replace(YES, makers.YES).replace(NO, makers.NO)


@contextlib.asynccontextmanager
async def keeping(port: int) -> AsyncIterator[ClobBookStore]:
    """Keep the book of the feed."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503))) as http:
        store = ClobBookStore(
            source=BookSource.WS,
            http_url="http://127.0.0.1",
            ws_url=f"ws://127.0.0.1:{port}",
            http=http,
            clock=SystemClock(),
            quote_fresh_ms=2_000,
            quote_stale_ms=5_000,
            history_ms=60_000,
            resync_interval_ms=90_000,
            tokens_max=2_000,
            note=lambda *_: None,
            on_market_event=lambda _: None,
            twin_of={makers.YES: makers.NO, makers.NO: makers.YES}.get,
        )
        running = asyncio.create_task(store.run())
        try:
            assert await store.first_view(makers.YES, timeout_ms=10_000) is not None
            yield store
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Watch:
    """What was measured, turn by turn."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.late: list[list[float]] = [[] for _ in RATES]
        self.fills: list[list[float]] = [[] for _ in RATES]
        self.is_over = False

    async def lags(self) -> None:
        """Note by how many milliseconds the loop is late, again and again."""
        loop = asyncio.get_running_loop()
        while not self.is_over:
            turn, into = turn_at(time.time())
            moment = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            if SETTLED_S < into < TURN_S - SETTLED_S:
                self.late[turn].append((loop.time() - moment) * 1e3)

    async def take_fills(self, path: Working, frames: Iterator[str], seconds: float) -> None:
        """Note how many milliseconds a fill takes from its frame to the executor; they come at random moments."""
        draw, end = random.Random(1), time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(draw.uniform(0, 2 * FILL_EVERY_S))
            turn, into = turn_at(time.time())
            started = time.perf_counter()
            path.frames.put_nowait(next(frames))
            await asyncio.wait_for(path.orders.get(), 5)
            if SETTLED_S < into < TURN_S - SETTLED_S:
                self.fills[turn].append((time.perf_counter() - started) * 1e3)
        self.is_over = True


async def beside(port: int, seconds: float) -> tuple[Watch, float]:
    """Return what was measured beside the feed, and its frames a second."""
    leaders = addresses(1)
    stream = map(frame, logs(int(2 * seconds / FILL_EVERY_S) + 500, leaders, stamp_s=int(time.time())))
    with tempfile.TemporaryDirectory(prefix="copytrade-bench-") as folder:
        url = f"sqlite:///{Path(folder, 'ledger.db')}"
        schema.upgrade(url)
        async with keeping(port) as store, working(url, leaders, store) as path:
            await Watch().take_fills(path, stream, WARM_UP_S)
            watch, before, started = Watch(), store.frames, time.monotonic()
            await asyncio.gather(watch.lags(), watch.take_fills(path, stream, seconds))
            return watch, (store.frames - before) / (time.monotonic() - started)


def show(watch: Watch) -> tuple[float, float]:
    """Print everything; return the lag's 99th percentile at 2,000 messages a second, and what bursts do to a fill's."""
    shares = (0.5, 0.99, 1.0)
    for rate, late, fills in zip(RATES, watch.late, watch.fills, strict=True):
        lag, fill = ([f"{percentile(column, share):6.2f}" for share in shares] for column in (late, fills))
        print(f"{rate:6} msg/s  loop lag p50 {lag[0]} p99 {lag[1]} max {lag[2]} ms", end="  ")
        print(f"{len(fills):4} fills p50 {fill[0]} p99 {fill[1]} max {fill[2]} ms")
    at_rest, _, beside_bursts = (percentile(fills, 0.99) for fills in watch.fills)
    return percentile(watch.late[1], 0.99), beside_bursts / at_rest


def main() -> int:
    """Measure; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--feed", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if given.feed:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(feed())
        return 0
    told = [sys.executable, "-m", "benchmarks.book_burst", "--feed"]
    with subprocess.Popen(told, stdout=subprocess.PIPE, text=True) as feeder:
        try:
            assert feeder.stdout is not None
            watch, rate = asyncio.run(beside(int(feeder.stdout.readline()), given.seconds))
        finally:
            feeder.kill()
    lag, ratio = show(watch)
    print(f"{rate:.0f} msg/s in all; loop lag p99 at {RATES[1]:,} msg/s {lag:.2f} ms (bar {LAG_BAR_MS})", end="; ")
    print(f"a fill's p99 beside {RATES[2]:,} msg/s to that at rest {ratio:.2f} (bar {BURST_BAR})")
    return lag > LAG_BAR_MS or ratio > BURST_BAR


if __name__ == "__main__":
    sys.exit(main())
