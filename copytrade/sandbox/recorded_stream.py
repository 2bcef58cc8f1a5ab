"""A recorded market socket: its market, its first book, and its messages with their times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.book import LevelChange, own_price
from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.market import EventGroup, Fees, Market
from copytrade.sandbox.micro import ONE, decimal_text, parse_micro
from copytrade.sandbox.recorded_files import Document, read_documents
from copytrade.sandbox.recorded_markets import RecordedBook, read_book

STREAM_PATTERNS = ("ws/*opentape*",)
STREAM_ID = 5_600_000
MIN_SIZES = (5, 15, 1, 10)
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The messages of one timestamp: what they change and what they say."""

    at_ms: int
    frames: tuple[Document, ...]
    changes: tuple[LevelChange, ...]
    last_trade: int | None
    """The market's last trade price from here on, if these messages are about a trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """A recorded `last_trade_price`: the taker's outcome, side, price and size."""

    outcome: int
    side: int
    price: int
    size: int
    tx_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Everything one recorded connection saw of one market."""

    market: Market
    opening: RecordedBook
    groups: tuple[Group, ...]


def read_streams(directory: Path, *, now_ms: int) -> tuple[list[Stream], dict[str, int]]:
    """Return the recorded streams and how many messages each file gave."""
    messages: dict[str, list[Document]] = defaultdict(list)
    for pattern in STREAM_PATTERNS:
        for name, document in read_documents(directory, pattern):
            items = document if isinstance(document, list) else [document]
            messages[name].extend(item for item in items if isinstance(item, dict))
    streams: list[Stream] = []
    used: dict[str, int] = {}
    for name, frames in messages.items():
        stream = _read_stream(frames, number=len(streams), now_ms=now_ms)
        if stream is not None:
            streams.append(stream)
            used[name] = len(frames)
    return streams, used


def read_print(market: Market, frame: Document) -> Print | None:
    """Read a `last_trade_price`; None for any other message."""
    if frame.get("event_type") != "last_trade_price":
        return None
    return Print(
        outcome=market.outcome_of(int(frame["asset_id"])),
        side=BUY if frame["side"] == "BUY" else SELL,
        price=parse_micro(frame["price"]),
        size=parse_micro(frame["size"]),
        tx_hash=str(frame["transaction_hash"]),
    )


def _read_stream(frames: Sequence[Document], *, number: int, now_ms: int) -> Stream | None:
    books = [frame for frame in frames if frame.get("event_type") == "book"]
    tokens = list(dict.fromkeys(str(frame["asset_id"]) for frame in books))
    opening = read_book(books[0]) if books else None
    if opening is None or len(tokens) != len(("first", "second")):
        return None
    market = _market(books[0], tokens, number=number, now_ms=now_ms)
    later = [frame for frame in frames if int(frame["timestamp"]) > opening.at_ms]
    return Stream(
        market=market,
        opening=opening,
        groups=tuple(_groups(market, later)),
    )


def _market(book: Document, tokens: Sequence[str], *, number: int, now_ms: int) -> Market:
    """Build the market from what its first book states.

    Minimum size and neg-risk are those with which the book's own hash is met. Fees are in no
    frame: the market is shown without any.
    """
    min_size, neg_risk = _hashed_settings(book)
    name = f"recorded-market-{number}"
    return Market(
        market_id=str(STREAM_ID + number),
        condition=str(book["market"]).lower(),
        question="A market known from its recorded socket only",
        slug=name,
        group=EventGroup(
            event_id=str(STREAM_ID + number),
            slug=name,
            title=name,
            tags=(("Recorded", "recorded"),),
            neg_risk=neg_risk,
        ),
        outcomes=("Yes", "No"),
        tokens=(int(tokens[0]), int(tokens[1])),
        tick=parse_micro(book["tick_size"]),
        min_size=min_size,
        fees=Fees(kind="zero_fees", rate=0),
        created_ms=now_ms - DAY_MS,
        end_ms=now_ms + DAY_MS,
    )


def _hashed_settings(book: Document) -> tuple[int, bool]:
    for size in MIN_SIZES:
        for neg_risk in (False, True):
            names = ("market", "asset_id", "timestamp")
            summary: dict[str, Any] = {name: book[name] for name in names}
            summary |= {
                "hash": "",
                "bids": book["bids"],
                "asks": book["asks"],
                "min_order_size": decimal_text(size * ONE),
                "tick_size": book["tick_size"],
                "neg_risk": neg_risk,
                "last_trade_price": book["last_trade_price"],
            }
            if digest.book_hash(summary) == book["hash"]:
                return size * ONE, neg_risk
    return MIN_SIZES[0] * ONE, False


def _groups(market: Market, frames: Sequence[Document]) -> Iterator[Group]:
    by_time: dict[int, list[Document]] = defaultdict(list)
    for frame in frames:
        by_time[int(frame["timestamp"])].append(frame)
    times = sorted(by_time)
    for at, at_ms in enumerate(times):
        own = by_time[at_ms]
        traded = any(frame.get("event_type") == "book" for frame in own)
        following = [frame for later in times[at:] for frame in by_time[later]]
        yield Group(
            at_ms=at_ms,
            frames=tuple(own),
            changes=tuple(_changes(market, own)),
            last_trade=_next_print(market, following) if traded else None,
        )


def _changes(market: Market, frames: Sequence[Document]) -> Iterator[LevelChange]:
    for frame in frames:
        for entry in frame.get("price_changes", ()):
            if int(entry["asset_id"]) == market.tokens[0]:
                yield LevelChange(
                    entry["side"] == "BUY",
                    own_price(parse_micro(entry["price"]), 0),
                    parse_micro(entry["size"]),
                )


def _next_print(market: Market, frames: Sequence[Document]) -> int | None:
    """Return the price of the trade that republished the book: its print follows it."""
    for frame in frames:
        printed = read_print(market, frame)
        if printed is not None:
            return printed.price
    return None
