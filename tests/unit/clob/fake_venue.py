"""A venue of order books in memory: REST over a mock transport, sockets over queues, faults on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosedError

from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.domain.market_events import MarketEvent
from copytrade.ports.clock import Clock

MARKET = "0x" + "ab" * 32
HTTP_URL = "http://venue.test"
WS_URL = "ws://venue.test/ws/market"


def token(number: int) -> str:
    return f"{number:03d}".rjust(77, "7")


YES, NO = token(1), token(2)


@dataclass
class Book:
    """The venue's own book of one token, by text as it is sent."""

    bids: dict[str, str]
    asks: dict[str, str]
    timestamp: int

    def as_json(self, token_id: str) -> dict[str, Any]:
        return {
            "market": MARKET,
            "asset_id": token_id,
            "timestamp": str(self.timestamp),
            "hash": "0" * 40,
            "bids": [{"price": price, "size": size} for price, size in sorted(self.bids.items())],
            "asks": [{"price": price, "size": size} for price, size in sorted(self.asks.items(), reverse=True)],
        }

    def best(self) -> tuple[str, str]:
        return max(self.bids, key=float, default="0"), min(self.asks, key=float, default="1")


class FakeConnection:
    """One open socket of the fake venue."""

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self.tokens: list[str] = []
        self.sent: list[str] = []
        self.inbox: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.is_open = True

    async def send(self, message: str) -> None:
        if not self.is_open:
            raise ConnectionClosedError(None, None)
        self.sent.append(message)
        if message == "PING":
            if self.venue.answers_pings:
                self.inbox.put_nowait(b"PONG")
            return
        request = json.loads(message)
        if request.get("operation") == "unsubscribe":
            self.tokens = [one for one in self.tokens if one not in request["assets_ids"]]
            return
        self.tokens.extend(request["assets_ids"])
        if self.venue.dumps:
            known = [one for one in request["assets_ids"] if one in self.venue.books]
            self.push([{"event_type": "book", **self.venue.books[one].as_json(one)} for one in known])

    async def recv(self, decode: bool | None = None) -> str | bytes:
        item = await self.inbox.get()
        if isinstance(item, Exception):
            raise item
        return item

    async def close(self) -> None:
        self.is_open = False
        if self in self.venue.connections:
            self.venue.connections.remove(self)

    def push(self, message: object) -> None:
        self.push_raw(json.dumps(message).encode())

    def push_raw(self, frame: bytes) -> None:
        if self.is_open and self.venue.feeds:
            self.inbox.put_nowait(frame)

    def drop(self) -> None:
        self.is_open = False
        self.inbox.put_nowait(ConnectionClosedError(None, None))


@dataclass
class FakeVenue:
    """Truth about a few books; `feeds` off is a silent freeze, `answers_rest` off an outage."""

    clock: Clock
    books: dict[str, Book] = field(default_factory=dict)
    connections: list[FakeConnection] = field(default_factory=list)
    opened: int = 0
    dumps: bool = True
    feeds: bool = True
    answers_pings: bool = True
    answers_rest: bool = True
    refuses_connects: bool = False
    rest_delay_ms: int = 20
    rest_requests: list[str] = field(default_factory=list)
    asked_tokens: list[list[str]] = field(default_factory=list)
    rewrite: Callable[[httpx.Response], httpx.Response] = lambda response: response

    def list(self, token_id: str, bids: Mapping[str, str], asks: Mapping[str, str]) -> None:
        self.books[token_id] = Book(dict(bids), dict(asks), self.clock.now_ms())

    async def connect(self, url: str) -> FakeConnection:
        assert url == WS_URL
        await asyncio.sleep(0.01)
        if self.refuses_connects:
            raise OSError("refused")
        self.opened += 1
        connection = FakeConnection(self)
        self.connections.append(connection)
        return connection

    def change(self, token_id: str, side: str, price: str, size: str, *, timestamp: int | None = None) -> None:
        """Change one level for real, and tell whoever is subscribed."""
        book = self.books[token_id]
        levels = book.bids if side == "BUY" else book.asks
        levels[price] = size
        if size == "0":
            del levels[price]
        book.timestamp = timestamp or max(self.clock.now_ms(), book.timestamp + 1)
        self.tell(token_id, self.change_message(token_id, side, price, size))

    def change_message(self, token_id: str, side: str, price: str, size: str) -> dict[str, Any]:
        best_bid, best_ask = self.books[token_id].best()
        change = {"asset_id": token_id, "price": price, "size": size, "side": side, "hash": "0" * 40}
        change |= {"best_bid": best_bid, "best_ask": best_ask}
        timestamp = str(self.books[token_id].timestamp)
        return {"event_type": "price_change", "market": MARKET, "timestamp": timestamp, "price_changes": [change]}

    def tell(self, token_id: str, message: object) -> None:
        for connection in list(self.connections):
            if token_id in connection.tokens:
                connection.push(message)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.rest_requests.append(f"{request.method} {request.url.path}")
        content = await request.aread()
        response = self._answer_now(request, content)
        await self.clock.sleep_ms(self.rest_delay_ms)
        return self.rewrite(response)

    def _answer_now(self, request: httpx.Request, content: bytes) -> httpx.Response:
        if not self.answers_rest:
            return httpx.Response(503, text="<html>down</html>")
        if request.url.path == "/book":
            token_id = request.url.params["token_id"]
            if token_id not in self.books:
                return httpx.Response(404, json={"error": "No orderbook exists for the requested token id"})
            return httpx.Response(200, json=self.books[token_id].as_json(token_id))
        asked = [item["token_id"] for item in json.loads(content)]
        self.asked_tokens.append(asked)
        if len(asked) > 500:
            return httpx.Response(400, json={"error": "Payload exceeds the limit"})
        found = [self.books[one].as_json(one) for one in reversed(asked) if one in self.books]
        return httpx.Response(200, json=found)


@dataclass
class Desk:
    """A store on a fake venue, and what it told the operator and the registry."""

    venue: FakeVenue
    store: ClobBookStore
    notes: list[tuple[str, dict[str, object]]]
    events: list[MarketEvent]

    def codes(self) -> list[str]:
        return [code for code, _ in self.notes]


def make_desk(clock: Clock, source: BookSource, **overrides: Any) -> Desk:
    venue = FakeVenue(clock)
    notes: list[tuple[str, dict[str, object]]] = []
    events: list[MarketEvent] = []
    options: dict[str, Any] = {
        "source": source,
        "http_url": HTTP_URL,
        "ws_url": WS_URL,
        "http": venue.http(),
        "clock": clock,
        "quote_fresh_ms": 2_000,
        "quote_stale_ms": 5_000,
        "history_ms": 60_000,
        "resync_interval_ms": 90_000,
        "tokens_max": 2_000,
        "note": lambda code, detail: notes.append((code, dict(detail))),
        "on_market_event": events.append,
        "open_connection": venue.connect,
    }
    return Desk(venue=venue, store=ClobBookStore(**(options | overrides)), notes=notes, events=events)
