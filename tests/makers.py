"""Facts for tests: a market, a fill, a book, a leader, each with one obvious default."""

from __future__ import annotations

from typing import Any

from copytrade.domain.book import BookSnapshot, BookView, Level, QuoteTier
from copytrade.domain.fills import LeaderFill, LeaderRole, LogPlace, RecordedFill, Side, Sighting, Source
from copytrade.domain.ids import leader_fill_id, leader_id
from copytrade.domain.leaders import Leader
from copytrade.domain.market import FeeSchedule, Market, OutcomeToken
from copytrade.domain.units import notional_down, parse_micro

NOW_MS = 1_790_000_000_000
LEADER = "0x" + "a1" * 20
OTHER = "0x" + "b2" * 20
EXCHANGE = "0xe111180000d2663c0091e4f400237545b87b996b"
YES, NO = "111", "222"


def micro(text: str) -> int:
    return parse_micro(text)


def a_market(**changes: Any) -> Market:
    facts: dict[str, Any] = {
        "condition_id": "0x" + "c0" * 32,
        "version": "v1",
        "title": "Will it rain in Paris?",
        "slug": "rain-in-paris",
        "event_slug": "weather",
        "category": "weather",
        "end_date_ms": None,
        "enable_order_book": True,
        "accepting_orders": True,
        "closed": False,
        "neg_risk": False,
        "tick_size": micro("0.01"),
        "min_order_size": micro("5"),
        "fees": FeeSchedule(rate=micro("0.05"), exponent=1),
        "taker_delay_ms": 0,
        "tokens": (
            OutcomeToken(token_id=YES, outcome="Yes", outcome_index=0),
            OutcomeToken(token_id=NO, outcome="No", outcome_index=1),
        ),
        "payouts": None,
        "updated_at_ms": NOW_MS,
    }
    return Market(**(facts | changes))


def a_leader(**changes: Any) -> Leader:
    address = changes.get("address", LEADER)
    facts: dict[str, Any] = {
        "id": leader_id(address),
        "address": address,
        "label": "",
        "enabled": True,
        "copy_ratio": None,
        "max_usdc_per_trade": None,
        "live_allowed": False,
        "followed_since_ms": NOW_MS - 3_600_000,
        "created_at_ms": NOW_MS - 3_600_000,
    }
    return Leader(**(facts | changes))


def a_place(**changes: Any) -> LogPlace:
    facts: dict[str, Any] = {
        "exchange_address": EXCHANGE,
        "block_number": 100,
        "block_hash": "0x" + "0b" * 32,
        "log_index": 7,
        "order_hash": "0x" + "0d" * 32,
        "maker": LEADER,
        "taker": EXCHANGE,
    }
    return LogPlace(**(facts | changes))


def a_fill(*, size: str = "100", price: str = "0.5", **changes: Any) -> LeaderFill:
    facts: dict[str, Any] = {
        "leader": LEADER,
        "source": Source.POLYGON,
        "tx_hash": "0x" + "7a" * 32,
        "token_id": YES,
        "side": Side.BUY,
        "role": LeaderRole.TAKER,
        "price": micro(price),
        "size": micro(size),
        "usdc": notional_down(micro(size), micro(price)),
        "fee": 0,
        "fill_ts_ms": NOW_MS - 1_000,
        "detected_at_ms": NOW_MS - 200,
        "place": a_place(),
    }
    return LeaderFill(**(facts | changes))


def a_sighting(fill: LeaderFill | None = None, *, source_key: str | None = None) -> Sighting:
    fill = fill or a_fill()
    if source_key is None:
        place = fill.place
        source_key = f"{place.block_hash}|{fill.tx_hash}|{place.log_index}" if place else f"{fill.tx_hash}|row"
    return Sighting(fill=fill, source_key=source_key, payload="{}")


def recorded(fill: LeaderFill | None = None) -> RecordedFill:
    fill = fill or a_fill()
    key = fill.place.dedupe_key(fill.tx_hash) if fill.place else f"api|{fill.tx_hash}"
    return RecordedFill(id=leader_fill_id(key), leader_id=leader_id(fill.leader), dedupe_key=key, fill=fill)


def a_book(*, bids: str = "0.49:500", asks: str = "0.51:500", **changes: Any) -> BookSnapshot:
    """Build a book from texts such as "0.49:500 0.48:20", best first."""
    facts: dict[str, Any] = {
        "token_id": YES,
        "bids": levels(bids),
        "asks": levels(asks),
        "revision": 1,
        "at_ms": NOW_MS - 100,
        "venue_ts_ms": NOW_MS - 150,
    }
    return BookSnapshot(**(facts | changes))


def levels(text: str) -> tuple[Level, ...]:
    return tuple(Level(micro(price), micro(size)) for price, size in (pair.split(":") for pair in text.split()))


def a_view(book: BookSnapshot | None = None, *, tier: QuoteTier = QuoteTier.FRESH, age_ms: int = 100) -> BookView:
    return BookView(book=book or a_book(), age_ms=age_ms, tier=tier)
