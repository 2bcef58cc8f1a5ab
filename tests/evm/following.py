"""A source on a chain, its events stored in a ledger as the worker stores them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, select

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.polygon.source import PolygonSource
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.tables import leader_fill
from copytrade.adapters.system import SystemClock
from copytrade.domain.leaders import Leader
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    CursorScope,
    FillsConfirmed,
    FillsRemoved,
    FillsSeen,
    SourceEvent,
    SourceNote,
)
from copytrade.ports.ledger import Ledger
from tests.evm.anvil import CHAIN_ID
from tests.evm.chain import GENESIS_S
from tests.evm.orders import BEFORE, LIVE, Row
from tests.evm.proxy import SocketProxy
from tests.makers import a_leader
from tests.unit.polygon.watching import Roll

DEADLINE_S = 10.0
NEVER_MS = 3_600_000
"""A poll interval so long that only the subscription can wake the source."""
OFTEN_MS = 50
SUBSCRIPTIONS = 2
SETTLING_BLOCKS_MAX = 40
POLL_S = 0.005


class Chain(Protocol):
    """A chain that moves when it is told to."""

    http_url: str
    sockets: SocketProxy

    async def head(self) -> int:
        """Return the newest block's number."""

    async def mine(self) -> object:
        """Mine an empty block."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The fills a ledger holds: those that stand, those that are final, those whose log is gone."""

    standing: list[Row] = field(default_factory=list)
    confirmed: list[Row] = field(default_factory=list)
    orphaned: list[Row] = field(default_factory=list)


@dataclass(kw_only=True)
class Book:
    """A ledger, and how its fills are read."""

    ledger: Ledger
    read: Callable[[], Awaitable[list[tuple[Row, bool, bool]]]]

    async def stored(self) -> Stored:
        """Return every fill there is a row for, each list in chain order."""
        found = sorted(await self.read())
        return Stored(
            standing=[row for row, _, is_orphaned in found if not is_orphaned],
            confirmed=[row for row, is_confirmed, _ in found if is_confirmed],
            orphaned=[row for row, _, is_orphaned in found if is_orphaned],
        )

    async def at(self) -> int:
        """Return how far the chain has been read."""
        cursor = await self.ledger.cursor(CursorScope())
        return -1 if cursor is None else cursor.last_processed_block

    async def proved(self) -> int:
        """Return how far that is proved."""
        cursor = await self.ledger.cursor(CursorScope())
        return -1 if cursor is None or cursor.proved_block is None else cursor.proved_block


class Feed:
    """Stores what a source reports, and tells when something is stored."""

    def __init__(self, book: Book, roll: Roll) -> None:
        self.book = book
        self.roll = roll
        self.notes: list[SourceNote] = []
        self._stored = asyncio.Event()
        self._confirmed = -1
        self._failure: Exception | None = None

    async def run(self, source: PolygonSource) -> None:
        """Store what the source reports until cancelled."""
        try:
            # Cancelled while it stores, a loop alone would leave the source running.
            async with aclosing(source.events()) as events:
                async for event in events:
                    await self._store(event)
                    self._stored.set()
        except Exception as error:
            self._failure = error
            self._stored.set()
            raise

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something that was stored makes it hold."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while True:
                    self._stored.clear()
                    if self._failure is not None:
                        raise self._failure
                    if await holds():
                        return
                    await self._stored.wait()
        except TimeoutError:
            stored = await self.book.stored()
            raise AssertionError(f"not within {DEADLINE_S} s; at {await self.book.at()}, stored {stored}") from None

    async def until_stored(self, expected: list[Row]) -> None:
        """Wait until exactly these fills stand."""

        async def holds() -> bool:
            return (await self.book.stored()).standing == expected

        await self.until(holds)

    async def until_subscribed(self, chain: Chain) -> None:
        """Wait until the node has accepted the subscriptions."""
        async with asyncio.timeout(DEADLINE_S):
            while chain.sockets.subscriptions < SUBSCRIPTIONS:
                await asyncio.sleep(POLL_S)

    async def until_settled(self, chain: Chain) -> Stored:
        """Mine until all that was mined so far is read, final and proved; return what is stored then."""
        last = await chain.head()
        for _ in range(SETTLING_BLOCKS_MAX):
            if min(await self.book.proved(), self._confirmed) >= last:
                return await self.book.stored()
            await chain.mine()
            await self.until_at_head(chain)
        raise AssertionError(
            f"block {last} is not settled; proved {await self.book.proved()}, confirmed {self._confirmed}"
        )

    async def until_at_head(self, chain: Chain) -> None:
        """Wait until the newest block has been read."""

        async def holds() -> bool:
            return await self.book.at() == await chain.head()

        await self.until(holds)

    def codes(self) -> set[str]:
        """Return what the operator was told of."""
        return {note.code for note in self.notes}

    async def _store(self, event: SourceEvent) -> None:
        ledger, now_ms = self.book.ledger, SystemClock().now_ms()
        match event:
            case FillsSeen():
                await ledger.ingest(event, now_ms=now_ms)
            case FillsRemoved():
                await ledger.orphan(event, now_ms=now_ms)
            case FillsConfirmed() | ChainConfirmed():
                await ledger.confirm(event)
                self._confirmed = max(self._confirmed, getattr(event, "block_number", -1))
            case SourceNote():
                self.notes.append(event)


