"""Frames of the CLOB market socket (docs.polymarket.com "Market channel", and recordings)."""

from __future__ import annotations

from typing import Any

from copytrade.sandbox import quotes
from copytrade.sandbox.book import own_price
from copytrade.sandbox.events import BUY
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.happening import (
    BookChanged,
    MarketOpened,
    MarketResolved,
    TickChanged,
    TradePrinted,
)
from copytrade.sandbox.market import NO, YES, Market
from copytrade.sandbox.micro import decimal_text, lots_down

SIDES = ("BUY", "SELL")

Frame = dict[str, Any]


def book(exchange: Exchange, market: Market, outcome: int) -> Frame:
    """Return the `book` sent on subscribing."""
    full = quotes.summary(exchange, market, outcome)
    names = ("market", "asset_id", "timestamp", "hash", "bids", "asks", "tick_size")
    frame = {name: full[name] for name in names}
    frame["event_type"] = "book"
    frame["last_trade_price"] = full["last_trade_price"]
    return _with_version(frame, market)


def book_after_trade(exchange: Exchange, market: Market, outcome: int, *, at_ms: int) -> Frame:
    """Return the `book` sent after a trade, which lacks tick size and last trade price."""
    full = quotes.summary(exchange, market, outcome, at_ms=at_ms)
    names = ("market", "asset_id", "bids", "asks", "hash", "timestamp")
    frame = {name: full[name] for name in names}
    frame["event_type"] = "book"
    return _with_version(frame, market)


def price_changes(exchange: Exchange, happening: BookChanged) -> list[Frame]:
    """Return one message per level change, each with both outcomes.

    All of them carry the hash of the book after the last one, as the venue sends them; a
    receiver that applies them one by one sees a crossed book in between.
    """
    market = happening.market
    both = {
        outcome: (
            quotes.summary(exchange, market, outcome, at_ms=happening.at_ms)["hash"],
            *quotes.touch(exchange, market, outcome),
        )
        for outcome in (YES, NO)
    }
    return [
        {
            "market": market.condition,
            "price_changes": [
                {
                    "asset_id": str(market.tokens[outcome]),
                    "price": decimal_text(own_price(change.price, outcome)),
                    "size": decimal_text(lots_down(change.size)),
                    "side": SIDES[BUY if change.is_bid == (outcome == YES) else 1],
                    "hash": both[outcome][0],
                    "best_bid": both[outcome][1],
                    "best_ask": both[outcome][2],
                }
                for change in message
                for outcome in (YES, NO)
            ],
            "timestamp": str(happening.at_ms),
            "event_type": "price_change",
        }
        for message in happening.messages
    ]


def best_bid_ask(exchange: Exchange, market: Market, outcome: int, *, at_ms: int) -> Frame:
    """Return the touch of one token, which sockets with custom features are sent."""
    bid, ask = quotes.touch(exchange, market, outcome)
    return {
        "event_type": "best_bid_ask",
        "market": market.condition,
        "asset_id": str(market.tokens[outcome]),
        "best_bid": bid,
        "best_ask": ask,
        "spread": decimal_text(quotes.parse_price(ask) - quotes.parse_price(bid)),
        "timestamp": str(at_ms),
    }


def last_trade(happening: TradePrinted) -> Frame:
    """Return the print of a settlement: the taker's token, side and total size."""
    market = happening.market
    return {
        "market": market.condition,
        "asset_id": str(market.tokens[happening.outcome]),
        "price": decimal_text(happening.price),
        "size": decimal_text(happening.size),
        "fee_rate_bps": "0",
        "side": SIDES[happening.side],
        "timestamp": str(happening.at_ms),
        "event_type": "last_trade_price",
        "transaction_hash": happening.tx_hash,
    }


def tick_change(happening: TickChanged) -> list[Frame]:
    """Return `tick_size_change` for both tokens, each twice, as recorded."""
    market = happening.market
    return [
        {
            "market": market.condition,
            "asset_id": str(token),
            "old_tick_size": decimal_text(happening.old_tick),
            "new_tick_size": decimal_text(market.tick),
            "timestamp": str(happening.at_ms),
            "event_type": "tick_size_change",
        }
        for token in market.tokens
        for _ in range(2)
    ]


def new_market(happening: MarketOpened) -> Frame:
    """Return the announcement of a market; there is no version key, numbers are strings."""
    market = happening.market
    tokens = [str(token) for token in market.tokens]
    group = market.group
    return {
        "id": market.market_id,
        "question": market.question,
        "market": market.condition,
        "slug": market.slug,
        "description": market.question,
        "assets_ids": tokens,
        "outcomes": list(market.outcomes),
        "event_message": {
            "id": group.event_id,
            "ticker": group.slug,
            "slug": group.slug,
            "title": group.title,
            "description": group.title,
        },
        "timestamp": str(happening.at_ms),
        "event_type": "new_market",
        "tags": [label for label, _ in group.tags],
        "condition_id": market.condition,
        "active": True,
        "clob_token_ids": tokens,
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": decimal_text(market.tick),
        "group_item_title": "",
        "taker_base_fee": "1000",
        "fees_enabled": market.fees.rate > 0,
        "fee_schedule": {
            "exponent": str(market.fees.exponent),
            "rate": decimal_text(market.fees.rate),
            "taker_only": True,
            "rebate_rate": decimal_text(market.fees.rebate),
        },
    }


def resolved(happening: MarketResolved) -> Frame:
    """Return the announcement of a result."""
    market = happening.market
    won = happening.winner is not None
    winner = happening.winner or 0
    return {
        "id": market.market_id,
        "market": market.condition,
        "assets_ids": [str(token) for token in market.tokens],
        "winning_asset_id": str(market.tokens[winner]) if won else "",
        "winning_outcome": market.outcomes[winner] if won else "",
        "event_message": None,
        "timestamp": str(happening.at_ms),
        "event_type": "market_resolved",
        "tags": [label for label, _ in market.group.tags],
    }


def _with_version(frame: Frame, market: Market) -> Frame:
    return {**frame, "version": "v2"} if market.version == "v2" else frame
