"""What is fed with bytes of any kind: each reader of foreign input, and the arithmetic of orders.

A target says what became of its input, and raises only where our code is wrong: an error that nobody
documented, or a value that was let through and cannot be right.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated
from unittest.mock import patch

import msgspec
from pydantic import TypeAdapter, ValidationError

from copytrade.adapters.clob.feed import Feed
from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.clob.wire import MalformedFrameError, decode_books, levels_of, timestamp_ms
from copytrade.adapters.data_api import activity_decode
from copytrade.adapters.data_api import decode as data_api
from copytrade.adapters.feeds.sockets import SubscriptionRefused
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.adapters.gamma import decode as gamma
from copytrade.adapters.gamma import details as gamma_details
from copytrade.adapters.gamma.amounts import NotAPageError, NoTokensError
from copytrade.adapters.polygon import decode as polygon
from copytrade.adapters.polygon import reading
from copytrade.adapters.polygon.node import parse_header
from copytrade.adapters.polygon.receipts import MalformedReceiptError, is_all_there_is
from copytrade.adapters.polygon.rpc import Endpoint, RpcError
from copytrade.adapters.rtds import decode as rtds
from copytrade.adapters.sql.columns import REAL_EXACT_MAX
from copytrade.domain.fills import Sighting
from copytrade.domain.units import MICRO
from copytrade.ports.clock import Clock
from copytrade.settings import ConfigurationError, Settings, load, loading
from tests.fuzz import account, orders
from tests.fuzz.outcomes import IGNORED, REFUSED, TAKEN

Target = Callable[[bytes], str]

EXCHANGE = "0xe111180000d2663c0091e4f400237545b87b996b"
EXCHANGE_V1 = "0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e"
LEADER = "0x" + "1e" * 20
MARKET, YES, NO = "0x" + "ab" * 32, "7" * 76 + "1", "7" * 76 + "2"
NOW_MS = 1_795_000_000_000
INT64_MAX = 2**63 - 1
SETTINGS = sorted(Settings.model_fields)
SECRET = "hunter2"
"""In every setting that is tried, and in no message about one."""

_DECODERS = polygon.registry((EXCHANGE,), (EXCHANGE_V1,))


class StandingClock(Clock):
    """A clock that stands."""

    def now_ms(self) -> int:
        return NOW_MS

    def monotonic_ms(self) -> int:
        return 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(0)


def chain_log(data: bytes) -> str:
    """One log of the chain, as JSON."""
    try:
        log = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return REFUSED
    if not isinstance(log, dict):
        return REFUSED
    reading.ref_of(log)
    reading.payload_of(log)
    try:
        decoded = polygon.decode_log(log, _DECODERS)
    except polygon.MalformedLogError as error:
        return _refused(error.reason)
    _check(decoded.sighting(log, fill_ts_ms=NOW_MS, detected_at_ms=NOW_MS))
    return TAKEN


def chain_answer(data: bytes) -> str:
    """A node's answer to a call, and what a header or receipts in it would be taken for."""
    endpoint = Endpoint(f"http://node.test/{SECRET}", client=None)  # type: ignore[arg-type]
    try:
        result = endpoint._result_of(200, None, data)
    except RpcError as error:
        return _refused(str(error), without=SECRET)
    header = parse_header(result)
    if isinstance(result, list):
        try:
            _runner().run(is_all_there_is(result, "0x" + "00" * 32))
        except MalformedReceiptError:
            return REFUSED
    return IGNORED if header is None else TAKEN


def market_frame(data: bytes) -> str:
    """A frame of the market socket, after a book."""
    return _runner().run(_market_frame(data))


async def _market_frame(data: bytes) -> str:
    notes: list[str] = []
    shelf = Shelf(
        clock=StandingClock(),
        history_ms=60_000,
        note=lambda code, detail: notes.append(code),
        on_doubt=lambda tracked: None,
        on_parted=lambda token_id: None,
    )
    shelf.add(YES, NO)
    feed = Feed(
        shelf=shelf,
        note=lambda code, detail: notes.append(code),
        on_event=lambda event: None,
        forget=lambda token_id: None,
    )
    feed.apply_frame(BOOK_FRAME)
    before = shelf.books[YES].book.revision
    try:
        is_ours = feed.apply_frame(data)
    except MalformedFrameError:
        assert notes
        return REFUSED
    for tracked in shelf.books.values():
        assert all(0 < abs(quote) < MICRO and size > 0 for quote, size in tracked.book.levels.items())
        if tracked.settle_timer is not None:
            tracked.settle_timer.cancel()
    if notes:
        return REFUSED
    return TAKEN if is_ours or shelf.books[YES].book.revision != before else IGNORED


BOOK_FRAME = json.dumps(
    [
        {
            "event_type": "book",
            "market": MARKET,
            "asset_id": YES,
            "timestamp": str(NOW_MS - 1_000),
            "hash": "0" * 40,
            "bids": [{"price": "0.48", "size": "30"}, {"price": "0.49", "size": "20"}],
            "asks": [{"price": "0.53", "size": "10"}, {"price": "0.52", "size": "25"}],
        }
    ]
).encode()


def stream_frame(data: bytes) -> str:
    """A frame of the live stream."""
    try:
        texts = rtds.split_frame(data)
        for text in texts:
            row = rtds.parse_row(rtds.parse_message(text))
            _check(row.sighting("key", detected_at_ms=NOW_MS))
    except (MalformedError, SubscriptionRefused):
        return REFUSED
    return TAKEN if texts else IGNORED