@asynccontextmanager
async def following(
    chain: Chain, book: Book, *leaders: Leader, is_live: bool = True, **changes: Any
) -> AsyncIterator[Feed]:
    """Run a source on the chain into the book, `is_live` first; it ends with the block, and must not have failed."""
    for leader in leaders:
        await book.ledger.add_leader(leader)
    roll = Roll(*leaders)
    facts: dict[str, Any] = {
        "http_urls": (chain.http_url,),
        "ws_urls": (chain.sockets.url,),
        "exchanges": LIVE,
        "exchanges_v1": BEFORE,
        "chain_id": CHAIN_ID,
        "poll_interval_ms": NEVER_MS,
        "lag_max_ms": 15_000,
        "clock": SystemClock(),
        "roll": roll,
        "cursors": book.ledger,
        "stored": book.ledger,
    }
    feed = Feed(book, roll)
    facts |= changes
    task = asyncio.create_task(feed.run(PolygonSource(**facts)))
    try:
        if is_live:
            await feed.until_at_head(chain)
        if is_live and facts["ws_urls"]:
            await feed.until_subscribed(chain)
        yield feed
        assert not task.done(), repr(task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def followed(number: int, *, since_s: int = GENESIS_S, address: str | None = None) -> Leader:
    """Return a leader who is followed since that time."""
    return a_leader(address=address or f"0x{number:02x}" + "a1" * 19, followed_since_ms=since_s * 1000)


def memory_book() -> Book:
    """Open a book in memory."""
    ledger = MemoryLedger()

    async def read() -> list[tuple[Row, bool, bool]]:
        return [
            (_row_of(stored.recorded.fill), stored.confirmed_at_ms is not None, stored.orphaned_at_ms is not None)
            for stored in ledger.stored.values()
        ]

    return Book(ledger=ledger, read=read)


@asynccontextmanager
async def sqlite_book(folder: Path) -> AsyncIterator[Book]:
    """Open a book in a database file."""
    url = f"sqlite:///{folder}/ledger.db"
    schema.upgrade(url)
    async with open_database(url) as database:

        async def read() -> list[tuple[Row, bool, bool]]:
            return await database.read(_rows_of)

        yield Book(ledger=SqlLedger(database), read=read)


def _row_of(fill: Any) -> Row:
    place = fill.place
    return Row(
        block_number=place.block_number,
        log_index=place.log_index,
        block_hash=place.block_hash,
        tx_hash=fill.tx_hash,
        order_hash=place.order_hash,
        exchange=place.exchange_address,
        maker=place.maker,
        taker=place.taker,
        role=str(fill.role),
        side=str(fill.side),
        token_id=fill.token_id,
        shares=fill.size,
        usdc=fill.usdc,
        fee=fill.fee,
        ts_ms=fill.fill_ts_ms,
    )


def _rows_of(connection: Connection) -> list[tuple[Row, bool, bool]]:
    return [
        (
            Row(
                block_number=row.block_number,
                log_index=row.log_index,
                block_hash=row.block_hash,
                tx_hash=row.tx_hash,
                order_hash=row.order_hash,
                exchange=row.exchange_address,
                maker=row.maker,
                taker=row.taker,
                role=row.leader_role,
                side=row.side,
                token_id=row.token_id,
                shares=row.leader_size,
                usdc=row.leader_usdc,
                fee=row.leader_fee,
                ts_ms=row.fill_ts,
            ),
            row.confirmed_at is not None,
            row.orphaned_at is not None,
        )
        for row in connection.execute(select(leader_fill))
    ]
