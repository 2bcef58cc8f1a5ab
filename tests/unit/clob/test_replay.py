"""Recorded socket streams: our book is the venue's at each snapshot that follows, and its hash at each change."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copytrade.adapters.clob.checks import Checks
from copytrade.adapters.clob.feed import Feed
from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.clob.wire import decode_books, levels_of
from copytrade.domain.market_events import MarketEvent, MarketListed, MarketResolved, TickSizeChanged
from copytrade.domain.units import MICRO, format_micro
from tests.virtual_time import VirtualClock

pytestmark = pytest.mark.recorded
OPENTAPE = Path("ws", "opentape_polymarket_ws_20260907.jsonl")
RARE = Path("ws", "pulsearb_rare_messages_20260909.jsonl")


class SteppedClock(VirtualClock):
    """A clock that is told the time."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now


class Bench:
    """A shelf and what it said."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.events: list[MarketEvent] = []
        self.notes: list[str] = []
        self.doubted: list[str] = []
        self.forgotten: list[str] = []
        self.shelf = Shelf(
            clock=self.clock,
            history_ms=60_000,
            note=self.note,
            on_doubt=lambda tracked: self.doubted.append(tracked.token_id),
            on_parted=self.doubted.append,
        )
        self.feed = Feed(shelf=self.shelf, note=self.note, on_event=self.events.append, forget=self.forgotten.append)
        self.checks = Checks(shelf=self.shelf, clock=self.clock)

    def note(self, code: str, _: object) -> None:
        self.notes.append(code)


def frames_of(path: Path) -> Iterator[bytes]:
    for line in path.read_bytes().splitlines():
        if line.strip():
            yield line


def messages_of(frame: bytes) -> list[dict[str, Any]]:
    decoded = json.loads(frame)
    return decoded if isinstance(decoded, list) else [decoded]


def levels(message: dict[str, Any]) -> dict[int, int]:
    books, _ = decode_books(json.dumps([message]).encode())
    return levels_of(books[0].bids, books[0].asks)


def tracked_in(frames: list[bytes], bench: Bench, *, is_paired: bool) -> None:
    """Make room for every token that has a book in the frames, on one book for both outcomes or on two."""
    tokens = [message["asset_id"] for frame in frames for message in messages_of(frame) if "bids" in message]
    yes, no = dict.fromkeys(tokens)
    bench.shelf.add(yes, no if is_paired else None)
    if not is_paired:
        bench.shelf.add(no)


def held(bench: Bench, token_id: str) -> dict[int, int]:
    """What we hold for a token, in its own quotes."""
    outcome = bench.shelf.outcomes[token_id]
    return outcome.levels(dict(outcome.tracked.book.levels))


@pytest.mark.parametrize("is_paired", [True, False])
def test_the_replayed_book_is_every_later_snapshot(recorded_data: Path, is_paired: bool) -> None:
    bench = Bench()
    frames = list(frames_of(recorded_data / OPENTAPE))
    tracked_in(frames, bench, is_paired=is_paired)
    seen: Counter[str] = Counter()
    for frame in frames:
        for message in messages_of(frame):
            if message["event_type"] == "book":
                seen[message["asset_id"]] += 1
                if seen[message["asset_id"]] > 1:
                    assert held(bench, message["asset_id"]) == levels(message)
        bench.clock.now += 10
        bench.feed.apply_frame(frame)
        bench.checks.check_all()

    assert list(seen.values()) == [3, 3]
    assert bench.shelf.counters.mismatches == 0
    assert bench.shelf.counters.late_messages == 0
    assert bench.doubted == []
    assert bench.notes == []


@pytest.mark.parametrize("is_paired", [True, False])
def test_the_venues_hash_is_that_of_the_replayed_book(recorded_data: Path, is_paired: bool) -> None:
    """All but the first half of a pair with one timestamp; a trade's price may be announced after its hash."""
    bench = Bench()
    frames = list(frames_of(recorded_data / OPENTAPE))
    tracked_in(frames, bench, is_paired=is_paired)
    trade_prices = {
        message.get("last_trade_price") or message.get("price")
        for frame in frames
        for message in messages_of(frame)
        if message["event_type"] in {"book", "last_trade_price"}
    }
    verdicts = []
    for frame in frames:
        bench.feed.apply_frame(frame)
        for message in messages_of(frame):
            for change in message.get("price_changes", ()):
                quotes = held(bench, change["asset_id"])
                ours = {book_hash(message, change["asset_id"], quotes, price) for price in trade_prices if price}
                verdicts.append(change["hash"] in ours)

    assert (verdicts.count(True), verdicts.count(False)) == (112, 2)


def book_hash(message: dict[str, Any], token_id: str, quotes: dict[int, int], last_trade_price: str) -> str:
    """Return the venue's hash: SHA-1 over the compact book, levels worst first."""
    bids = [{"price": plain(quote), "size": plain(quotes[quote])} for quote in sorted(quotes) if quote > 0]
    asks = [{"price": plain(-quote), "size": plain(quotes[quote])} for quote in sorted(quotes) if quote < 0]
    summary = {
        "market": message["market"],
        "asset_id": token_id,
        "timestamp": message["timestamp"],
        "hash": "",
        "bids": bids,
        "asks": asks,
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": False,
        "last_trade_price": f"{float(last_trade_price):.3f}",
    }
    return hashlib.sha1(json.dumps(summary, separators=(",", ":")).encode()).hexdigest()


def plain(micro: int) -> str:
    text = format_micro(micro)
    return text.rstrip("0").rstrip(".") if "." in text else text


def test_rare_messages_become_market_events(recorded_data: Path) -> None:
    bench = Bench()
    for line in frames_of(recorded_data / RARE):
        record = json.loads(line)
        if record["fonte"] == "poly_ws":
            bench.feed.apply_frame(json.dumps(record["payload"]).encode())

    ticks = [event for event in bench.events if isinstance(event, TickSizeChanged)]
    resolved = [event for event in bench.events if isinstance(event, MarketResolved)]
    listed = [event for event in bench.events if isinstance(event, MarketListed)]
    assert len(ticks) == 6
    assert all(0 < event.tick_size < MICRO // 10 for event in ticks)
    assert len(resolved) == 3
    assert all(event.winning_token_id in event.token_ids for event in resolved)
    assert len(listed) == 1
    assert bench.shelf.counters.unknown_messages == 0
    assert len(bench.forgotten) == 6


def test_the_recorded_forms_of_2024_are_applied(recorded_data: Path) -> None:
    bench = Bench()
    folder = recorded_data / "nautilus" / "ws_messages"
    book = json.loads((folder / "book.json").read_bytes())
    change = json.loads((folder / "price_change.json").read_bytes())
    book = book[0] if isinstance(book, list) else book
    change |= {"asset_id": book["asset_id"], "timestamp": str(int(book["timestamp"]) + 1)}
    bench.shelf.add(book["asset_id"])

    bench.feed.apply_frame(json.dumps(book).encode())
    bench.feed.apply_frame(json.dumps(change).encode())

    assert held(bench, book["asset_id"]) == {**levels(book), -514_000: 21_574_080_000}


@pytest.mark.parametrize("name", ["rest/trebuchet_fed_june/clob-books.json", "rest/hugompt/clob_book.json"])
def test_recorded_rest_books_are_read_level_for_level(recorded_data: Path, name: str) -> None:
    document = json.loads((recorded_data / name).read_bytes())
    for record in document if isinstance(document, list) else [document]:
        assert len(levels(record)) == len(record["bids"]) + len(record["asks"])
