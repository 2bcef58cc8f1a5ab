"""Market data as the venue writes it, and its exact reading into integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias, get_args

import msgspec

from copytrade.domain.book_history import mirrored_quote
from copytrade.domain.units import MICRO, parse_micro

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.book_history import Quote
    from copytrade.domain.units import Millis, Price, Shares

Kind: TypeAlias = Literal[
    "book", "price_change", "last_trade_price", "tick_size_change", "best_bid_ask", "new_market", "market_resolved"
]
KNOWN_KINDS: Final = frozenset(get_args(Kind))
CACHED_TEXTS_MAX: Final = 20_000
PLAIN_BYTES_MAX: Final = 1_000
"""A price change of both outcomes has some 600 bytes; longer frames are mostly full books."""
PLAIN_SIZE_LIMIT: Final = 10**9
"""Decimals of up to fifteen digits survive being read as a float: six after the point, nine before it."""
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
SIZE_LIMIT: Final = 2**63
"""The history keeps sizes in 64 bits."""
EARLIEST_MS: Final = 10**12
LATEST_MS: Final = 4 * 10**12
"""A stamp beyond 2096 is in another unit or none; believed, it would make every later message an old one."""
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
    hash: str = ""


class WireBook(msgspec.Struct, gc=False):
    """A full book from REST; `timestamp` is its last change, not the time of the answer."""

    asset_id: str
    timestamp: str
    market: str = ""
    bids: list[WireLevel] = []
    asks: list[WireLevel] = []
    tick_size: str | None = None
    min_order_size: str | None = None
    neg_risk: bool | None = None
    last_trade_price: str | None = None


class PlainChange(msgspec.Struct, gc=False):
    """What moves a book of a change; `size` is still to be held against an exact number."""

    asset_id: str
    price: str
    size: Annotated[float, msgspec.Meta(lt=PLAIN_SIZE_LIMIT)]
    side: Literal["BUY", "SELL"]


class PlainFrame(msgspec.Struct, gc=False):
    """A frame with one change of a market, told once for each outcome: nearly all that the venue sends.

    Of any other known kind there are no changes here; it is not worth an error, which would cost more than reading it.
    """

    timestamp: Annotated[int, msgspec.Meta(ge=EARLIEST_MS, le=LATEST_MS)]
    event_type: Kind
    price_changes: tuple[PlainChange, PlainChange] | None = None


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
    tick_size: str | None = None
    min_order_size: str | None = None
    neg_risk: bool | None = None
    last_trade_price: str | None = None
    assets_ids: list[str] = []
    winning_asset_id: str | None = None


class Head(msgspec.Struct, gc=False):
    """What tells full books apart without reading them."""

    event_type: str
    asset_id: str
    timestamp: str


class _Kind(msgspec.Struct):
    event_type: str = ""


decode_plain = msgspec.json.Decoder(PlainFrame, strict=False).decode
"""Return a frame of that one shape; raises one of UNREADABLE if it is any other."""

decode_head = msgspec.json.Decoder(Head).decode
"""Return the head of a message that is not in an array; raises one of UNREADABLE if there is none."""
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


def last_changes(carried: bytes | MarketMessage) -> tuple[MarketMessage, dict[str, WireChange]]:
    """Return an applied message of price changes and the last of them about each token."""
    message = _decode_one(carried) if isinstance(carried, bytes) else carried
    changes = message.price_changes or old_changes(message)
    return message, {change.asset_id or message.asset_id: change for change in changes}


def old_changes(message: MarketMessage) -> Sequence[WireChange]:
    """Return the changes of the two forms used before September 2025.

    :raises ValueError: it is neither of them.
    """
    if message.changes:
        return message.changes
    if not (message.price and message.size and message.side):
        raise ValueError("a price_change without changes")
    return (WireChange(price=message.price, size=message.size, side=message.side),)


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

    :raises ValueError: it is no time.
    """
    stamp = int(text)
    if not 0 <= stamp <= LATEST_MS:
        raise ValueError(f"not a time: {text[:30]!r}")
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


class _MirroredQuotes(dict[str, "Quote"]):
    """The same for the other outcome of a market, in quotes of the first."""

    def __init__(self, quotes: _Quotes) -> None:
        super().__init__()
        self._quotes = quotes

    def __missing__(self, text: str) -> Quote:
        if len(self) >= CACHED_TEXTS_MAX:
            self.clear()
        quote = self[text] = mirrored_quote(self._quotes[text])
        return quote


BIDS: Final = _Quotes(1)
ASKS: Final = _Quotes(-1)
SIZES: Final = _Sizes()
QuotesOfSide: TypeAlias = "Mapping[str, Mapping[str, Quote]]"
"""Quotes by side, then by the text of the price; raises KeyError for another side, ValueError for a bad price."""
QUOTES_OF_SIDE: Final[QuotesOfSide] = {"BUY": BIDS, "SELL": ASKS}
MIRRORED_QUOTES_OF_SIDE: Final[QuotesOfSide] = {"BUY": _MirroredQuotes(BIDS), "SELL": _MirroredQuotes(ASKS)}


def levels_of(bids: Sequence[WireLevel], asks: Sequence[WireLevel]) -> dict[Quote, Shares]:
    """Return the levels of a full book; of a price that is listed twice, the last counts.

    :raises ValueError: a price or a size is not a number in its range.
    """
    bid_at, ask_at, size_of = BIDS, ASKS, SIZES
    levels = {bid_at[level.price]: size_of[level.size] for level in bids}
    for level in asks:
        levels[ask_at[level.price]] = size_of[level.size]
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
