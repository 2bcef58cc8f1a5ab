"""Books under load: many tokens, and a busy real socket beside a leader's fill that must not wait.

    python benchmarks/book_load.py [--seconds N]

Prints what an event costs with 10 and with 20,000 tracked tokens (bar: 1.3) and their memory, then, over a real
local socket at rest, at 2,000 messages a second and with bursts of 10,000, the lag of the event loop and how long
after its moment a fill has seen its book and swept it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable

import httpx
import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.book import EPOCH_MS, HASH, MARKET, NO, YES, SteppedClock, Tape, make_shelf, price, quiet_gc
from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.clob.checks import Checks
from copytrade.adapters.system import SystemClock

FLAT_BAR = 1.3
LAG_BAR_MS = 20.0
TOKENS = (10, 20_000)
BATCH_S = 0.01
BURST_EVERY_S = 5
PROBE_S = 0.005


def full(token: str) -> bytes:
    """Return a first book of 30 levels a side around 0.5."""
    bids = [{"price": price(tick), "size": f"{tick}.25"} for tick in range(470, 500)]
    asks = [{"price": price(tick), "size": f"{tick}.5"} for tick in range(530, 500, -1)]
    head = {"market": MARKET, "asset_id": token, "timestamp": str(EPOCH_MS), "hash": HASH}
    return msgspec.json.encode(head | {"bids": bids, "asks": asks, "event_type": "book"})


def change(draw: random.Random, tokens: tuple[str, str]) -> bytes:
    """Return a change of some level of both outcomes that crosses nothing."""
    tick, size = draw.randrange(470, 500), f"{draw.randint(0, 500_000) / 100:g}"
    entries = [
        {"asset_id": token, "price": price(at), "size": size, "side": side, "hash": HASH}
        | {"best_bid": "0.499", "best_ask": "0.501"}
        for token, at, side in zip(tokens, (tick, 1000 - tick), ("BUY", "SELL"), strict=True)
    ]
    kind = {"timestamp": str(EPOCH_MS), "event_type": "price_change"}
    return msgspec.json.encode({"market": MARKET, "price_changes": entries} | kind)


def many_tokens(count: int, *, busy: int) -> tuple[float, float, float]:
    """Return microseconds an event on `busy` of the tokens, bytes a token, and milliseconds of one upkeep tick."""
    clock, draw = SteppedClock(), random.Random(7)
    names = [str(number).rjust(77, "7") for number in range(count)]
    tracemalloc.start()
    shelf = make_shelf(clock)
    for name in names:
        shelf.add(name)
        shelf.apply_frame(full(name))
    memory = tracemalloc.get_traced_memory()[0] / count
    tracemalloc.stop()
    firsts = [2 * draw.randrange(busy // 2) for _ in range(20_000)]
    frames = [change(draw, (names[first], names[first + 1])) for first in firsts]
    best = float("inf")
    for _ in range(7):
        clock.now += 1_000
        with quiet_gc():
            started = time.perf_counter()
            for frame in frames:
                shelf.apply_frame(frame)
            best = min(best, time.perf_counter() - started)
    checks = Checks(shelf=shelf, clock=clock)
    started = time.perf_counter()
    checks.check_all()
    return best / len(frames) * 1e6, memory, (time.perf_counter() - started) * 1e3


def measure_tokens() -> bool:
    """Print the figures for few and many tokens; whether the bar is met."""
    few, many = TOKENS
    costs = []
    for count, busy in ((few, few), (many, few), (many, many)):
        cost, memory, tick = many_tokens(count, busy=busy)
        costs.append(cost)
        print(f"{count:6} tokens, {busy:6} busy  {cost:5.2f} us an event", end="  ")
        print(f"{memory / 1e3:5.1f} kB a token  upkeep tick {tick:.1f} ms")
    ratio, spread = costs[1] / costs[0], costs[2] / costs[0]
    print(f"cost from {few} to {many} tokens: {ratio:.2f} (bar {FLAT_BAR})", end="; ")
    print(f"{spread:.2f} if all of them move at random, which no cache holds")
    return ratio <= FLAT_BAR


async def feed(port: int, rate: int, burst: int) -> None:
    """Be a venue of one market: both books, then `rate` changes a second, with a second of `burst` now and then."""

    async def talk(connection: ServerConnection) -> None:
        market, stamp = Tape(seed=9), int(time.time() * 1000)
        await connection.recv()
        for token in (YES, NO):
            await connection.send(market.full(stamp, token=token).decode())
        ready = [market.change(stamp).decode() for _ in range(20_000)]
        started, sent = time.monotonic(), 0
        due = 0.0
        while True:
            elapsed = time.monotonic() - started
            due += BATCH_S * (burst if burst and int(elapsed) % BURST_EVERY_S == 1 else rate)
            now = str(int(time.time() * 1000))
            while sent < due:
                await connection.send(ready[sent % len(ready)].replace(str(stamp), now))
                sent += 1
            await asyncio.sleep(max(0.0, BATCH_S - (time.monotonic() - started - elapsed)))

    async def until_left(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await talk(connection)

    with contextlib.suppress(asyncio.CancelledError):
        async with serve(until_left, "127.0.0.1", port, compression=None):
            print("ready", flush=True)
            await asyncio.Event().wait()


async def probe(act: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    """Return how many milliseconds after each of many set moments `act` was done."""
    late: list[float] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (moment := loop.time() + PROBE_S) < end:
        await asyncio.sleep(PROBE_S)
        await act()
        late.append((loop.time() - moment) * 1e3)
    return late


async def listen(port: int, seconds: float) -> tuple[list[float], list[float], int]:
    """Keep the books of the feed; return the lags of the loop, those of a fill's look, and the frames applied."""
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
        )
        store.track(YES)
        store.track(NO)
        running = asyncio.create_task(store.run())
        await store.first_view(YES, timeout_ms=5_000)

        async def decide() -> None:
            view = await store.first_view(YES, timeout_ms=1_000)
            assert view is not None
            assert sum(level.size for level in view.book.asks) > 0

        async def nothing() -> None:
            pass

        looks = await probe(decide, seconds / 2)
        lags = await probe(nothing, seconds / 2)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return lags, looks, store.frames


