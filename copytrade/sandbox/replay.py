"""Replay recorded data in place of invented flow.

Time and block numbers are mapped; everything else stays as recorded:

- Blocks are renumbered. The hours between two recorded blocks become two empty blocks, because
  a worker that catches up must not be made to read millions of them. A block's timestamp is the
  time of the replay; transaction hashes, log data, order hashes and log indexes are the recorded
  ones, and so is the order of the logs.
- Logs of the first exchanges (before 2026-04-28) lie in blocks before the start.
- Socket messages keep their distances in time, divided by the speed. Their timestamps move to
  the present, so their book hashes are computed again.
- Each recorded trade print also becomes an `OrderFilled` pair. The print names no wallet: its
  two owners are placeholders (`PRINT_TAKER`, `PRINT_MAKER`), reconstructed, not recorded.
- A fill whose token has no recorded market or book stays without one.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copytrade.sandbox import digest, frames, quotes
from copytrade.sandbox.book import LevelChange, Order, own_price
from copytrade.sandbox.catalogue import Listing
from copytrade.sandbox.chain import Transaction
from copytrade.sandbox.happening import FrameReplayed
from copytrade.sandbox.leading import Leader
from copytrade.sandbox.market import Catalogue, Market
from copytrade.sandbox.recorded_chain import RecordedBlock, fills_of, read_blocks
from copytrade.sandbox.recorded_files import Document
from copytrade.sandbox.recorded_markets import (
    RecordedBook,
    RecordedMarket,
    read_books,
    read_markets,
)
from copytrade.sandbox.recorded_rows import RecordedRow, read_rows
from copytrade.sandbox.recorded_stream import Group, Print, Stream, read_print, read_streams
from copytrade.sandbox.world import World

PRINT_TAKER = "0x" + "a" * 40
PRINT_MAKER = "0x" + "ab" * 20
FIRST_DELAY_MS = 3_000
BLOCKS_APART = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a directory holds; `used` counts what each file gave."""

    blocks: tuple[RecordedBlock, ...]
    markets: tuple[RecordedMarket, ...]
    books: tuple[RecordedBook, ...]
    streams: tuple[Stream, ...]
    rows: tuple[RecordedRow, ...]
    used: dict[str, int]

    @property
    def listings(self) -> list[Listing]:
        """Every market of the recording."""
        known = [Listing(market=one.market, liquidity=None) for one in self.markets]
        seen = [Listing(market=one.market, liquidity=None) for one in self.streams]
        return [*known, *seen]

    @property
    def records(self) -> dict[str, Document]:
        """Gamma's own record by condition."""
        return {known.market.condition: known.record for known in self.markets}

    @property
    def past(self) -> list[tuple[Transaction, ...]]:
        """The transactions of blocks before the start."""
        return [block.transactions for block in self.blocks if block.is_history]

    @property
    def live(self) -> list[RecordedBlock]:
        """The blocks to mine after the start."""
        return [block for block in self.blocks if not block.is_history]


def read_recording(directory: Path, *, now_ms: int) -> Recording:
    """Read a directory; what is missing in it is missing in the recording.

    Raises NotADirectoryError when there is no such directory.
    """
    if not directory.is_dir():
        raise NotADirectoryError(str(directory))
    blocks, from_logs = read_blocks(directory)
    markets, from_gamma = read_markets(directory)
    streams, from_sockets = read_streams(directory, now_ms=now_ms)
    catalogue = Catalogue()
    for known in markets:
        catalogue.put(known.market)
    books, from_books = read_books(directory, catalogue)
    rows, from_rows = read_rows(directory)
    used: dict[str, int] = {}
    for counted in (from_logs, from_gamma, from_sockets, from_books, from_rows):
        for name, count in counted.items():
            used[name] = used.get(name, 0) + count
    return Recording(
        blocks=tuple(blocks),
        markets=tuple(markets),
        books=tuple(books),
        streams=tuple(streams),
        rows=tuple(rows),
        used=used,
    )


