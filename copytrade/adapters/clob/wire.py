"""Market data as the venue writes it, and its exact reading into integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from copytrade.domain.units import MICRO, parse_micro

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.order_book import Quote
    from copytrade.domain.units import Millis, Price, Shares

KNOWN_KINDS: Final = frozenset(
    {"book", "price_change", "last_trade_price", "tick_size_change", "best_bid_ask", "new_market", "market_resolved"}
)
CACHED_TEXTS_MAX: Final = 20_000
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
SIZE_LIMIT: Final = 2**63
"""The history keeps sizes in 64 bits."""
EARLIEST_MS: Final = 10**12
"""Timestamps below this are seconds (the user channel's examples have both)."""


class MalformedFrameError(Exception):
    """A frame is no JSON, or no object or array of objects."""


class WireLevel(msgspec.Struct, gc=False):
    """A price and the shares resting there."""

    price: str
    size: str


class WireChange(msgspec.Struct, gc=False):
    """The new size at one price of one token, and the best prices after it ("0" and "1" for an empty side)."""

    price: str
    size: str
    side: str
    asset_id: str = ""
    best_bid: str = ""
    best_ask: str = ""


class WireBook(msgspec.Struct, gc=False):
    """A full book from REST; `timestamp` is its last change, not the time of the answer."""

    asset_id: str
    timestamp: str
    bids: list[WireLevel] = []
    asks: list[WireLevel] = []


class MarketMessage(msgspec.Struct, gc=False):
    """Any message of the market socket: one shape for all kinds decodes faster than a tagged union.

    `price_changes` is today's form of a price change; `changes`, and `price` with `size` and `side`, are the
    two older ones.
    """

    event_type: str = ""
    market: str = ""
    asset_id: str = ""
    timestamp: str = ""
    price_changes: list[WireChange] = []
    changes: list[WireChange] = []
    bids: list[WireLevel] = []
    asks: list[WireLevel] = []
    price: str = ""
    size: str = ""
    side: str = ""
    best_bid: str = ""
    best_ask: str = ""
    new_tick_size: str = ""
    assets_ids: list[str] = []
    winning_asset_id: str | None = None


class _Kind(msgspec.Struct):
    event_type: str = ""


_decode_frame = msgspec.json.Decoder(MarketMessage | list[MarketMessage]).decode
_decode_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(MarketMessage).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_books = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_book = msgspec.json.Decoder(WireBook).decode


def decode_frame(frame: bytes) -> tuple[Sequence[MarketMessage], Sequence[bytes]]:
    """Return the messages of a frame, and the parts that claim a known kind but are not of its shape.

    :raises MalformedFrameError: nothing can be told from the frame.
    """
    try:
        decoded = _decode_frame(frame)
    except msgspec.ValidationError:
        pass
    except UNREADABLE as error:
        raise MalformedFrameError(str(error)) from error
    else:
        return (decoded if isinstance(decoded, list) else (decoded,)), ()
    try:
        return _decode_each(frame)
    except UNREADABLE as error:
        raise MalformedFrameError(str(error)) from error


def decode_books(body: bytes) -> tuple[list[WireBook], list[bytes]]:
    """Return the books of a `POST /books` answer, and the parts that are none.

    :raises MalformedFrameError: the answer is no JSON array.
    """
    books: list[WireBook] = []
    rejected: list[bytes] = []
    try:
        parts = _decode_books(body)
    except UNREADABLE as error:
        raise MalformedFrameError(str(error)) from error
    for part in parts:
        try:
            books.append(_decode_book(part))
        except UNREADABLE:
            rejected.append(bytes(part))
    return books, rejected


def decode_book(body: bytes) -> WireBook:
    """Return the book of a `GET /book` answer.

    :raises MalformedFrameError: it is none.
    """
    try:
        return _decode_book(body)
    except UNREADABLE as error:
        raise MalformedFrameError(str(error)) from error


def _decode_each(frame: bytes) -> tuple[Sequence[MarketMessage], Sequence[bytes]]:
    messages: list[MarketMessage] = []
    rejected: list[bytes] = []
    parts = [frame]
    if frame.lstrip().startswith(b"["):
        parts = [bytes(part) for part in _decode_parts(frame)]
    for part in parts:
        try:
            messages.append(_decode_one(part))
        except msgspec.ValidationError:
            kind = _kind_of(part)
            if kind in KNOWN_KINDS:
                rejected.append(part)
            else:
                messages.append(MarketMessage(event_type=kind))
    return messages, rejected


def _kind_of(part: bytes) -> str:
    try:
        return _decode_kind(part).event_type
    except msgspec.ValidationError:
        return ""


def timestamp_ms(text: str) -> Millis:
    """Return a venue timestamp in milliseconds.

    :raises ValueError: it is no number.
    """
    stamp = int(text)
    return stamp if stamp >= EARLIEST_MS else stamp * 1000


class _Sizes(dict[str, "Shares"]):
    """Sizes by their text, read once; both outcomes of a market carry the same text."""

    def __missing__(self, text: str) -> Shares:
        size = _parse_plain(text)
        if not 0 <= size < SIZE_LIMIT:
            raise ValueError(f"not a size: {text!r}")
        if len(self) >= CACHED_TEXTS_MAX:
            self.clear()
        self[text] = size
        return size


class _Quotes(dict[str, "Quote"]):
    """Quotes of one side by the text of their price, read once."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self._sign = sign

    def __missing__(self, text: str) -> Quote:
        price = _parse_plain(text)
        if not 0 < price < MICRO:
            raise ValueError(f"not a price between 0 and 1: {text!r}")
        if len(self) >= CACHED_TEXTS_MAX:
            self.clear()
        quote = self[text] = self._sign * price
        return quote


BIDS: Final = _Quotes(1)
ASKS: Final = _Quotes(-1)
SIZES: Final = _Sizes()
QUOTES_OF_SIDE: Final[Mapping[str, Mapping[str, Quote]]] = {"BUY": BIDS, "SELL": ASKS}
"""By side, then by the text of the price; raises KeyError for another side, ValueError for a bad price."""


def levels_of(bids: Sequence[WireLevel], asks: Sequence[WireLevel]) -> dict[Quote, Shares]:
    """Return the levels of a full book; of a price that is listed twice, the last counts.

    :raises ValueError: a price or a size is not a number in its range.
    """
    levels = {BIDS[level.price]: SIZES[level.size] for level in bids}
    for level in asks:
        levels[ASKS[level.price]] = SIZES[level.size]
    return levels if all(levels.values()) else {quote: size for quote, size in levels.items() if size}


def best_price(text: str) -> Price | None:
    """Return a best price that a message carries, None for an empty side.

    :raises ValueError: not a price.
    """
    price = BIDS.get(text)
    if price is None:
        price = _parse_plain(text)
    return price if 0 < price < MICRO else None


def _parse_plain(text: str) -> int:
    """Return what `parse_micro` returns, faster for plain decimals."""
    whole, _, fraction = text.partition(".")
    if len(fraction) <= 6 and text.isascii() and (whole + fraction).isdecimal():
        return int(whole + fraction.ljust(6, "0"))
    return parse_micro(text)
