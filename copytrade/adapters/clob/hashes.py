"""The venue's hash of a book, and what of a market goes into it.

SHA-1 over a compact summary (recipe of `generate_orderbook_summary_hash` in the venue's own client). Recorded
price changes carry it for the book after them, though a document calls it an order's. The feed omits some
of what is hashed, and announces a trade's price up to a tenth of a second after the hash that includes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import json

from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from copytrade.adapters.clob.wire import MarketMessage, WireBook
    from copytrade.domain.book_history import Quote
    from copytrade.domain.units import Shares

PRICES_CACHED: Final = 10_000
TRADE_PRICES_KEPT: Final = 4
TRADE_PRICE_STEP: Final = Decimal("0.001")
"""The hash has a market's last price with three decimals, a trade is announced with as many as it needs."""


class Verdict(Enum):
    """What a hash says of our book."""

    OK = auto()
    UNKNOWN = auto()
    FAILED = auto()


@dataclass(slots=True)
class Terms:
    """What the hash needs of a market beside its books, each as the venue writes it, None while not known."""

    tick_size: str | None = None
    min_order_size: str | None = None
    neg_risk: bool | None = None
    trade_prices: tuple[str, ...] = ()
    """The last ones as announced, newest first; "" before the first trade."""

    def learn(self, book: WireBook | MarketMessage) -> None:
        """Take what a full book says; the socket's leave some of it out."""
        self.tick_size = book.tick_size or self.tick_size
        self.min_order_size = book.min_order_size or self.min_order_size
        self.neg_risk = self.neg_risk if book.neg_risk is None else book.neg_risk
        if book.last_trade_price is not None:
            self.note_trade(book.last_trade_price)

    def hear(self, message: MarketMessage) -> None:
        """Take what a message other than a book announces."""
        if message.event_type == "tick_size_change":
            self.tick_size = message.new_tick_size
        elif message.event_type == "last_trade_price":
            self.note_trade(message.price)

    def note_trade(self, price: str) -> None:
        """Remember a price that may be the market's last."""
        if self.trade_prices[:1] != (price,):
            others = [other for other in self.trade_prices if other != price]
            self.trade_prices = (price, *others[: TRADE_PRICES_KEPT - 1])

    @property
    def are_known(self) -> bool:
        """Whether a hash can be made of them."""
        return None not in {self.tick_size, self.min_order_size, self.neg_risk} and bool(self.trade_prices)


def verdict(
    levels: Mapping[Quote, Shares], terms: Terms, *, market: str, token_id: str, timestamp: str, expected: str
) -> Verdict:
    """Hold a book against the hash the venue gave for it."""
    if not expected or not market or not terms.are_known:
        return Verdict.UNKNOWN
    found = hashes(levels, terms, market=market, token_id=token_id, timestamp=timestamp)
    return Verdict.OK if expected in found else Verdict.FAILED


def hashes(
    levels: Mapping[Quote, Shares], terms: Terms, *, market: str, token_id: str, timestamp: str
) -> Iterator[str]:
    """Yield the book's hash with each price that may be the market's last."""
    summary = {
        "market": market,
        "asset_id": token_id,
        "timestamp": timestamp,
        "hash": "",
        "bids": [{"price": _price(quote), "size": _plain(levels[quote])} for quote in sorted(levels) if quote > 0],
        "asks": [{"price": _price(-quote), "size": _plain(levels[quote])} for quote in sorted(levels) if quote < 0],
        "min_order_size": terms.min_order_size,
        "tick_size": terms.tick_size,
        "neg_risk": terms.neg_risk,
    }
    for price in dict.fromkeys(map(_in_thousandths, terms.trade_prices)):
        yield hashlib.sha1(json.encode({**summary, "last_trade_price": price}), usedforsecurity=False).hexdigest()


def _in_thousandths(price: str) -> str:
    try:
        return price and str(Decimal(price).quantize(TRADE_PRICE_STEP))
    except InvalidOperation:
        return price


@lru_cache(maxsize=PRICES_CACHED)
def _price(micro: int) -> str:
    return _plain(micro)


def _plain(micro: int) -> str:
    """Return what `format_micro` does without zeros at the end, several times as fast: levels are many."""
    whole, fraction = divmod(micro, MICRO)
    return f"{whole}.{fraction:06d}".rstrip("0") if fraction else str(whole)