class Replay:
    """Schedules a recording on a world's timeline."""

    def __init__(self, *, world: World, recording: Recording, speed: float) -> None:
        """Prepare; `speed` 2 plays twice as fast."""
        self._world = world
        self._exchange = world.exchange
        self._recording = recording
        self._speed = speed

    def begin(self) -> None:
        """Show the recorded books, then schedule blocks and messages."""
        for book in self._recording.books:
            market = self._exchange.catalogue.by_token(book.token)
            if market is not None:
                self._show(market, book)
        self._world.leaders.extend(self._leaders())
        block_ms = max(self._world.config.block_ms, 1)
        for at, block in enumerate(self._recording.live):
            delay_ms = int((FIRST_DELAY_MS + at * BLOCKS_APART * block_ms) / self._speed)
            include = functools.partial(self._include, block.transactions)
            self._world.timeline.after(delay_ms, include)
        for stream in self._recording.streams:
            self._show(stream.market, stream.opening)
            self._schedule(stream)

    def _leaders(self) -> list[Leader]:
        wallets = {
            fill.owner: None
            for block in self._recording.live
            for transaction in block.transactions
            for _, fill in fills_of(transaction, self._exchange.catalogue)
        }
        named = [(wallet, f"recorded-{at}") for at, wallet in enumerate(wallets, start=1)]
        if self._recording.streams:
            named += [(PRINT_TAKER, "print-taker"), (PRINT_MAKER, "print-maker")]
        return [Leader(address=address, label=label, habit="recorded", shares=0) for address, label in named]

    def _include(self, transactions: Sequence[Transaction]) -> None:
        for transaction in transactions:
            fills = fills_of(transaction, self._exchange.catalogue)
            self._world.ledger.announce(transaction.tx_hash, fills)
        self._world.plan(tuple(transactions))

    def _show(self, market: Market, book: RecordedBook) -> None:
        outcome = market.outcome_of(book.token)
        changes = [
            LevelChange((outcome == 0) == is_bid, own_price(level.price, outcome), level.size)
            for is_bid, levels in ((True, book.bids), (False, book.asks))
            for level in levels
        ]
        self._exchange.restate(market, changes, last_trade=book.last_trade)

    def _schedule(self, stream: Stream) -> None:
        for group in stream.groups:
            delay_ms = int((group.at_ms - stream.opening.at_ms) / self._speed)
            play = functools.partial(self._play, stream.market, group)
            self._world.timeline.after(delay_ms, play)

    def _play(self, market: Market, group: Group) -> None:
        now_ms = self._world.now_ms
        self._exchange.restate(market, group.changes, last_trade=group.last_trade)
        hashes = {
            str(market.tokens[outcome]): quotes.summary(self._exchange, market, outcome, at_ms=now_ms)["hash"]
            for outcome in (0, 1)
        }
        for frame in group.frames:
            printed = read_print(market, frame)
            if printed is not None:
                self._settle(market, printed)
            shown = _present(frame, hashes, now_ms=now_ms)
            self._world.publish(FrameReplayed(market=market, frame=shown, at_ms=now_ms))

    def _settle(self, market: Market, printed: Print) -> None:
        taker = Order(
            order_hash=digest.derive_hash("print taker", printed.tx_hash),
            owner=PRINT_TAKER,
            outcome=printed.outcome,
            side=printed.side,
            price=printed.price,
            size=printed.size,
        )
        maker = Order(
            order_hash=digest.derive_hash("print maker", printed.tx_hash),
            owner=PRINT_MAKER,
            outcome=printed.outcome,
            side=1 - printed.side,
            price=printed.price,
            size=printed.size,
        )
        self._exchange.queue_settlement(market, taker, maker, tx_hash=printed.tx_hash)


def _present(frame: Document, hashes: dict[str, Any], *, now_ms: int) -> frames.Frame:
    """Return the message as it would be sent now: its time, and hashes that fit it."""
    shown = {**frame, "timestamp": str(now_ms)}
    if "price_changes" in frame:
        shown["price_changes"] = [
            {**entry, "hash": hashes.get(entry["asset_id"], entry["hash"])} for entry in frame["price_changes"]
        ]
    elif "hash" in frame:
        shown["hash"] = hashes.get(frame["asset_id"], frame["hash"])
    return shown
