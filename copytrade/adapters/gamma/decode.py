"""From Gamma's pages and rows to our `Market`."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from copytrade.adapters.gamma.amounts import (
    CENT,
    MIN_ORDER_SHARES,
    UNREADABLE,
    VERSIONS,
    NotAPageError,
    micro_of,
    millis_of,
    outcome_tokens,
    padded_condition,
    schedule_of,
    tick_of,
)
from copytrade.domain.market import NO_FEES, UNKNOWN_CATEGORY, FeeSchedule, Market, is_token_id
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Price

LIQUIDITY_USDC_MAX: Final = 10**12
_ROW_ID: Final = re.compile(r"[0-9]{1,18}")
_NEXT_CURSOR: Final = re.compile(rb'"next_cursor"\s*:\s*"([^"\\]{1,4000})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A market as listed; `gamma_id` grows with time, `liquidity_usdc` (whole, minutes old) is for ranking alone."""

    market: Market
    gamma_id: int | None
    liquidity_usdc: int


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
    id: Any = None
    liquidity_num: Any = None
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


_decode_page = msgspec.json.Decoder(_Page | list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(_GammaRow).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


def parse_page(body: bytes) -> tuple[list[bytes], str | None]:
    """Return a page's rows, unread, and the cursor of the next; the older list routes have none.

    :raises NotAPageError: it is no page.
    """
    try:
        page = _decode_page(body)
    except UNREADABLE as error:
        raise NotAPageError(str(error)) from error
    if isinstance(page, list):
        return [bytes(row) for row in page], None
    return [bytes(row) for row in page.markets], page.next_cursor or None


def salvaged_cursor(body: bytes) -> str | None:
    """Return the cursor that an unreadable page still shows, so that the pages after it are not lost."""
    found = _NEXT_CURSOR.findall(body)
    return found[-1].decode(errors="replace") if found else None


def parse_listing(row: bytes, *, now_ms: Millis) -> Listing:
    """Return the market in a Gamma row, and what only the listing says of it.

    :raises NoTokensError: it has none, so nothing can be traded.
    :raises ValueError: it is not readable (that includes wrong types).
    """
    try:
        raw = _decode_row(row)
    except UNREADABLE as error:
        raise ValueError(str(error)) from error
    return Listing(
        market=_market(raw, now_ms),
        gamma_id=int(raw.id) if isinstance(raw.id, str) and _ROW_ID.fullmatch(raw.id) else None,
        liquidity_usdc=int(raw.liquidity_num) if _is_amount(raw.liquidity_num) else 0,
    )


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < LIQUIDITY_USDC_MAX


def _market(raw: _GammaRow, now_ms: Millis) -> Market:
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
        event_slug=_event_slug(raw) or condition_id,
        category=sys.intern(_category(raw)),
        end_date_ms=millis_of(raw.end_date),
        # Without a tick no order can be priced: such a market is known, not traded.
        enable_order_book=bool(raw.enable_order_book) and tick is not None,
        accepting_orders=bool(raw.accepting_orders) and raw.active is not False and not raw.archived,
        closed=bool(raw.closed),
        neg_risk=bool(raw.neg_risk),
        tick_size=CENT if tick is None else tick_of(tick),
        min_order_size=MIN_ORDER_SHARES if raw.order_min_size is None else micro_of(raw.order_min_size),
        fees=_fees(raw),
        taker_delay_ms=micro_of(raw.seconds_delay or Decimal(0)) // 1000,
        tokens=outcome_tokens(token_ids, outcomes),
        payouts=_payouts(raw, len(token_ids)),
        updated_at_ms=now_ms,
        resolution_status=sys.intern(_resolution_status(raw)),
        former_token_ids=_former_tokens(raw, token_ids) if version == "v2" else (),
    )


def _former_tokens(raw: _GammaRow, token_ids: list[str]) -> tuple[str, ...]:
    """Return the tokens of the first protocol that a market of the second took the place of, where both are listed."""
    former = _texts(raw.clob_token_ids)
    is_paired = len(former) == len(token_ids) and former != token_ids and all(map(is_token_id, former))
    return tuple(former) if is_paired else ()


def _resolution_status(raw: _GammaRow) -> str:
    """Return how far the resolution has come, in the venue's word; the last of several."""
    statuses = _texts(raw.uma_resolution_statuses)
    return raw.resolution_status or raw.uma_resolution_status or (statuses[-1] if statuses else "")


def _texts(value: str | list[str] | None) -> list[str]:
    """Return a list that may come as a list inside a JSON string."""
    if isinstance(value, str):
        try:
            return _decode_texts(value) if value.strip() else []
        except UNREADABLE as error:
            raise ValueError(f"not a list of texts: {value[:80]!r}") from error
    return value or []


def _event_slug(raw: _GammaRow) -> str:
    return sys.intern(next((event.slug for event in raw.events or () if event.slug), ""))


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
    return schedule_of(raw.fee_schedule.rate, raw.fee_schedule.exponent)


def _payouts(raw: _GammaRow, tokens: int) -> tuple[Price, ...] | None:
    """Return what a share of each outcome pays, once that is certain: resolved, with one winner.

    Prices of a closed market that is not resolved, and 50/50, which is also the price of a market that
    never traded, prove nothing.
    """
    prices = _texts(raw.outcome_prices)
    if not raw.closed or _resolution_status(raw) != "resolved" or len(prices) != tokens:
        return None
    if sorted(prices) != ["0"] * (tokens - 1) + ["1"]:
        return None
    return tuple(MICRO if price == "1" else 0 for price in prices)
