"""The registry of markets: a full sync from a local stand-in for Gamma, a start from SQLite, look-ups, memory.

    python -m benchmarks.registry [--markets 100000]

Each phase runs in a process of its own, so that its resident memory is its own. The memory bars are those of
a worker with 20,000 markets and 500 tracked tokens (250 MiB), and with 100,000 and 2,000 (500 MiB).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

import copytrade.app
from benchmarks import book
from benchmarks.measuring import lags
from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.gamma.registry import GammaRegistry
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.system import SystemClock
from copytrade.cli.demonstration import demo_settings
from copytrade.sandbox.server import urls_of

SIZES = {20_000: (500, 250), 100_000: (2_000, 500)}
"""Tracked tokens, and the bar in MiB, by the number of markets."""
FRAMES_PER_TOKEN = 50
LOOKUPS = 1_000_000
PAGE = 100


def token(number: int, outcome: int) -> str:
    """Return a v1 token id of 77 digits or so, as real ones are."""
    return str((number * 0x9E3779B97F4A7C15F39CC0605CEDC834 << 125 | 1 << 60 | number << 1 | outcome) % 2**256)


def record(number: int) -> dict[str, object]:
    """Return a row of Gamma with the text lengths of real ones."""
    return {
        "id": str(number),
        "question": f"Will team {number} win against the other one on November {number % 30 + 1}?",
        "conditionId": f"0x{number * 0x9E3779B97F4A7C15F39CC0605CEDC8343 % 2**256:064x}",
        "slug": f"will-team-{number}-win-against-the-other-one-on-november-{number % 30 + 1}",
        "description": "This market resolves according to the rules of the league. " * 30,
        "endDate": f"2026-12-{number % 28 + 1:02}T{number % 24:02}:00:00Z",
        "outcomes": '["Yes", "No"]',
        "outcomePrices": '["0.4", "0.6"]',
        "clobTokenIds": json.dumps([token(number, 0), token(number, 1)]),
        "active": True,
        "closed": False,
        "archived": False,
        "enableOrderBook": True,
        "acceptingOrders": True,
        "negRisk": False,
        "orderPriceMinTickSize": (0.01, 0.001)[number % 2],
        "orderMinSize": 5,
        "liquidityNum": number * 7919 % 100_003 / 10,
        "feesEnabled": True,
        "feeType": "sports_fees_v3",
        "feeSchedule": {"exponent": 1, "rate": 0.05, "takerOnly": True, "rebateRate": 0.2},
        "events": [{"slug": f"the-other-one-against-everybody-{number // 5}"}],
        "tags": [{"label": "Sports", "slug": "sports"}],
        "version": "v1",
    }


async def serve(markets: int) -> None:
    """Answer keyset pages until killed; the port is the only line printed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await request_head(reader):
            body = page(request.split(b" ", 2)[1].decode(), markets)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def request_head(reader: asyncio.StreamReader) -> bytes:
    """Return a request, nothing once the client is gone."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def page(target: str, markets: int) -> bytes:
    """Return the page that a keyset request asks for; nothing is closed."""
    query = parse_qs(urlsplit(target).query)
    if query.get("closed") != ["false"] or query.get("ascending") != ["true"]:
        return b'{"markets": []}'
    first = int(query.get("after_cursor", ["0"])[0]) + 1
    last = min(first + PAGE - 1, markets)
    listed: dict[str, object] = {"markets": [record(number) for number in range(first, last + 1)]}
    return json.dumps(listed | ({"next_cursor": str(last)} if last < markets else {})).encode()


@asynccontextmanager
async def registry_on(path: Path, port: int) -> AsyncIterator[GammaRegistry]:
    """Give a registry on an SQLite file and the stand-in."""
    url = f"http://127.0.0.1:{port}"
    async with open_database(f"sqlite:///{path}") as database, httpx.AsyncClient() as http:
        yield GammaRegistry(
            gamma_url=url,
            clob_url=url,
            data_api_url=url,
            http=http,
            clock=SystemClock(),
            store=SqlLedger(database),
            sync_interval_ms=900_000,
            note=lambda code, detail: print("note", code, detail, file=sys.stderr),
        )


async def sync(path: Path, port: int) -> dict[str, float]:
    """Read everything into an empty database."""
    async with registry_on(path, port) as registry:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as tasks, lags() as late:
            running = tasks.create_task(registry.run())
            await synced_once(registry)
            seconds = time.perf_counter() - started
            running.cancel()
        return {"markets": len(registry), "seconds": seconds, "mib": resident_mib(), "lag_ms": max(late)}


async def synced_once(registry: GammaRegistry) -> None:
    """Wait for the end of the first sync."""
    clock = SystemClock()
    while not registry.is_synced:
        await clock.sleep_ms(50)


async def start(path: Path, tracked: int) -> dict[str, float]:
    """Wire a whole worker, load what is stored, look tokens up, then keep books as it does."""
    settings = demo_settings(urls_of("127.0.0.1", 1), f"sqlite:///{path}")
    async with copytrade.app.open_ledger(settings) as ledger, copytrade.app.build_worker(settings, ledger) as worker:
        registry = worker.registry
        assert isinstance(registry, GammaRegistry)
        started = time.perf_counter()
        async with lags() as late:
            await registry.load()
            await asyncio.sleep(0.1)
        seconds = time.perf_counter() - started - 0.1
        loaded_mib = resident_mib()
        ns = lookup_ns(registry)
        kept = keep_books(tracked)
        figures = {"markets": len(registry), "seconds": seconds, "loaded_mib": loaded_mib, "lookup_ns": ns}
        return figures | {"tokens": len(kept.outcomes), "mib": resident_mib(), "lag_ms": max(late)}


def lookup_ns(registry: GammaRegistry) -> float:
    """Return what one `market_of` takes, in the order of a shuffled list of tokens."""
    asked = [token(number, number % 2) for number in range(1, len(registry) + 1)]
    random.Random(1).shuffle(asked)
    asked = (asked * (LOOKUPS // len(asked) + 1))[:LOOKUPS]
    market_of = registry.market_of
    started = time.perf_counter()
    for one in asked:
        market_of(one)
    took = time.perf_counter() - started
    assert all(registry.market_of(one) for one in asked[:1_000])
    return took / LOOKUPS * 1e9


def keep_books(tracked: int) -> Shelf:
    """Return a shelf with so many tokens, on books of a hundred levels a side with some history each."""
    clock = book.SteppedClock()
    feed, shelf = book.make_feed(clock)
    frames = book.tape(FRAMES_PER_TOKEN, seed=1)
    for number in range(1, tracked // 2 + 1):
        yes, no = token(number, 0), token(number, 1)
        shelf.add(yes, no)
        for frame in frames:
            feed.apply_frame(frame.replace(book.YES.encode(), yes.encode()).replace(book.NO.encode(), no.encode()))
    return shelf


def resident_mib() -> float:
    """Return this process's resident memory now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 2**20


