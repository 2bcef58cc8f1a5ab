"""What the venue refuses, in its own words where they are known (docs.polymarket.com, error codes)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import reason
from copytrade.domain.fills import Side
from copytrade.domain.interruptions import VenueMode
from copytrade.domain.orders import EXPIRY_LEAD_MS, EXPIRY_MS_MIN, OrderType
from copytrade.domain.units import LOT, MICRO, format_micro, notional_down

if TYPE_CHECKING:
    from copytrade.adapters.paper.orders import WorkingOrder
    from copytrade.domain.attempts import Reason
    from copytrade.domain.interruptions import Interruption
    from copytrade.domain.units import Millis, Price, Usdc

MARKETABLE_BUY_MIN: Final[Usdc] = MICRO
"""A BUY that would trade at once must be worth a dollar at its limit (docs.polymarket.com, order errors)."""
NOT_READY: Final = "the market is not yet ready to process new orders"
FOK_NOT_FILLED: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
FAK_NOT_FILLED: Final = (
    "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
)
POST_ONLY_CROSSES: Final = "invalid post-only order: order crosses book"
MARKET_RESOLVED: Final = "CANCELED_MARKET_RESOLVED"
EXPIRED: Final = "CANCELED_EXPIRED_ORDER"
_MODES: Final = {
    VenueMode.RESTART: ("ENGINE_RESTARTING", 425, "matching engine is restarting"),
    VenueMode.POST_ONLY: (
        "POST_ONLY_MODE",
        503,
        "post-only mode: only post-only orders and cancels are allowed",
    ),
    VenueMode.CANCEL_ONLY: (
        "CANCEL_ONLY_MODE",
        503,
        "Trading is currently cancel-only. New orders are not accepted, but cancels are allowed.",
    ),
    VenueMode.DISABLED: ("TRADING_DISABLED", 503, "Trading is currently disabled. Check polymarket.com for updates"),
}


def mode_refusal(order: WorkingOrder, interruption: Interruption | None) -> Reason | None:
    """Return why the engine takes no such order now."""
    if interruption is None:
        return None
    if interruption.mode is VenueMode.POST_ONLY and order.order_type is OrderType.POST_ONLY:
        return None
    code, status, venue = _MODES[interruption.mode]
    seconds = -(-interruption.left_ms(order.due_ms) // 1_000)
    return reason(code, status=status, retry_after_seconds=seconds, venue=venue)


def refusal(order: WorkingOrder, *, tick: Price, is_resolved: bool) -> Reason | None:
    """Return why the venue does not take an order at all, whatever the book."""
    market, attempt = order.market, order.attempt
    limit, size = attempt.limit_price, attempt.size_shares_target
    is_closed = market.closed or is_resolved
    if is_closed or not (market.accepting_orders and market.enable_order_book):
        accepting = market.accepting_orders
        return reason("MARKET_NOT_ACCEPTING", closed=is_closed, accepting_orders=accepting, venue=NOT_READY)
    if not tick <= limit <= MICRO - tick:
        return reason("PRICE_OUT_OF_RANGE", limit=format_micro(limit), tick=format_micro(tick))
    if limit % tick:
        return reason("OFF_TICK", limit=format_micro(limit), tick=format_micro(tick))
    if size % LOT:
        return reason("OFF_LOT", size=format_micro(size), lot=format_micro(LOT))
    if order.order_type.may_rest and size < market.min_order_size:
        return _too_small(order)
    if order.order_type is OrderType.GTD and order.expires_ms + EXPIRY_LEAD_MS < order.placed_at_ms + EXPIRY_MS_MIN:
        return reason("INVALID_EXPIRATION", ttl_ms=attempt.ttl_ms, venue="invalid expiration")
    return None


def marketable_refusal(order: WorkingOrder) -> Reason | None:
    """Return why the venue does not take an order that would trade at once."""
    attempt = order.attempt
    if order.order_type is OrderType.POST_ONLY:
        return reason("POST_ONLY_CROSSES", limit=format_micro(attempt.limit_price), venue=POST_ONLY_CROSSES)
    notional = order.spend
    if notional is None:
        notional = notional_down(attempt.size_shares_target, attempt.limit_price)
    if attempt.side is Side.SELL or notional >= MARKETABLE_BUY_MIN:
        return None
    shown, minimum = format_micro(notional), format_micro(MARKETABLE_BUY_MIN)
    venue = f"invalid amount for a marketable BUY order (${shown}), min size: $1"
    return reason("BELOW_MARKETABLE_MINIMUM", notional=shown, minimum=minimum, venue=venue)


def killed(order: WorkingOrder) -> Reason:
    """Return why a FAK or FOK order ends without resting."""
    if order.order_type is OrderType.FOK:
        return reason("FOK_NOT_FILLED", venue=FOK_NOT_FILLED)
    if order.has_fills:
        return reason("FAK_REST_KILLED", rest=format_micro(order.remaining))
    return reason("FAK_NOT_FILLED", venue=FAK_NOT_FILLED)


def off_new_tick(order: WorkingOrder, tick: Price) -> Reason:
    """Return why an order at rest goes when the market's grid changes under it."""
    return reason("TICK_CHANGED", limit=format_micro(order.attempt.limit_price), tick=format_micro(tick))


def market_resolved() -> Reason:
    """Return why an order at rest goes when its market is resolved."""
    return reason("MARKET_RESOLVED", venue=MARKET_RESOLVED)


def time_is_over(order: WorkingOrder, at_ms: Millis) -> Reason:
    """Return why an order at rest goes at its deadline: we cancel it, or the venue lets it expire."""
    if order.order_type is OrderType.GTD:
        return reason("EXPIRED", expires_ms=at_ms, venue=EXPIRED)
    return reason("TTL_EXPIRED", ttl_ms=order.attempt.ttl_ms)


def _too_small(order: WorkingOrder) -> Reason:
    size, minimum = order.attempt.size_shares_target, order.market.min_order_size
    whole, part = divmod(minimum, MICRO)
    spelt = format_micro(minimum) if part else str(whole)
    venue = f"Size ({format_micro(size)}) lower than the minimum: {spelt}"
    return reason("SIZE_BELOW_MINIMUM", size=format_micro(size), minimum=format_micro(minimum), venue=venue)
