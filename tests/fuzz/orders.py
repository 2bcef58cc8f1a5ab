"""The arithmetic of orders, fed with numbers of any kind: whatever comes out must be what the venue takes."""

from __future__ import annotations

import struct
from fractions import Fraction

from copytrade.domain.book import Level
from copytrade.domain.fees import sweep_fees_down, taker_fee_down
from copytrade.domain.fills import Side
from copytrade.domain.market import FeeSchedule
from copytrade.domain.matching import sweep
from copytrade.domain.orders import AMOUNT_STEP, OrderType, spend_down
from copytrade.domain.sizing import cut, limit_price
from copytrade.domain.units import BPS, LOT, MICRO, format_micro, notional_up, parse_micro
from tests.fuzz.outcomes import IGNORED, REFUSED, TAKEN

TICKS = (100, 1_000, 2_500, 5_000, 10_000, 100_000)
_ORDER = struct.Struct("<BBBBIIQQQ")


def order_amounts(data: bytes) -> str:
    """Limit, size, sweep, spend and fee of an order: whatever comes out must be what the venue takes."""
    if len(data) < _ORDER.size:
        return IGNORED
    kinds, tick_at, exponent, levels_count, price, bps, wanted, cap, held = _ORDER.unpack(data[: _ORDER.size])
    side = Side.SELL if kinds & 1 else Side.BUY
    order_type = tuple(OrderType)[(kinds >> 1) % len(OrderType)]
    tick = TICKS[tick_at % len(TICKS)]
    price, bps, wanted = 1 + price % (MICRO - 1), bps % 10_001, wanted % 10**13
    limit = limit_price(side, leader_price=price, slippage_bps=bps, tick=tick, slippage_ticks=kinds >> 4 or None)
    assert tick <= limit <= MICRO - tick
    assert limit % tick == 0
    if tick <= price <= MICRO - tick:
        slipped = (limit - price if side is Side.BUY else price - limit) * BPS
        assert slipped <= price * bps
    size = cut(wanted, limit=limit, cap=cap % 10**13, held=held % 10**13)
    assert 0 <= size.shares <= wanted
    assert size.shares % LOT == 0
    assert size.shares <= held % 10**13
    assert notional_up(size.shares, limit) <= cap % 10**13 + 1
    _check_sweep(data[_ORDER.size :], side, order_type, limit=limit, size=size.shares, count=levels_count % 32,
                 schedule=FeeSchedule(rate=bps * 10, exponent=exponent % 4))  # fmt: skip
    return TAKEN


def _check_sweep(
    data: bytes, side: Side, order_type: OrderType, *, limit: int, size: int, count: int, schedule: FeeSchedule
) -> None:
    levels = [
        Level(1 + first % (MICRO - 1), 1 + second)
        for first, second in struct.iter_unpack("<IQ", data[: min(count, len(data) // 12) * 12])
    ]
    levels.sort(reverse=side is Side.SELL)
    spend = spend_down(order_type, side=side, shares=size, limit=limit)
    assert spend is None or spend % AMOUNT_STEP == 0
    matches = sweep(levels, side=side, limit=limit, size=size, spend=spend)
    taken = sum(match.shares for match in matches)
    assert taken <= size
    assert all(match.price <= limit if side is Side.BUY else match.price >= limit for match in matches)
    assert spend is None or sum(match.price * match.shares for match in matches) <= spend * MICRO
    fees = sweep_fees_down(schedule, matches)
    assert all(fee >= 0 for fee in fees)
    if len(matches) == 1:
        assert sum(fees) == taker_fee_down(schedule, shares=taken, price=matches[0].price)


def decimals(data: bytes) -> str:
    """An amount that a person or a program wrote."""
    try:
        text = data.decode()
        amount = parse_micro(text)
    except ValueError:
        return REFUSED
    assert parse_micro(format_micro(amount)) == amount
    assert Fraction(text) * MICRO == amount
    return TAKEN
