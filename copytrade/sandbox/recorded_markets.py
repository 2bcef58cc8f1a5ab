"""Recorded Gamma markets and book snapshots."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from copytrade.sandbox.book import Level
from copytrade.sandbox.market import Catalogue, EventGroup, Fees, Market
from copytrade.sandbox.micro import parse_micro
from copytrade.sandbox.recorded_files import Document, objects, read_documents

MARKET_PATTERNS = ("rest/**/*", "nautilus/**/*")
BOOK_PATTERNS = ("rest/**/*", "nautilus/newer/*")
OUTCOMES = 2
MILLISECONDS_FROM = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMarket:
    """A market and Gamma's record of it as it was received."""

    market: Market
    record: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedBook:
    """A snapshot of one token's book, micro-units, in the token's own prices."""

    token: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    last_trade: int | None
    at_ms: int


def read_markets(directory: Path) -> tuple[list[RecordedMarket], dict[str, int]]:
    """Return each binary market once, the richer record of two, and the count by file."""
    found: dict[str, RecordedMarket] = {}
    used: dict[str, int] = defaultdict(int)
    for pattern in MARKET_PATTERNS:
        for name, document in read_documents(directory, pattern):
            for raw in objects(document):
                known = read_market(raw) if "clobTokenIds" in raw else None
                if known is None:
                    continue
                other = found.get(known.market.condition)
                if other is None or len(other.record) < len(raw):
                    found[known.market.condition] = known
                    used[name] += 1
    return _without_shared_ids(list(found.values())), dict(used)


def read_market(raw: Document) -> RecordedMarket | None:
    """Read a Gamma record; None when it is no binary market with two tokens."""
    try:
        tokens = _string_list(raw["clobTokenIds"])
        outcomes = _string_list(raw["outcomes"])
        if len(tokens) != OUTCOMES or len(outcomes) != OUTCOMES or not str(raw["id"]).isdigit():
            return None
        market = Market(
            market_id=str(raw["id"]),
            condition=str(raw["conditionId"]).lower(),
            question=str(raw.get("question", "")),
            slug=str(raw.get("slug", "")),
            group=_group(raw),
            outcomes=(outcomes[0], outcomes[1]),
            tokens=(int(tokens[0]), int(tokens[1])),
            tick=parse_micro(raw.get("orderPriceMinTickSize") or "0.01"),
            min_size=parse_micro(raw.get("orderMinSize") or 5),
            fees=_fees(raw),
            created_ms=_time_ms(raw.get("startDate")),
            end_ms=_time_ms(raw.get("endDate")),
            enable_order_book=raw.get("enableOrderBook") is True,
            seconds_delay=int(raw.get("secondsDelay") or 0),
            closed=raw.get("closed") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None
    return RecordedMarket(market=market, record={**raw, "version": "v1"})


def read_books(directory: Path, catalogue: Catalogue) -> tuple[list[RecordedBook], dict[str, int]]:
    """Return the latest snapshot of each market that has one, and the count by file.

    A snapshot of a token whose market was not recorded is left out.
    """
    latest: dict[str, RecordedBook] = {}
    used: dict[str, int] = defaultdict(int)
    for pattern in BOOK_PATTERNS:
        for name, document in read_documents(directory, pattern):
            for raw in objects(document):
                book = read_book(raw) if "bids" in raw and "asks" in raw else None
                market = None if book is None else catalogue.by_token(book.token)
                if book is None or market is None:
                    continue
                known = latest.get(market.condition)
                if known is None or known.at_ms < book.at_ms:
                    latest[market.condition] = book
                    used[name] += 1
    return list(latest.values()), dict(used)


def read_book(raw: Document) -> RecordedBook | None:
    """Read a book in the CLOB's spelling; None when it is something else."""
    try:
        stamp = int(raw["timestamp"])
        price = raw.get("last_trade_price")
        return RecordedBook(
            token=int(raw["asset_id"]),
            bids=tuple(_level(level) for level in raw["bids"]),
            asks=tuple(_level(level) for level in raw["asks"]),
            last_trade=parse_micro(price) if price else None,
            at_ms=stamp if stamp > MILLISECONDS_FROM else stamp * 1_000,
        )
    except (KeyError, TypeError, ValueError):
        return None


def _level(raw: Document) -> Level:
    return Level(parse_micro(raw["price"]), parse_micro(raw["size"]))


def _group(raw: Document) -> EventGroup:
    events = raw.get("events")
    first: Document = events[0] if isinstance(events, list) and events else {}
    tags = first.get("tags") or raw.get("tags") or []
    return EventGroup(
        event_id=str(first.get("id", raw["id"])),
        slug=str(first.get("slug", raw.get("slug", ""))),
        title=str(first.get("title", raw.get("question", ""))),
        tags=tuple((str(tag.get("label", "")), str(tag.get("slug", ""))) for tag in tags if isinstance(tag, dict)),
        neg_risk=raw.get("negRisk") is True,
    )


def _fees(raw: Document) -> Fees:
    schedule = raw.get("feeSchedule")
    kind = str(raw.get("feeType") or "zero_fees")
    if not isinstance(schedule, dict):
        return Fees(kind=kind, rate=0)
    return Fees(
        kind=kind,
        rate=parse_micro(schedule.get("rate", 0)),
        exponent=int(schedule.get("exponent", 1)),
        rebate=parse_micro(schedule.get("rebateRate", 0)),
    )


def _string_list(value: Any) -> list[str]:
    parsed = json.loads(value) if isinstance(value, str) else value
    return [str(item) for item in parsed or []]


def _time_ms(value: object) -> int:
    if not isinstance(value, str):
        return 0
    parsed = datetime.fromisoformat(value)
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return int(aware.timestamp()) * 1_000


def _without_shared_ids(markets: list[RecordedMarket]) -> list[RecordedMarket]:
    taken: set[str] = set()
    kept = []
    for known in markets:
        if known.market.market_id not in taken:
            taken.add(known.market.market_id)
            kept.append(known)
    return kept
