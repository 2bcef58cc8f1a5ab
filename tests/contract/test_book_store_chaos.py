"""The book store against the local venue over real sockets that misbehave; what the venue said is the truth."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.clob.socket import Connection, connect_to_market
from copytrade.adapters.system import SystemClock
from copytrade.domain.book import BookSnapshot, QuoteTier
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve

SECONDS = 2
TOKENS = 60
OTHER = {"BUY": "SELL", "SELL": "BUY"}
Levels = dict[tuple[str, int], int]


def micro(text: str) -> int:
    return int(Decimal(text) * 1_000_000)


class Truth:
    """Every state of every book that the venue itself ever told, by the plainest possible reading."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.now: dict[str, Levels] = {}
        self.told: dict[str, set[frozenset[tuple[tuple[str, int], int]]]] = defaultdict(set)

    def hear(self, frame: bytes) -> None:
        decoded = json.loads(frame)
        for message in decoded if isinstance(decoded, list) else [decoded]:
            if "bids" in message:
                self.full(message)
            for change in message.get("price_changes", ()):
                if (levels := self.now.get(change["asset_id"])) is not None:
                    levels[change["side"], micro(change["price"])] = micro(change["size"])
                    self._keep(change["asset_id"])

    def full(self, book: dict[str, Any]) -> None:
        sides = [("BUY", level) for level in book["bids"]] + [("SELL", level) for level in book["asks"]]
        self.now[book["asset_id"]] = {(side, micro(level["price"])): micro(level["size"]) for side, level in sides}
        self._keep(book["asset_id"])
        if twin := twin_in(self.sandbox, book["asset_id"]):
            levels = self.now[book["asset_id"]].items()
            self.now[twin] = {(OTHER[side], 1_000_000 - price): size for (side, price), size in levels}
            self._keep(twin)

    def _keep(self, token_id: str) -> None:
        self.told[token_id].add(frozenset(item for item in self.now[token_id].items() if item[1]))


def levels_of(book: BookSnapshot) -> frozenset[tuple[tuple[str, int], int]]:
    bids = {(("BUY", level.price), level.size) for level in book.bids}
    return frozenset(bids | {(("SELL", level.price), level.size) for level in book.asks})


