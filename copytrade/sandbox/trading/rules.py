"""What the venue asks of an order's numbers, in its own words (docs.polymarket.com "Error codes")."""

from __future__ import annotations

from copytrade.sandbox.events import BUY
from copytrade.sandbox.market import Market
from copytrade.sandbox.micro import ONE, decimal_text
from copytrade.sandbox.trading.refusal import RefusedError
from copytrade.sandbox.trading.signed_order import OrderType, SignedOrder

SIZE_DECIMALS = 2
MARKET_DECIMALS = 4
"""Of what a FAK or FOK order asks for, whatever the tick."""
AMOUNT_DECIMALS = {100_000: 3, 10_000: 4, 5_000: 5, 2_500: 6, 1_000: 5, 100: 6}
"""Of the collateral of a limit order, by tick; six of any other."""
ROUNDING = 100
"""How far an amount of a FAK or FOK order may be from the exact one: one unit of its last decimal."""
MARKETABLE_BUY_MIN = ONE
EXPIRATION_LEAD_S = 180
EXPIRES_EARLY_S = 60


def check_order(order: SignedOrder, market: Market, *, order_id: str, now_ms: int) -> None:
    """Check what does not depend on the book or on funds; raises RefusedError with the venue's words."""
    if order.post_only and not order.order_type.rests:
        raise RefusedError("Invalid order payload")
    _check_expiration(order, now_ms=now_ms)
    _check_accuracy(order, market.tick)
    if not _is_on_grid(order, market.tick):
        price, tick = order.price_text, decimal_text(market.tick)
        raise RefusedError(f"order {order_id} is invalid. Price ({price}) breaks minimum tick size rule: {tick}")
    if order.order_type.rests and order.shares < market.min_size:
        size, least = decimal_text(order.shares), decimal_text(market.min_size)
        raise RefusedError(f"order {order_id} is invalid. Size ({size}) lower than the minimum: {least}")


def check_marketable(order: SignedOrder) -> None:
    """Check a buyer's order that matches at once; raises RefusedError."""
    if order.fields.side == BUY and order.collateral < MARKETABLE_BUY_MIN:
        amount = decimal_text(order.collateral)
        raise RefusedError(f"invalid amount for a marketable BUY order (${amount}), min size: $1")


def _check_expiration(order: SignedOrder, *, now_ms: int) -> None:
    if order.order_type is OrderType.GTD:
        is_good = order.expiration >= now_ms // 1_000 + EXPIRATION_LEAD_S
    else:
        is_good = order.expiration == 0
    if not is_good:
        raise RefusedError("invalid expiration")


def _check_accuracy(order: SignedOrder, tick: int) -> None:
    name, offered, asked = _accuracy(order, tick)
    if _decimals(order.fields.maker_amount) > offered or _decimals(order.fields.taker_amount) > asked:
        raise RefusedError(
            f"invalid amounts, the {name} orders maker amount supports a max accuracy of {offered} decimals, "
            f"taker amount a max of {asked} decimals"
        )


def _accuracy(order: SignedOrder, tick: int) -> tuple[str, int, int]:
    amount = AMOUNT_DECIMALS.get(tick, 6)
    if order.fields.side != BUY:
        return "sell", SIZE_DECIMALS, amount if order.order_type.rests else MARKET_DECIMALS
    if order.order_type.rests:
        return "buy", amount, SIZE_DECIMALS
    return "market buy", SIZE_DECIMALS, MARKET_DECIMALS


def _is_on_grid(order: SignedOrder, tick: int) -> bool:
    collateral, shares = order.collateral, order.shares
    steps = (2 * collateral * ONE + shares * tick) // (2 * shares * tick)
    price = steps * tick
    if not tick <= price <= ONE - tick:
        return False
    if order.order_type.rests:
        return collateral * ONE == shares * price
    if order.fields.side == BUY:
        return abs(shares * price - collateral * ONE) < ROUNDING * price
    return abs(collateral * ONE - shares * price) < ROUNDING * ONE


def _decimals(micro: int) -> int:
    decimals = 6
    while decimals and micro % 10 == 0:
        micro //= 10
        decimals -= 1
    return decimals