def data_api_page(data: bytes) -> str:
    """A page of the Data API, read as trades, as doings and as holdings."""
    try:
        page = data_api.parse_page(data)
    except data_api.NotAnEnvelope:
        return REFUSED
    outcomes = {_data_api_row(row) for row in page.rows}
    for row in page.rows:
        for parse in (
            functools.partial(activity_decode.parse_event, detected_at_ms=NOW_MS),
            activity_decode.parse_holding,
        ):
            try:
                parse(row, LEADER)
            except MalformedError as error:
                _refused(error.reason)
    return next((one for one in (REFUSED, TAKEN) if one in outcomes), IGNORED)


def _data_api_row(row: object) -> str:
    try:
        trade = data_api.parse_row(row, LEADER)
    except MalformedError as error:
        data_api.payload_of(row)
        return _refused(error.reason)
    if trade is None:
        return IGNORED
    _check(trade.sighting(0, detected_at_ms=NOW_MS))
    return TAKEN


def gamma_page(data: bytes) -> str:
    """A page of markets."""
    gamma.salvaged_cursor(data)
    try:
        rows, _ = gamma.parse_page(data)
    except NotAPageError:
        return REFUSED
    outcomes = {_gamma_row(row) for row in rows}
    return next((one for one in (REFUSED, TAKEN) if one in outcomes), IGNORED)


def _gamma_row(row: bytes) -> str:
    try:
        market = gamma.parse_listing(row, now_ms=NOW_MS).market
    except (NoTokensError, ValueError) as error:
        return _refused(str(error))
    assert 0 < market.tick_size < MICRO
    assert 0 <= market.min_order_size <= REAL_EXACT_MAX
    assert 0 <= market.fees.rate <= REAL_EXACT_MAX
    assert 0 <= market.taker_delay_ms <= INT64_MAX
    assert market.tokens
    return TAKEN


def clob_details(data: bytes) -> str:
    """What the CLOB says of one market."""
    try:
        market = gamma_details.market_of_details(gamma_details.parse_details(data), now_ms=NOW_MS)
    except (NotAPageError, ValueError):
        return REFUSED
    assert 0 < market.tick_size < MICRO
    return TAKEN


def clob_books(data: bytes) -> str:
    """An answer with books."""
    try:
        books, rejected = decode_books(data)
    except MalformedFrameError:
        return REFUSED
    is_refused = bool(rejected)
    for book in books:
        try:
            levels = levels_of(book.bids, book.asks)
            timestamp_ms(book.timestamp)
        except ValueError:
            is_refused = True
            continue
        assert all(0 < abs(quote) < MICRO and size > 0 for quote, size in levels.items())
    if is_refused:
        return REFUSED
    return TAKEN if books else IGNORED


def settings(data: bytes) -> str:
    """One variable of the environment: its name by the first byte, the rest its value."""
    value = data[1:].decode("utf-8", errors="surrogateescape").replace("\0", "")
    name = SETTINGS[data[0] % len(SETTINGS)].upper() if data else SETTINGS[0].upper()
    with patch.dict(os.environ, {name: value}, clear=True), contextlib.chdir(_empty_folder()):
        try:
            loaded = load()
        except ConfigurationError as error:
            return _refused(str(error), without=SECRET if f":{SECRET}@" in value else None)
    for field in Settings.model_fields:
        setting = getattr(loaded, field)
        assert not isinstance(setting, int) or isinstance(setting, bool) or abs(setting) <= INT64_MAX, field
    return TAKEN


def setting_value(data: bytes) -> str:
    """The same, read by itself: a thousand times as many in a minute."""
    name = SETTINGS[data[0] % len(SETTINGS)] if data else SETTINGS[0]
    value = data[1:].decode("utf-8", errors="replace").replace("\0", "")
    try:
        taken = _reader_of(name).validate_python(value)
    except ValidationError as error:
        return _refused(loading._line(name, value, why=error.errors()[0]["msg"]))
    assert not isinstance(taken, int) or isinstance(taken, bool) or abs(taken) <= INT64_MAX
    return TAKEN


@functools.cache
def _reader_of(name: str) -> TypeAdapter[object]:
    field = Settings.model_fields[name]
    return TypeAdapter(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)


@functools.cache
def _empty_folder() -> Path:
    """Return where no `.env` lies."""
    return Path(tempfile.mkdtemp(prefix="copytrade-fuzz-"))


def _refused(why: str, *, without: str | None = None) -> str:
    """Say that something was refused: always with a reason, in one line, which gives no secret away."""
    assert why, "no reason"
    assert "\n" not in why, why
    assert without is None or without not in why, why
    return REFUSED


def _check(sighting: Sighting) -> None:
    """Whatever is let through can be stored: in bounds, and its payload is JSON."""
    fill = sighting.fill
    assert 0 < fill.price <= MICRO, fill.price
    assert 0 < fill.size <= INT64_MAX
    assert 0 <= fill.usdc <= INT64_MAX
    assert fill.fee is None or 0 <= fill.fee <= INT64_MAX
    assert fill.tx_hash == fill.tx_hash.lower()
    assert len(fill.tx_hash) == 66
    assert fill.token_id.isdigit()
    assert fill.place is None or 0 <= fill.place.block_number <= INT64_MAX
    json.loads(sighting.payload.encode())


@functools.cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        chain_log,
        chain_answer,
        market_frame,
        stream_frame,
        data_api_page,
        gamma_page,
        clob_details,
        clob_books,
        account.user_frame,
        account.account_row,
        account.order_answer,
        settings,
        setting_value,
        orders.order_amounts,
        orders.decimals,
    )
}
