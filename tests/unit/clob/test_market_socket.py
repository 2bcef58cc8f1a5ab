"""The market socket against a real server on this machine: drops, freezes, broken and huge frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve

from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.clob.socket import connect_to_market
from copytrade.adapters.system import SystemClock
from copytrade.domain.book import BookView
from tests.unit.clob.fake_venue import HTTP_URL, MARKET, YES, FakeVenue

MEGABYTES_10 = 10 * 2**20
Script = Callable[["Server"], Awaitable[None]]


class Server:
    """A websocket server that sends the fake venue's books, and whatever it is told to."""

    def __init__(self, venue: FakeVenue) -> None:
        self.venue = venue
        self.connections: list[ServerConnection] = []
        self.received: list[str] = []
        self.is_frozen = False
        self.dumps = True
        self.port = 0

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for message in connection:
            self.received.append(str(message))
            if message == "PING":
                await connection.send("PONG")
                continue
            request = json.loads(message)
            if self.dumps and not self.is_frozen:
                asked = [one for one in request["assets_ids"] if one in self.venue.books]
                books = [{"event_type": "book", **self.venue.books[one].as_json(one)} for one in asked]
                await connection.send(json.dumps(books))

    async def change(self, price: str, size: str) -> None:
        """Change the truth and tell it, unless frozen."""
        self.venue.change(YES, "BUY", price, size)
        message = self.venue.change_message(YES, "BUY", price, size)
        if not self.is_frozen:
            await self.send(json.dumps(message))

    async def send(self, frame: str) -> None:
        await self.connections[-1].send(frame)


@contextlib.asynccontextmanager
async def venue_and_store(source: BookSource) -> AsyncIterator[tuple[Server, ClobBookStore, list[str]]]:
    clock = SystemClock()
    venue = FakeVenue(clock, rest_delay_ms=1)
    venue.list(YES, {"0.50": "100"}, {"0.52": "80"})
    server = Server(venue)
    notes: list[str] = []
    async with (
        serve(server.handle, "127.0.0.1", 0, ping_interval=None, max_size=None) as listener,
        venue.http() as http,
    ):
        server.port = next(iter(listener.sockets)).getsockname()[1]
        store = ClobBookStore(
            source=source,
            http_url=HTTP_URL,
            ws_url=f"ws://127.0.0.1:{server.port}",
            http=http,
            clock=clock,
            quote_fresh_ms=600,
            quote_stale_ms=1_500,
            history_ms=60_000,
            resync_interval_ms=90_000,
            tokens_max=10,
            note=lambda code, _: notes.append(code),
            on_market_event=lambda _: None,
            open_connection=connect_to_market,
        )
        task = asyncio.create_task(store.run())
        try:
            yield server, store, notes
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def best_bid_becomes(store: ClobBookStore, price: int, *, within_s: float = 10) -> BookView:
    async with asyncio.timeout(within_s):
        while (view := store.view(YES)) is None or view.book.best_bid != price:
            await asyncio.sleep(0.01)
        return view


SOURCES = pytest.mark.parametrize("source", [BookSource.WS, BookSource.WS_AND_SNAPSHOT])


@SOURCES
async def test_books_and_changes_arrive_over_a_real_socket(source: BookSource) -> None:
    async with venue_and_store(source) as (server, store, _):
        assert await store.first_view(YES, timeout_ms=5_000) is not None
        await server.change("0.51", "7")

        view = await best_bid_becomes(store, 510_000)

        assert view.book.bids[0].size == 7_000_000
        assert json.loads(server.received[0])["initial_dump"] is True


@SOURCES
async def test_a_dropped_connection_is_opened_again_and_seeded(source: BookSource) -> None:
    async with venue_and_store(source) as (server, store, notes):
        await store.first_view(YES, timeout_ms=5_000)
        server.connections[-1].transport.abort()
        server.venue.books[YES].bids["0.51"] = "1"
        server.venue.books[YES].timestamp += 1

        await best_bid_becomes(store, 510_000)

        assert "RECONNECTED" in notes
        assert len(server.connections) == 2


@SOURCES
async def test_a_freeze_with_pongs_is_found_and_healed(source: BookSource) -> None:
    async with venue_and_store(source) as (server, store, notes):
        await store.first_view(YES, timeout_ms=5_000)
        server.is_frozen = True
        await server.change("0.51", "7")
        await asyncio.sleep(0.2)
        server.is_frozen = False

        await best_bid_becomes(store, 510_000)

        assert "BOOK_MISMATCH" in notes
        assert len(server.connections) == 2


@SOURCES
async def test_a_truncated_frame_costs_the_book_until_it_is_got_anew(source: BookSource) -> None:
    async with venue_and_store(source) as (server, store, notes):
        before = await store.first_view(YES, timeout_ms=5_000)
        assert before is not None
        server.venue.change(YES, "BUY", "0.51", "7")
        frame = json.dumps(server.venue.change_message(YES, "BUY", "0.51", "7"))
        await server.send(frame[: len(frame) // 2])

        await best_bid_becomes(store, 510_000)

        assert "QUARANTINED" in notes
        assert store.counters.books_lost == 1


@SOURCES
async def test_a_frame_of_ten_megabytes_is_read(source: BookSource) -> None:
    async with venue_and_store(source) as (server, store, _):
        await store.first_view(YES, timeout_ms=5_000)
        message = {"event_type": "weather", "market": MARKET, "text": "x" * MEGABYTES_10}
        await server.send(json.dumps(message))
        await server.change("0.51", "7")

        await best_bid_becomes(store, 510_000)

        assert len(server.connections) == 1
        assert store.counters.unknown_messages == 1


async def test_a_missing_first_snapshot_is_fetched() -> None:
    async with venue_and_store(BookSource.WS_AND_SNAPSHOT) as (server, store, _):
        server.dumps = False

        assert await store.first_view(YES, timeout_ms=5_000) is not None


async def test_a_burst_is_applied_in_full_and_others_get_their_turn() -> None:
    async with venue_and_store(BookSource.WS_AND_SNAPSHOT) as (server, store, _):
        await store.first_view(YES, timeout_ms=5_000)
        for number in range(5_000):
            await server.change("0.50", str(number + 1))
        await server.change("0.51", "7")

        view = await best_bid_becomes(store, 510_000)

        assert view.book.bids[1].size == 5_000_000_000
        assert store.counters.late_messages == 0
