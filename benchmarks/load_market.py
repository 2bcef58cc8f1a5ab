"""A market socket with many tokens: a steady stream, then a burst, and whether the books are right after it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.book_load import change, full
from benchmarks.measuring import lags, percentile
from benchmarks.measuring_loads import Held, until
from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.system import SystemClock
from copytrade.domain.units import parse_micro

TOKENS = 400
STEADY_PER_S, BURST_PER_S = 2_000, 10_000
STEADY_S_SHORT, STEADY_S_LONG, BURST_S = 20, 3_600, 10
BATCH_S = 0.01
READY_FRAMES = 20_000
ASKING_S = 1.0
SAMPLED_OF = 25
"""One frame of so many is looked at for how old it is once it is applied."""
APPLIED_P99_MS_MAX, LAG_P99_MS_MAX, CPU_MAX, RECOVERED_S_MAX = 50.0, 25.0, 70.0, 5.0
PAIRS = [(f"7{2 * number:076d}", f"7{2 * number + 1:076d}") for number in range(TOKENS // 2)]
STAMP = b'"timestamp":"'


def measure(long: bool) -> Iterator[Held]:
    """Yield what the stream and the burst came to."""
    steady_s = STEADY_S_LONG if long else STEADY_S_SHORT
    command = [sys.executable, "-m", "benchmarks.load_market", "--steady", str(steady_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as venue:
        try:
            assert venue.stdout is not None
            watch = asyncio.run(_beside(int(venue.stdout.readline()), steady_s, venue.stdout))
        finally:
            venue.kill()
    what = f"{STEADY_PER_S:,} messages/s, {TOKENS} tokens, {steady_s} s"
    age, late = percentile(watch.ages_ms, 0.99), percentile(watch.late_ms, 0.99)
    yield Held(what=f"{what}: applied after, p99", figure=age, unit="ms", bound=APPLIED_P99_MS_MAX)
    yield Held(what=f"{what}: loop late, p99", figure=late, unit="ms", bound=LAG_P99_MS_MAX)
    yield Held(what=f"{what}: of one core", figure=watch.cpu, unit="%", bound=CPU_MAX)
    what = f"{BURST_PER_S:,} messages/s for {BURST_S} s"
    yield Held(what=f"{what}: caught up after its end", figure=watch.recovered_s, unit="s", bound=RECOVERED_S_MAX)
    yield Held(what=f"{what}: books that are not the venue's", figure=watch.wrong, unit="books", bound=0)
    yield Held(what=f"{what}: frames lost", figure=watch.lost, unit="frames", bound=0)


@dataclass(slots=True)
class Watch:
    """What was measured."""

    ages_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    cpu: float = 0.0
    recovered_s: float = 0.0
    wrong: int = 0
    lost: int = 0


class WatchedStore(ClobBookStore):
    """Notes how old a part of the frames is once they are applied."""

    ages_ms: list[float]

    def _on_frame(self, socket: Any, frame: bytes) -> None:
        super()._on_frame(socket, frame)
        if socket.frames % SAMPLED_OF == 0 and (at := frame.find(STAMP)) > 0:
            stamp = frame[at + len(STAMP) : at + len(STAMP) + 13]
            self.ages_ms.append(time.time() * 1e3 - float(stamp))


async def _beside(port: int, steady_s: int, told: Any) -> Watch:
    watch = Watch()
    async with _keeping(port) as store, lags() as late:
        await until(lambda: len(store.ages_ms) >= 10)
        store.ages_ms.clear()
        late.clear()
        cpu, begun = time.process_time(), time.monotonic()
        await asyncio.sleep(max(0.0, steady_s - 2.0))
        watch.cpu = (time.process_time() - cpu) / (time.monotonic() - begun) * 100
        watch.ages_ms, watch.late_ms = list(store.ages_ms), list(late)
        truth = json.loads(await asyncio.to_thread(told.readline))
        await until(lambda: store.frames >= truth["sent"], seconds=2 * RECOVERED_S_MAX)
        watch.recovered_s = max(0.0, time.time() - truth["ended"])
        watch.lost = truth["sent"] - store.frames
        watch.wrong = sum(_levels(store, token) != _parsed(levels) for token, levels in truth["books"].items())
    return watch


@contextlib.asynccontextmanager
async def _keeping(port: int) -> AsyncIterator[WatchedStore]:
    twins = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503))) as http:
        store = WatchedStore(
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
            twin_of=twins.get,
        )
        store.ages_ms = []
        for token, _ in PAIRS:
            store.track(token)
        running = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def _levels(store: ClobBookStore, token: str) -> dict[int, int]:
    view = store.view(token)
    return {} if view is None else dict((*view.book.bids, *view.book.asks))


def _parsed(levels: dict[str, str]) -> dict[int, int]:
    return {parse_micro(price): parse_micro(size) for price, size in levels.items()}


class Venue:
    """Sends each connection the books it asks for, then its part of the changes, at the two rates."""

    def __init__(self, steady_s: int) -> None:
        """Send nothing before every book is asked for."""
        self._steady_s = steady_s
        self._asked = 0
        self._sent = 0
        self._books: dict[str, dict[str, str]] = {}
        self._all_asked = asyncio.Event()

    async def serve(self) -> None:
        """Serve; the port is the first line that is printed, the truth the second."""
        async with serve(self._until_left, "127.0.0.1", 0, compression=None) as server:
            print(server.sockets[0].getsockname()[1], flush=True)
            await asyncio.Event().wait()

    async def _until_left(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._talk(connection)

    async def _talk(self, connection: ServerConnection) -> None:
        pairs = await _asked_for(connection)
        draw = random.Random(self._asked)
        ready = [change(draw, draw.choice(pairs)) for _ in range(READY_FRAMES)]
        self._asked += len(pairs)
        if self._asked == len(PAIRS):
            self._all_asked.set()
        for token, _ in pairs:
            await connection.send(_now(full(token)).decode())
        await self._all_asked.wait()
        sent = await _stream(connection, ready, self._steady_s, part=len(pairs) / len(PAIRS))
        self._sent += sent + len(pairs)
        self._books |= _truth(pairs, ready, sent)
        if len(self._books) == len(PAIRS):
            print(json.dumps({"sent": self._sent, "ended": time.time(), "books": self._books}), flush=True)
        await connection.wait_closed()


async def _asked_for(connection: ServerConnection) -> list[tuple[str, str]]:
    """Return the pairs that are asked for before the connection falls silent."""
    wanted: set[str] = set()
    try:
        while True:
            async with asyncio.timeout(ASKING_S):
                wanted |= set(json.loads(await connection.recv())["assets_ids"])
    except TimeoutError:
        return [pair for pair in PAIRS if pair[0] in wanted]


async def _stream(connection: ServerConnection, ready: list[bytes], steady_s: int, *, part: float) -> int:
    sent, due, begun, last = 0, 0.0, time.monotonic(), time.monotonic()
    while (now := time.monotonic()) < begun + steady_s + BURST_S:
        due += (now - last) * part * (STEADY_PER_S if now < begun + steady_s else BURST_PER_S)
        last = now
        while sent < due:
            await connection.send(_now(ready[sent % len(ready)]).decode())
            sent += 1
        await asyncio.sleep(BATCH_S)
    return sent


def _now(message: bytes) -> bytes:
    at = message.index(STAMP) + len(STAMP)
    return message[:at] + str(int(time.time() * 1000)).encode() + message[at + 13 :]


def _truth(pairs: list[tuple[str, str]], ready: list[bytes], sent: int) -> dict[str, dict[str, str]]:
    """Return every book as it must be after so many changes: level by level, of the first outcome."""
    books = {}
    for token, _ in pairs:
        first = json.loads(full(token))
        books[token] = {level["price"]: level["size"] for level in (*first["bids"], *first["asks"])}
    for number in range(max(0, sent - len(ready)), sent):
        _apply(books, ready[number % len(ready)])
    return books


def _apply(books: dict[str, dict[str, str]], message: bytes) -> None:
    told = json.loads(message)["price_changes"][0]
    levels = books[told["asset_id"]]
    if told["size"] == "0":
        levels.pop(told["price"], None)
    else:
        levels[told["price"]] = told["size"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steady", type=int, default=STEADY_S_SHORT)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Venue(parser.parse_args().steady).serve())