class FaultySocket:
    """A real connection behind a bad network; `kinds` of faults take turns, with calm in between."""

    def __init__(self, inner: Connection, truth: Truth, kinds: list[str], draw: random.Random) -> None:
        self.inner, self.truth, self.kinds, self.draw = inner, truth, kinds, draw
        self.waiting: list[str | bytes] = []
        self.started = time.monotonic()

    async def send(self, message: str) -> None:
        await self.inner.send(message)

    async def close(self) -> None:
        await self.inner.close()

    async def recv(self, decode: bool | None = None) -> str | bytes:
        while True:
            if self.waiting:
                return self.waiting.pop(0)
            frame = await self.inner.recv(decode=decode)
            assert isinstance(frame, bytes)
            if frame.strip() in (b"PONG", b""):
                return frame
            self.truth.hear(frame)
            turn = int((time.monotonic() - self.started) * 2)
            self._deliver(frame, self.kinds[turn // 2 % len(self.kinds)] if turn % 2 and self.kinds else "")

    def _deliver(self, frame: bytes, fault: str) -> None:
        match fault if self.draw.random() < 0.3 or fault == "freeze" else "":
            case "drop":
                raise ConnectionResetError("cut")
            case "freeze" | "lose":
                pass
            case "duplicate":
                self.waiting += [frame, frame]
            case "reorder":
                self.held = frame
            case _:
                self.waiting.append(frame)
                if held := self.__dict__.pop("held", None):
                    self.waiting.append(held)


@contextlib.asynccontextmanager
async def keeping(sandbox: Sandbox, truth: Truth, kinds: list[str]) -> AsyncIterator[ClobBookStore]:
    draw = random.Random(3)

    async def connect(url: str) -> Any:
        return FaultySocket(await connect_to_market(url), truth, kinds, draw)

    async def hear(response: httpx.Response) -> None:
        answer = json.loads(await response.aread())
        for book in answer if isinstance(answer, list) else [answer]:
            truth.full(book)

    async with httpx.AsyncClient(event_hooks={"response": [hear]}) as http:
        store = ClobBookStore(
            source=BookSource.WS_AND_SNAPSHOT,
            http_url=sandbox.urls["CLOB_HTTP_URL"],
            ws_url=sandbox.urls["CLOB_MARKET_WS_URL"],
            http=http,
            clock=SystemClock(),
            quote_fresh_ms=2_000,
            quote_stale_ms=5_000,
            history_ms=60_000,
            resync_interval_ms=1_000,
            tokens_max=2_000,
            note=lambda *note: None,
            on_market_event=lambda event: None,
            twin_of=lambda token_id: twin_in(sandbox, token_id),
            open_connection=connect,
        )
        running = asyncio.create_task(store.run())
        try:
            yield store
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def twin_in(sandbox: Sandbox, token_id: str) -> str | None:
    market = sandbox.world.exchange.catalogue.by_token_text(token_id)
    return next((str(token) for token in market.tokens if str(token) != token_id), None) if market else None


def traded_tokens(sandbox: Sandbox) -> list[str]:
    return [
        str(token) for market in sandbox.world.exchange.catalogue.all() if market.has_book for token in market.tokens
    ][:TOKENS]


async def healed_after(store: ClobBookStore, sandbox: Sandbox, tokens: list[str]) -> float:
    """Seconds until every book was, at one instant or another, fresh and the venue's own of that instant."""
    started, missing = time.monotonic(), set(tokens)
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=sandbox.urls["CLOB_HTTP_URL"]) as http:
        while missing:
            answer = await http.post("/books", json=[{"token_id": token_id} for token_id in sorted(missing)])
            truth = Truth(sandbox)
            truth.hear(answer.content)
            for token_id in sorted(missing):
                view = store.view(token_id)
                if view and view.tier is QuoteTier.FRESH and levels_of(view.book) in truth.told[token_id]:
                    missing.discard(token_id)
            await asyncio.sleep(0.02)
    return time.monotonic() - started


async def looks(store: ClobBookStore, truth: Truth, tokens: list[str]) -> tuple[int, int]:
    """Look at every book for some seconds; how many looks found it fresh, and in a state the venue never told."""
    seen = never_told = 0
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        await asyncio.sleep(0.01)
        for token_id in tokens:
            view = store.view(token_id)
            if view is not None and view.tier is QuoteTier.FRESH:
                seen += 1
                never_told += levels_of(view.book) not in truth.told[token_id]
    return seen, never_told


async def live_through(fault: str) -> tuple[int, int]:
    kinds = [fault]
    async with serve(SandboxConfig(seed=5)) as sandbox, keeping(sandbox, truth := Truth(sandbox), kinds) as store:
        tokens = traded_tokens(sandbox)
        for token_id in tokens:
            store.track(token_id)
        seen, never_told = await looks(store, truth, tokens)
        kinds.clear()
        healed_s = await healed_after(store, sandbox, tokens)
        figures = {name: count for name, count in store.counters.figures().items() if count}
    print(f"{fault}: {seen} fresh looks, {never_told} at a book never told, healed in {healed_s:.2f} s, {figures}")
    return seen, never_told


@pytest.mark.parametrize("fault", ["drop", "duplicate"])
async def test_no_book_that_the_venue_never_told_is_shown(fault: str) -> None:
    seen, never_told = await live_through(fault)

    assert seen > 100
    assert never_told == 0


@pytest.mark.parametrize("fault", ["freeze", "lose", "reorder"])
async def test_a_book_that_misses_changes_is_found_out_and_heals(fault: str) -> None:
    """Until a later message, the hash or a snapshot gives it away, a change lost in silence cannot be known."""
    seen, never_told = await live_through(fault)

    assert seen > 100
    assert never_told < seen // 5
