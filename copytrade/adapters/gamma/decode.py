"""From what Gamma and the CLOB say of a market to our `Market`, exactly: numbers never pass through a float."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from copytrade.domain.market import NO_FEES, UNKNOWN_CATEGORY, FeeSchedule, Market, OutcomeToken
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Price

TAKER_DELAY_MS: Final = 150
"""Of markets with `itode` since 2026-09-04 (changelog; the concept page still says 250)."""
CENT: Final[Price] = 10_000
MIN_ORDER_SHARES: Final = 5 * MICRO
VERSIONS: Final = frozenset({"v1", "v2"})
AMOUNT_MAX: Final = Decimal(10**9)
RESERVED_BITS: Final = ((1 << 64) - 1) << 40
"""Zero in Protocol V2 position ids."""


class NotAPageError(Exception):
    """A body is not what the route answers."""


class NoTokensError(ValueError):
    """A market from before the order book: it has no outcome tokens to trade."""


class _Fees(msgspec.Struct):
    rate: Decimal = Decimal(0)
    exponent: Decimal = Decimal(1)


class _Tag(msgspec.Struct):
    label: str | None = None
    slug: str | None = None


class _Event(msgspec.Struct):
    slug: str | None = None
    tags: list[_Tag] | None = None


class _GammaRow(msgspec.Struct, rename="camel"):
    condition_id: str
    question: str | None = None
    slug: str | None = None
    version: str | None = None
    outcomes: str | list[str] | None = None
    outcome_prices: str | list[str] | None = None
    clob_token_ids: str | list[str] | None = None
    position_ids: str | list[str] | None = None
    end_date: str | None = None
    active: bool | None = None
    closed: bool | None = None
    archived: bool | None = None
    enable_order_book: bool | None = None
    accepting_orders: bool | None = None
    neg_risk: bool | None = None
    order_price_min_tick_size: Decimal | None = None
    order_min_size: Decimal | None = None
    fees_enabled: bool | None = None
    fee_schedule: _Fees | None = None
    fee_type: str | None = None
    seconds_delay: Decimal | None = None
    uma_resolution_status: str | None = None
    uma_resolution_statuses: str | list[str] | None = None
    resolution_status: str | None = None
    events: list[_Event] | None = None
    tags: list[_Tag] | None = None


class _Page(msgspec.Struct):
    markets: list[msgspec.Raw]
    next_cursor: str | None = None


class _ClobFees(msgspec.Struct):
    r: Decimal = Decimal(0)
    e: Decimal = Decimal(1)


class _ClobToken(msgspec.Struct):
    t: str
    o: str


class ClobDetails(msgspec.Struct):
    """A market as `/clob-markets` has it: fresher than Gamma, without titles; false values are omitted."""

    c: str
    t: list[_ClobToken]
    mts: Decimal
    mos: Decimal = Decimal(5)
    fd: _ClobFees | None = None
    ao: bool = False
    nr: bool = False
    itode: bool = False
    sd: Decimal | None = None
    v: str = "v1"


class _ByToken(msgspec.Struct):
    condition_id: str


_decode_page = msgspec.json.Decoder(_Page | list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(_GammaRow).decode
_decode_details = msgspec.json.Decoder(ClobDetails).decode
_decode_by_token = msgspec.json.Decoder(_ByToken).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def parse_page(body: bytes) -> tuple[list[bytes], str | None]:
    """Return a page's rows, unread, and the cursor of the next; the older list routes have none.

    :raises NotAPageError: it is no page.
    """
    try:
        page = _decode_page(body)
    except _UNREADABLE as error:
        raise NotAPageError(str(error)) from error
    if isinstance(page, list):
        return [bytes(row) for row in page], None
    return [bytes(row) for row in page.markets], page.next_cursor or None


def parse_market(row: bytes, *, now_ms: Millis) -> Market:
    """Return the market in a Gamma row.

    :raises NoTokensError: it has none, so nothing can be traded.
    :raises ValueError: it is not readable (that includes wrong types).
    """
    try:
        raw = _decode_row(row)
    except _UNREADABLE as error:
        raise ValueError(str(error)) from error
    condition_id = padded_condition(raw.condition_id)
    version = raw.version or "v1"
    if version not in VERSIONS:
        raise ValueError(f"protocol version {version!r}")
    outcomes = _texts(raw.outcomes)
    token_ids = _texts(raw.position_ids if version == "v2" else raw.clob_token_ids)
    tick = raw.order_price_min_tick_size
    return Market(
        condition_id=condition_id,
        version=sys.intern(version),
        title=raw.question or "",
        slug=raw.slug or "",
        event_slug=next((event.slug for event in raw.events or () if event.slug), condition_id),
        category=sys.intern(_category(raw)),
        end_date_ms=_millis(raw.end_date),
        # Without a tick no order can be priced: such a market is known, not traded.
        enable_order_book=bool(raw.enable_order_book) and tick is not None,
        accepting_orders=bool(raw.accepting_orders) and raw.active is not False and not raw.archived,
        closed=bool(raw.closed),
        neg_risk=bool(raw.neg_risk),
        tick_size=CENT if tick is None else _tick(tick),
        min_order_size=MIN_ORDER_SHARES if raw.order_min_size is None else _micro(raw.order_min_size),
        fees=_fees(raw),
        taker_delay_ms=_micro(raw.seconds_delay or Decimal(0)) // 1000,
        tokens=_tokens(token_ids, outcomes),
        payouts=_payouts(raw, len(token_ids)),
        updated_at_ms=now_ms,
    )


def parse_details(body: bytes) -> ClobDetails:
    """Return what the CLOB says of a market.

    :raises NotAPageError: it is nothing of the kind.
    """
    try:
        return _decode_details(body)
    except _UNREADABLE as error:
        raise NotAPageError(str(error)) from error


def parse_condition(body: bytes) -> str:
    """Return the condition id of a `/markets-by-token` answer.

    :raises NotAPageError: it has none.
    """
    try:
        return padded_condition(_decode_by_token(body).condition_id)
    except (*_UNREADABLE, ValueError) as error:
        raise NotAPageError(str(error)) from error


def with_details(market: Market, details: ClobDetails, *, now_ms: Millis) -> Market:
    """Return the market with what the CLOB knows better.

    :raises ValueError: the details are not readable.
    """
    return replace(
        market,
        tick_size=_tick(details.mts),
        min_order_size=_micro(details.mos),
        fees=_schedule(details.fd.r, details.fd.e) if details.fd else NO_FEES,
        taker_delay_ms=_delay_ms(details),
        accepting_orders=details.ao,
        enable_order_book=market.enable_order_book or details.ao,
        updated_at_ms=now_ms,
    )


def market_of_details(details: ClobDetails, *, now_ms: Millis) -> Market:
    """Return a market known to the CLOB alone: tradable, but without title, event or end.

    :raises ValueError: the details are not readable.
    """
    condition_id = padded_condition(details.c)
    if details.v not in VERSIONS:
        raise ValueError(f"protocol version {details.v!r}")
    market = Market(
        condition_id=condition_id,
        version=details.v,
        title="",
        slug="",
        event_slug=condition_id,
        category=UNKNOWN_CATEGORY,
        end_date_ms=None,
        enable_order_book=True,
        accepting_orders=details.ao,
        closed=False,
        neg_risk=details.nr,
        tick_size=CENT,
        min_order_size=MIN_ORDER_SHARES,
        fees=NO_FEES,
        taker_delay_ms=0,
        tokens=_tokens([token.t for token in details.t], [token.o for token in details.t]),
        payouts=None,
        updated_at_ms=now_ms,
    )
    return with_details(market, details, now_ms=now_ms)


def padded_condition(text: str) -> str:
    """Return a condition id with 64 digits; Gamma shows those of Protocol V2 with 62.

    :raises ValueError: it is no condition id.
    """
    digits = text.lower().removeprefix("0x")
    if len(digits) not in {62, 64} or not all(digit in "0123456789abcdef" for digit in digits):
        raise ValueError(f"not a condition id: {text!r}")
    return "0x" + digits.ljust(64, "0")


def is_token_id(text: str) -> bool:
    """Whether a text is the decimal of a uint256."""
    return text.isascii() and text.isdecimal() and len(text) <= 78 and 0 < int(text) < 2**256


def is_position_id(token_id: str) -> bool:
    """Whether a token is of Protocol V2 (the official client's rule)."""
    return int(token_id) & RESERVED_BITS == 0


def _texts(value: str | list[str] | None) -> list[str]:
    """Return a list that may come as a list inside a JSON string."""
    if isinstance(value, str):
        try:
            return _decode_texts(value) if value.strip() else []
        except _UNREADABLE as error:
            raise ValueError(f"not a list of texts: {value[:80]!r}") from error
    return value or []


def _tokens(token_ids: list[str], outcomes: list[str]) -> tuple[OutcomeToken, ...]:
    if not token_ids:
        raise NoTokensError("no outcome tokens")
    if len(token_ids) != len(outcomes) or len(set(token_ids)) != len(token_ids):
        raise ValueError(f"{len(token_ids)} tokens for {len(outcomes)} outcomes")
    if not all(map(is_token_id, token_ids)):
        raise ValueError("a token id that is no uint256")
    return tuple(
        OutcomeToken(token_id=token_id, outcome=sys.intern(outcome), outcome_index=index)
        for index, (token_id, outcome) in enumerate(zip(token_ids, outcomes, strict=True))
    )


def _category(raw: _GammaRow) -> str:
    tags = raw.tags or next((event.tags for event in raw.events or () if event.tags), [])
    for tag in tags[:1]:
        if name := tag.slug or tag.label:
            return name.lower()
    prefix = (raw.fee_type or "").partition("_fees")[0]
    return prefix if prefix and prefix != "zero" else UNKNOWN_CATEGORY


def _fees(raw: _GammaRow) -> FeeSchedule:
    if raw.fee_schedule is None or raw.fees_enabled is False:
        return NO_FEES
    return _schedule(raw.fee_schedule.rate, raw.fee_schedule.exponent)


def _schedule(rate: Decimal, exponent: Decimal) -> FeeSchedule:
    if not exponent.is_finite() or not 0 <= exponent <= 10 or exponent != int(exponent):
        raise ValueError(f"fee exponent {exponent}")
    return FeeSchedule(rate=_micro(rate), exponent=int(exponent)) if rate else NO_FEES


def _payouts(raw: _GammaRow, tokens: int) -> tuple[Price, ...] | None:
    """Return what a share of each outcome pays, once that is certain: resolved, with one winner.

    Prices of a closed market that is not resolved, and 50/50, which is also the price of a market that
    never traded, prove nothing.
    """
    statuses = _texts(raw.uma_resolution_statuses)
    status = raw.resolution_status or raw.uma_resolution_status or (statuses[-1] if statuses else "")
    prices = _texts(raw.outcome_prices)
    if not raw.closed or status != "resolved" or len(prices) != tokens:
        return None
    if sorted(prices) != ["0"] * (tokens - 1) + ["1"]:
        return None
    return tuple(MICRO if price == "1" else 0 for price in prices)


def _delay_ms(details: ClobDetails) -> Millis:
    return max(_micro(details.sd or Decimal(0)) // 1000, TAKER_DELAY_MS if details.itode else 0)


def _tick(value: Decimal) -> Price:
    tick = _micro(value)
    if not 0 < tick <= MICRO // 2:
        raise ValueError(f"tick size {value}")
    return tick


def _micro(value: Decimal) -> int:
    if not value.is_finite() or not 0 <= value <= AMOUNT_MAX:
        raise ValueError(f"amount {value}")
    scaled = value * MICRO
    if scaled != int(scaled):
        raise ValueError(f"more than six decimals: {value}")
    return int(scaled)


def _millis(text: str | None) -> Millis | None:
    """Return an end date; one that is not readable is none, for markets trade on past it anyway."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1000
