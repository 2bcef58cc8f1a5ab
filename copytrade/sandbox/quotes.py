"""Books as the CLOB spells them, with the venue's book hash."""

from __future__ import annotations

from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.book import Level
from copytrade.sandbox.exchange import Exchange
from copytrade.sandbox.market import Market
from copytrade.sandbox.micro import decimal_text, fixed_text, lots_down, parse_micro

LAST_TRADE_DECIMALS = 3
EMPTY_BID = "0"
EMPTY_ASK = "1"


def summary(exchange: Exchange, market: Market, outcome: int, *, at_ms: int | None = None) -> dict[str, Any]:
    """Return the full book summary of an outcome, keys in the order the hash needs.

    `at_ms` overrides the timestamp, which otherwise is the book's last change.
    """
    bids, asks = exchange.book(market).view(outcome)
    stamp = exchange.changed_ms(market) if at_ms is None else at_ms
    payload: dict[str, Any] = {
        "market": market.condition,
        "asset_id": str(market.tokens[outcome]),
        "timestamp": str(stamp),
        "hash": "",
        "bids": _levels(bids),
        "asks": _levels(asks),
        "min_order_size": decimal_text(market.min_size),
        "tick_size": decimal_text(market.tick),
        "neg_risk": market.neg_risk,
        "last_trade_price": last_trade_text(exchange, market),
    }
    payload["hash"] = digest.book_hash(payload)
    return payload


def last_trade_text(exchange: Exchange, market: Market) -> str:
    """Return the market-level last trade price, the same on both outcomes; "" before one."""
    price = exchange.last_trade(market)
    return "" if price is None else fixed_text(price, decimals=LAST_TRADE_DECIMALS)


def touch(exchange: Exchange, market: Market, outcome: int) -> tuple[str, str]:
    """Return best bid and best ask as messages quote them; an empty side is 0 or 1."""
    bids, asks = exchange.book(market).view(outcome)
    return _best(bids) or EMPTY_BID, _best(asks) or EMPTY_ASK


def _best(levels: list[Level]) -> str | None:
    return next((decimal_text(level.price) for level in reversed(levels) if lots_down(level.size)), None)


def _levels(levels: list[Level]) -> list[dict[str, str]]:
    """Spell levels; less than 0.01 share is not shown."""
    return [
        {"price": decimal_text(level.price), "size": decimal_text(lots_down(level.size))}
        for level in levels
        if lots_down(level.size)
    ]


def parse_price(text: str) -> int:
    """Read a price of a summary back into micro-units."""
    return parse_micro(text)