def phase(name: str, *arguments: object) -> dict[str, float]:
    """Run a phase in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.registry", "--phase", name, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(markets: int) -> bool:
    """Print the figures for one size, and tell whether the memory keeps to its bar."""
    tracked, bar = SIZES.get(markets, (2_000, 500))
    command = [sys.executable, "-m", "benchmarks.registry", "--phase", "serve", str(markets)]
    with tempfile.TemporaryDirectory(prefix="copytrade-bench-") as folder:
        path = Path(folder) / "ledger.db"
        schema.upgrade(f"sqlite:///{path}")
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            port = (server.stdout or sys.stdin).readline().strip()
            synced = phase("sync", path, port)
            started = phase("start", path, tracked)
        finally:
            server.kill()
            server.communicate()
    assert synced["markets"] == started["markets"] == markets
    print(f"{markets:,} markets")
    sync_s, lag_ms = synced["seconds"], synced["lag_ms"]
    print(f"  full sync         {sync_s:.1f} s, {markets / sync_s:,.0f} markets/s, loop at most {lag_ms:.0f} ms late")
    print(f"  start from SQLite {started['seconds']:.2f} s, loop at most {started['lag_ms']:.0f} ms late,", end=" ")
    print(f"{started['loaded_mib']:.0f} MiB resident after it")
    print(f"  market_of         {started['lookup_ns']:.0f} ns")
    for what, mib in (("synced", synced["mib"]), (f"started, {started['tokens']:,} tokens", started["mib"])):
        print(f"  resident {what:<22} {mib:.0f} MiB, bar {bar}: {'met' if mib <= bar else 'MISSED'}")
    return max(synced["mib"], started["mib"]) <= bar


def main() -> int:
    """Measure each size; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, action="append")
    parser.add_argument("--phase", nargs="+", default=[])
    options = parser.parse_args()
    match options.phase:
        case ["serve", markets]:
            asyncio.run(serve(int(markets)))
        case ["sync", path, port]:
            copytrade.app.configure_logging()
            print(json.dumps(asyncio.run(sync(Path(path), int(port)))))
        case ["start", path, tracked]:
            copytrade.app.configure_logging()
            print(json.dumps(asyncio.run(start(Path(path), int(tracked)))))
        case _:
            return int(not all(list(map(measure, options.markets or SIZES))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