def measure_socket(name: str, port: int, *, seconds: float, rate: int, burst: int = 0) -> tuple[float, float]:
    """Print and return the 99th percentiles of lag and look in milliseconds."""
    told = [sys.executable, "-m", "benchmarks.book_load", "--feed", f"{port},{rate},{burst}"]
    with subprocess.Popen(told, stdout=subprocess.PIPE) as feeder:
        assert feeder.stdout is not None
        feeder.stdout.readline()
        gc.collect()
        lags, looks, frames = asyncio.run(listen(port, seconds))
        feeder.terminate()
    figures = [statistics.quantiles(column, n=100) for column in (lags, looks)]
    lag, look = ([f"{cuts[at]:6.2f}" for at in (49, 98)] for cuts in figures)
    print(f"{name:24} {frames / seconds:6.0f} msg/s  loop lag p50 {lag[0]} p99 {lag[1]} ms", end="  ")
    print(f"a fill's look p50 {look[0]} p99 {look[1]} ms")
    return figures[0][98], figures[1][98]


def main() -> int:
    """Run everything; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--feed", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.feed:
        asyncio.run(feed(*map(int, given.feed.split(","))))
        return 0
    is_flat = measure_tokens()
    measure_socket("at rest (20 msg/s)", 28_471, seconds=given.seconds / 2, rate=20)
    lag, _ = measure_socket("2,000 msg/s", 28_472, seconds=given.seconds, rate=2_000)
    measure_socket("bursts of 10,000 msg/s", 28_473, seconds=given.seconds, rate=500, burst=10_000)
    print(f"loop lag p99 at 2,000 msg/s: {lag:.2f} ms (bar {LAG_BAR_MS})")
    return not (is_flat and lag <= LAG_BAR_MS)


if __name__ == "__main__":
    sys.exit(main())
