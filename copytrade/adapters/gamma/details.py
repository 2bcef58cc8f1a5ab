"""What the CLOB says of a market: fresher than Gamma, and the only one to tell the taker delay."""

from __future__ import annotations

import sys
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from copytrade.adapters.gamma.amounts import (
    CENT,
    MIN_ORDER_SHARES,
    TAKER_DELAY_MS,
    UNREADABLE,
    VERSIONS,
    NotAPageError,
    micro_of,
    outcome_tokens,
    padded_condition,
    schedule_of,
    tick_of,
)
from copytrade.domain.market import NO_FEES, UNKNOWN_CATEGORY, Market

if TYPE_CHECKING:
    from copytrade.domain.units import Millis


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


_decode_details = msgspec.json.Decoder(ClobDetails).decode
_decode_by_token = msgspec.json.Decoder(_ByToken).decode


def parse_details(body: bytes) -> ClobDetails:
    """Return what the CLOB says of a market.

    :raises NotAPageError: it is nothing of the kind.
    """
    try:
        return _decode_details(body)
    except UNREADABLE as error:
        raise NotAPageError(str(error)) from error


def parse_condition(body: bytes) -> str:
    """Return the condition id of a `/markets-by-token` answer.

    :raises NotAPageError: it has none.
    """
    try:
        return padded_condition(_decode_by_token(body).condition_id)
    except (*UNREADABLE, ValueError) as error:
        raise NotAPageError(str(error)) from error


def with_details(market: Market, details: ClobDetails, *, now_ms: Millis) -> Market:
    """Return the market with what the CLOB knows better.

    :raises ValueError: the details are not readable.
    """
    return replace(
        market,
        tick_size=tick_of(details.mts),
        min_order_size=micro_of(details.mos),
        fees=schedule_of(details.fd.r, details.fd.e) if details.fd else NO_FEES,
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
        version=sys.intern(details.v),
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
        tokens=outcome_tokens([token.t for token in details.t], [token.o for token in details.t]),
        payouts=None,
        updated_at_ms=now_ms,
    )
    return with_details(market, details, now_ms=now_ms)


def _delay_ms(details: ClobDetails) -> Millis:
    return max(micro_of(details.sd or Decimal(0)) // 1000, TAKER_DELAY_MS if details.itode else 0)
