"""What an order would get from a book as it stands, without touching it."""

from __future__ import annotations

from dataclasses import dataclass

from copytrade.sandbox.book import Book, own_price
from copytrade.sandbox.events import BUY
from copytrade.sandbox.exchange import LEGS_PER_CALL_MAX
from copytrade.sandbox.fees import sweep_fee_down
from copytrade.sandbox.market import Market
from copytrade.sandbox.matching import Leg, would_cross
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.trading.orders import PlacedOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Shares, collateral and fee of an immediate match, micro-units; `is_full` when nothing would be left.

    An order for an amount is full when what is left of it buys no millionth of a share.
    """

    shares: int
    collateral: int
    fee: int
    is_full: bool


def foresee(book: Book, market: Market, order: PlacedOrder) -> Prospect:
    """Walk the other side in matching order; orders of the same wallet are passed over."""
    taker = order.for_book(order.signed.shares)
    legs: list[tuple[int, int]] = []
    wanted = order.signed.collateral if order.signed.spends_budget else order.signed.shares
    for resting in book.queue(is_bid=not taker.is_bid):
        at = resting.order.book_price
        if wanted == 0 or not would_cross(taker, at):
            break
        if resting.order.owner == order.wallet:
            continue
        price = own_price(at, order.outcome)
        size = min(resting.remaining, wanted * ONE // price if order.signed.spends_budget else wanted)
        if size == 0:
            wanted = 0
            break
        leg = Leg(maker=resting.order, size=size, book_price=at)
        paid = leg.taker_collateral(taker)
        legs.append((size, paid))
        wanted -= paid if order.signed.spends_budget else size
        if order.signed.spends_budget and size < resting.remaining:
            wanted = 0
    if order.signed.spends_budget and legs and wanted * ONE < order.limit:
        wanted = 0
    return Prospect(
        shares=sum(size for size, _ in legs),
        collateral=sum(paid for _, paid in legs),
        fee=_fee(market, legs),
        is_full=wanted == 0,
    )


def cost_at_limit(market: Market, order: PlacedOrder) -> int:
    """Return what a buyer's order costs at its limit with the fee, micro-units."""
    shares, collateral = order.signed.shares, order.signed.collateral
    if order.signed.post_only or order.signed.fields.side != BUY:
        return collateral
    return collateral + _fee(market, [(shares, collateral)])


def _fee(market: Market, legs: list[tuple[int, int]]) -> int:
    """Return the fees of (shares, collateral) legs as they will be charged: by call, at its average price."""
    total = 0
    for start in range(0, len(legs), LEGS_PER_CALL_MAX):
        call = legs[start : start + LEGS_PER_CALL_MAX]
        total += sweep_fee_down(
            size=sum(size for size, _ in call),
            collateral=sum(paid for _, paid in call),
            rate=market.fees.rate,
            exponent=market.fees.exponent,
        )
    return total
