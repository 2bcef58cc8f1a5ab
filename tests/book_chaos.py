"""Book stores on bad networks, one for each fault, against the local venue over real sockets.

    python -m tests.book_chaos [--seconds N]

A witness on a good network writes down when each book was what. Each store is looked at a hundred times a second,
as a decision looks: a book that is fresh would be traded on. Printed for each fault: such looks, those at a book
the venue never told, those at one that was true longer ago than fresh means, how long the worst lie lasted, and how
long after the end of the fault every book was fresh and right again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import structlog

from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.clob.socket import Connection, connect_to_market
from copytrade.adapters.system import SystemClock
from copytrade.domain.book import BookSnapshot, QuoteTier
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve

FAULTS = (
    "drop",
    "freeze",
    "half-open",
    "duplicate",
    "reorder",
    "lose",
    "no first snapshot",
    "truncate",
    "10 MB frames",
    "unknown kinds",
)
SILENT = frozenset({"lose", "reorder"})
"""What was lost nobody knows before a later message, its hash or a snapshot tells."""
FOUND = frozenset({"freeze", "half-open"})
"""These last until they are found, however short the others are; one that ends before is a loss in silence."""
TOKENS = 60
FRESH_MS = 2_000
SLACK_MS = 300
"""For the way of a message, and for a loop that is late."""
LOOK_EVERY_S = 0.01
HEALED_S_MAX = 60
FAULT_CHANCE = 0.3
NOISE = (b"{}", b"[]", b"", b'{"event_type":"of_2030","asset_id":"1"}', b'[{"event_type":1}]', b'{"price_changes":[]}')
HUGE = b'{"event_type":"of_2030","text":"' + b"x" * 10_000_000 + b'"}'
Levels = frozenset[tuple[tuple[str, int], int]]


def micro(text: str) -> int:
    """Read a decimal in the plainest way."""
    return int(Decimal(text) * 1_000_000)


def levels_of(book: BookSnapshot) -> Levels:
    """Return a book as the witness writes it."""
    bids = {(("BUY", level.price), level.size) for level in book.bids}
    return frozenset(bids | {(("SELL", level.price), level.size) for level in book.asks})


class Witness:
    """When each book was what, as the venue told it."""

    def __init__(self) -> None:
        self._now: dict[str, dict[tuple[str, int], int]] = {}
        self._last_true: dict[str, dict[Levels, float]] = defaultdict(dict)
        self._newest: dict[str, Levels] = {}

    async def listen(self, url: str, tokens: list[str]) -> None:
        """Hear everything until cancelled."""
        connection = await connect_to_market(url)
        try:
            await connection.send(json.dumps({"type": "market", "assets_ids": tokens, "initial_dump": True}))
            while True:
                self._hear(await connection.recv(decode=False))
        finally:
            await connection.close()

    def knows(self, tokens: Iterable[str]) -> bool:
        """Whether all of them were told."""
        return self._newest.keys() >= set(tokens)

    def age_ms(self, token_id: str, levels: Levels) -> float | None:
        """Return how long ago a book was last true, None if it never was."""
        if self._newest.get(token_id) == levels:
            return 0.0
        true_at = self._last_true[token_id].get(levels)
        return None if true_at is None else (time.monotonic() - true_at) * 1000

    def _hear(self, frame: str | bytes) -> None:
        decoded = json.loads(frame) if frame.strip() not in (b"PONG", b"") else []
        for message in decoded if isinstance(decoded, list) else [decoded]:
            if "bids" in message:
                sides = [("BUY", one) for one in message["bids"]] + [("SELL", one) for one in message["asks"]]
                self._now[message["asset_id"]] = {
                    (side, micro(one["price"])): micro(one["size"]) for side, one in sides
                }
                self._keep(message["asset_id"])
            for change in message.get("price_changes", ()):
                if (levels := self._now.get(change["asset_id"])) is not None:
                    levels[change["side"], micro(change["price"])] = micro(change["size"])
                    self._keep(change["asset_id"])

    def _keep(self, token_id: str) -> None:
        before = self._newest.get(token_id)
        if before is not None:
            self._last_true[token_id][before] = time.monotonic()
        self._newest[token_id] = frozenset(item for item in self._now[token_id].items() if item[1])


class BadSocket:
    """A real connection that does to its frames what its network does."""

    def __init__(self, inner: Connection, network: Network) -> None:
        self._inner = inner
        self._network = network
        self._ready: list[bytes] = []
        self._held: bytes | None = None
        self._is_dead = False

    async def send(self, message: str) -> None:
        await self._inner.send(message)

    async def close(self) -> None:
        await self._inner.close()

    async def recv(self, decode: bool | None = None) -> str | bytes:
        while not self._ready:
            frame = await self._inner.recv(decode=decode)
            assert isinstance(frame, bytes)
            self._ready += self._done_to(frame, self._network.fault)
        return self._ready.pop(0)

    def _done_to(self, frame: bytes, fault: str) -> list[bytes]:
        is_pong = frame.strip() in (b"PONG", b"")
        self._is_dead = self._is_dead or fault == "half-open"
        if (
            self._is_dead
            or (fault == "freeze" and not is_pong)
            or (fault == "no first snapshot" and b'"bids"' in frame)
        ):
            return []
        late, self._held = ([] if self._held is None else [self._held]), None
        if is_pong or self._network.draw.random() > FAULT_CHANCE:
            return [frame, *late]
        return self._spoiled(frame, fault) + late

    def _spoiled(self, frame: bytes, fault: str) -> list[bytes]:
        match fault:
            case "drop":
                raise ConnectionResetError("cut")
            case "reorder":
                self._held = frame
        spoiled = {
            "lose": [],
            "reorder": [],
            "duplicate": [frame, frame],
            "truncate": [frame[: self._network.draw.randrange(1, len(frame))]],
            "10 MB frames": [HUGE, frame],
            "unknown kinds": [*NOISE, frame],
        }
        return spoiled.get(fault, [frame])


@dataclass
class Network:
    """What is wrong now ("" for nothing), and what came of it."""

    name: str
    draw: random.Random
    fault: str = ""
    looks: Counter[str] = field(default_factory=Counter)
    strange: dict[tuple[str, Levels], list[float]] = field(default_factory=dict)
    """Looks at books that the witness did not know then: it may hear of them a moment later than the store."""
    healed_s: float | None = None
    figures: dict[str, int] = field(default_factory=dict)

    async def connect(self, url: str) -> Any:
        """Open a real connection and spoil it."""
        return BadSocket(await connect_to_market(url), self)

    def look(self, store: ClobBookStore, witness: Witness, tokens: list[str]) -> bool:
        """Look at every book as a decision does; whether all were there, fresh and right."""
        is_all_right = True
        for token_id in tokens:
            view = store.view(token_id)
            if view is None or view.tier is not QuoteTier.FRESH:
                is_all_right = False
                continue
            age_ms = witness.age_ms(token_id, levels_of(view.book))
            self.looks["fresh"] += 1
            if age_ms is None:
                self.strange.setdefault((token_id, levels_of(view.book)), []).append(time.monotonic())
            elif age_ms > FRESH_MS + SLACK_MS:
                self.looks["too old"] += 1
            is_all_right = is_all_right and age_ms is not None and age_ms <= SLACK_MS
        return is_all_right

    def judge(self, witness: Witness) -> None:
        """Keep of the strange books those that the witness never heard of."""
        self.strange = {book: at for book, at in self.strange.items() if witness.age_ms(*book) is None}
        self.looks["never told"] = sum(map(len, self.strange.values()))

    @property
    def wrong_looks(self) -> int:
        """How many looks would have been a trade on a wrong book."""
        return self.looks["never told"] + self.looks["too old"]

    def line(self) -> str:
        """Return what to print of it."""
        longest_ms = max((at[-1] - at[0] for at in self.strange.values()), default=0.0) * 1000
        healed = "not healed" if self.healed_s is None else f"{self.healed_s:7.2f}"
        told = {name: count for name, count in self.figures.items() if count and name in SHOWN}
        return (
            f"{self.name:18} {self.looks['fresh']:8} {self.looks['never told']:10} {longest_ms:8.0f} "
            f"{self.looks['too old']:8} {healed}  {told}"
        )


SHOWN = ("reconnects", "books_lost", "mismatches", "late_messages", "malformed", "hash_failed", "unknown_messages")
HEAD = "fault                 fresh never told  for ms  too old healed s"


@contextlib.asynccontextmanager
async def keeping(sandbox: Sandbox, network: Network) -> AsyncIterator[ClobBookStore]:
    """Keep books over a bad network."""
    async with httpx.AsyncClient() as http:
        store = ClobBookStore(
            source=BookSource.WS_AND_SNAPSHOT,
            http_url=sandbox.urls["CLOB_HTTP_URL"],
            ws_url=sandbox.urls["CLOB_MARKET_WS_URL"],
            http=http,
            clock=SystemClock(),
            quote_fresh_ms=FRESH_MS,
            quote_stale_ms=5_000,
            history_ms=60_000,
            resync_interval_ms=10_000,
            tokens_max=2_000,
            note=lambda *_: None,
            on_market_event=lambda _: None,
            twin_of=lambda token_id: twin_in(sandbox, token_id),
            open_connection=network.connect,
        )
        running = asyncio.create_task(store.run())
        try:
            yield store
            network.figures = store.figures()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def twin_in(sandbox: Sandbox, token_id: str) -> str | None:
    """Return the other outcome of a market of the local venue."""
    market = sandbox.world.exchange.catalogue.by_token_text(token_id)
    return None if market is None else next(str(token) for token in market.tokens if str(token) != token_id)


def traded_tokens(sandbox: Sandbox) -> list[str]:
    """Return some tokens that have a book."""
    markets = (market for market in sandbox.world.exchange.catalogue.all() if market.has_book)
    return [str(token) for market in markets for token in market.tokens][:TOKENS]


async def live_through(network: Network, sandbox: Sandbox, witness: Witness, tokens: list[str], seconds: float) -> None:
    """Keep books through a fault and until all is well again."""
    async with keeping(sandbox, network) as store:
        for token_id in tokens:
            store.track(token_id)
        await _until_right(network, store, witness, tokens)
        network.looks.clear()
        network.strange.clear()
        network.fault = network.name
        if network.name == "no first snapshot":
            for socket in store._sockets:
                socket.restart("for its first snapshot")
        end = time.monotonic() + seconds
        while time.monotonic() < end or (network.name in FOUND and not store.counters.reconnects):
            network.look(store, witness, tokens)
            await asyncio.sleep(LOOK_EVERY_S)
        network.fault = ""
        network.healed_s = await _until_right(network, store, witness, tokens)


async def _until_right(network: Network, store: ClobBookStore, witness: Witness, tokens: list[str]) -> float:
    """Return the seconds until each book was fresh and right at one look or another."""
    started, missing = time.monotonic(), set(tokens)
    async with asyncio.timeout(HEALED_S_MAX):
        while missing:
            missing -= {token_id for token_id in missing if network.look(store, witness, [token_id])}
            await asyncio.sleep(LOOK_EVERY_S)
    return time.monotonic() - started


async def play(faults: Iterable[str], seconds: float) -> list[Network]:
    """Play all faults at once, each on a network of its own."""
    networks = [Network(name=fault, draw=random.Random(number)) for number, fault in enumerate(faults)]
    witness = Witness()
    async with serve(SandboxConfig(seed=5)) as sandbox:
        tokens = traded_tokens(sandbox)
        listening = asyncio.create_task(witness.listen(sandbox.urls["CLOB_MARKET_WS_URL"], tokens))
        while not witness.knows(tokens):
            await asyncio.sleep(LOOK_EVERY_S)
        try:
            async with asyncio.TaskGroup() as playing:
                for network in networks:
                    playing.create_task(live_through(network, sandbox, witness, tokens, seconds))
            await asyncio.sleep(1)  # For the witness to hear everything.
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    for network in networks:
        network.judge(witness)
    return networks


def main() -> int:
    """Play and print; 1 if a book was traded on that was wrong, where that can be known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long each fault lasts")
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this one")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(HEAD)
    is_clean = True
    for fault in given.fault or FAULTS:
        [network] = asyncio.run(play([fault], given.seconds))
        print(network.line(), flush=True)
        is_clean = is_clean and (fault in SILENT or not network.wrong_looks)
    return not is_clean


if __name__ == "__main__":
    sys.exit(main())
