"""The desk: takes signed orders, keeps them on the public books, and has their matches settled."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Sequence

from copytrade.sandbox.book import Order
from copytrade.sandbox.happening import BlockMined, BlocksRemoved, Happening, MarketResolved
from copytrade.sandbox.market import Market
from copytrade.sandbox.matching import Leg
from copytrade.sandbox.trading import rules
from copytrade.sandbox.trading.conditions import Conditions, DelayRule
from copytrade.sandbox.trading.cover import SHORT, Cover
from copytrade.sandbox.trading.feed import AccountListener, OrderEvent
from copytrade.sandbox.trading.funds import Funds
from copytrade.sandbox.trading.orders import OrderStatus, PlacedOrder, PlacedOrders
from copytrade.sandbox.trading.refusal import RefusedError
from copytrade.sandbox.trading.signature import WRONG_VERSION, find_fault, order_hash
from copytrade.sandbox.trading.signed_order import OrderType, SignedOrder
from copytrade.sandbox.trading.sizing import Prospect, foresee
from copytrade.sandbox.trading.trades import KEPT_MAX, Settlements, Trade
from copytrade.sandbox.trading.wallets import Accounts, SignatureType
from copytrade.sandbox.world import World

NOT_FILLED = {
    OrderType.FOK: "order couldn't be fully filled. FOK orders are fully filled or killed.",
    OrderType.FAK: "no orders found to match with FAK order. "
    "FAK orders are partially filled or killed if no match is found.",
}
NOT_READY = "the market is not yet ready to process new orders"
GONE = "order can't be found - already canceled or matched"
HELD = "order is delayed and can't be canceled yet"
CURRENT_VERSION = 2
"""What `GET /version` says while orders are signed as documented."""


class Desk:
    """Order entry for accounts. Raises RefusedError with the venue's words."""

    def __init__(self, *, world: World, conditions: Conditions, listener: AccountListener) -> None:
        """Take orders for the world's books; the listener hears what becomes of them."""
        self.accounts = Accounts()
        self.funds = Funds()
        self.orders = PlacedOrders()
        self._world = world
        self._exchange = world.exchange
        self._conditions = conditions
        self._listener = listener
        self._traded: dict[str, deque[Trade]] = {}
        self.settlements = Settlements(
            exchange=world.exchange,
            timeline=world.timeline,
            funds=self.funds,
            conditions=conditions,
            finalized=lambda: world.chain.finalized_number,
            tell=listener.trade_changed,
            seed=world.config.seed,
        )
        self._cover = Cover(funds=self.funds, orders=self.orders, settlements=self.settlements)
        world.exchange.custodian = self
        world.listen(self._hear)

    def identify(self, order: SignedOrder) -> str:
        """Return an order's id; "" when its token is of no market."""
        market = self._exchange.catalogue.by_token(order.fields.token)
        return "" if market is None else order_hash(order, market.exchange)

    def accept(self, order: SignedOrder, *, address: str, key: str) -> PlacedOrder:
        """Check an order posted with an address's API key, and take it; it does not match yet."""
        market = self._market_of(order)
        self._check_identity(order, market, address=address, key=key)
        order_id = order_hash(order, market.exchange)
        if self.orders.find(order_id) is not None:
            raise RefusedError(f"order {order_id} is invalid. Duplicated.")
        now_ms = self._world.now_ms
        rules.check_order(order, market, order_id=order_id, now_ms=now_ms)
        placed = PlacedOrder(
            signed=order,
            order_id=order_id,
            address=address,
            market=market,
            outcome=market.outcome_of(order.fields.token),
            limit=order.limit(market.tick),
            goal=order.shares,
            created_ms=now_ms,
        )
        prospect = self._foresee(placed)
        if prospect.shares:
            rules.check_marketable(order)
        self._cover.check(placed, market, prospect)
        if order.post_only and prospect.shares:
            raise RefusedError("invalid post-only order: order crosses book")
        placed.held_amount = self._cover.needed(placed, market, prospect)
        self.orders.add(placed)
        return placed

    def delay_of(self, order: PlacedOrder) -> DelayRule | None:
        """Return the delay after which an order is matched while its poster is told something else already."""
        if order.signed.post_only:
            return None
        forced = self._conditions.take_delay()
        if forced is not None:
            return forced
        if order.market.seconds_delay and self._is_marketable(order):
            return DelayRule(word="delayed", ms=order.market.seconds_delay * 1_000, matches=True, remaining=0)
        return None

    def hold_ms(self, order: PlacedOrder) -> int:
        """Return how long the answer to a post has to wait before the order is matched."""
        held = order.market.taker_delay and self._is_marketable(order)
        return self._conditions.taker_delay_ms if held else 0

    def delay(self, order: PlacedOrder, rule: DelayRule) -> None:
        """Let an order wait for its match."""
        order.status = OrderStatus.DELAYED
        self._listener.order_changed(order, OrderEvent.PLACEMENT, status=order.status)
        self._world.timeline.after(rule.ms, functools.partial(self._release, order, rule.matches))

    def match(self, order: PlacedOrder) -> None:
        """Match an accepted order now and let the rest wait on the book.

        Raises RefusedError for one that was held and cannot be paid any more, or for a FOK or FAK order
        that finds too little; it is ended then.
        """
        prospect = self._foresee(order)
        if not self._cover.is_enough(order, order.market, prospect):
            self.end(order, OrderStatus.NOT_ENOUGH)
            raise RefusedError(SHORT, order_id=order.order_id)
        kind = order.signed.order_type
        if kind in NOT_FILLED and not (prospect.is_full if kind is OrderType.FOK else prospect.shares):
            self.end(order, f"{OrderStatus.CANCELED}_{NOT_FILLED[kind]}")
            raise RefusedError(NOT_FILLED[kind], order_id=order.order_id)
        self._listener.order_changed(order, OrderEvent.PLACEMENT, status=OrderStatus.LIVE)
        self._submit(order, prospect)

    def cancel(self, order_ids: Iterable[str], *, address: str) -> dict[str, str]:
        """Cancel orders of an address; return why others were not, by id."""
        refused: dict[str, str] = {}
        for order_id in order_ids:
            order = self.orders.find(order_id)
            if order is None or order.address != address or not self.orders.is_active(order):
                refused[order_id] = GONE
            elif order.held_amount:
                refused[order_id] = HELD
            else:
                self.end(order, OrderStatus.CANCELED)
        return refused

    def end(self, order: PlacedOrder, status: str) -> None:
        """Take an order off the book, or out of its delay, for good."""
        if order.is_open:
            self._exchange.cancel(order.market, order.order_id)
        self.orders.retire(order, status)
        self._listener.order_changed(order, OrderEvent.CANCELLATION, status=status)

    def concerns(self, taker: Order, legs: Sequence[Leg]) -> bool:
        """Say whether an account's order takes part (the exchange asks)."""
        return any(
            self.orders.find(one) is not None for one in (taker.order_hash, *(leg.maker.order_hash for leg in legs))
        )

    def take_over(self, market: Market, taker: Order, legs: Sequence[Leg]) -> str:
        """Settle a match that an account takes part in (the exchange hands it over)."""
        trades = self.settlements.begin(market, taker, legs)
        for trade in trades:
            changed = [
                order
                for fill in trade.fills
                if (order := self._note(trade, fill.order_hash, fill.size, fill.collateral))
            ]
            for address in {order.address: None for order in changed}:
                self._traded.setdefault(address, deque(maxlen=KEPT_MAX)).append(trade)
            self._listener.trade_changed(trade)
            for order in changed:
                self._listener.order_changed(order, OrderEvent.UPDATE, status=order.status)
        return trades[-1].transaction.tx_hash

    def trades_of(self, address: str) -> list[Trade]:
        """Return the trades an address takes part in, in the order they were matched."""
        return list(self._traded.get(address, ()))

    def parts_of(self, trade: Trade, address: str) -> list[PlacedOrder]:
        """Return an address's orders in a trade."""
        found = (self.orders.find(fill.order_hash) for fill in trade.fills)
        return [order for order in found if order is not None and order.address == address]

    def _market_of(self, order: SignedOrder) -> Market:
        market = self._exchange.catalogue.by_token(order.fields.token)
        if market is None:
            raise RefusedError(f"the orderbook {order.fields.token} does not exist")
        if not market.has_book:
            raise RefusedError(NOT_READY)
        return market

    def _check_identity(self, order: SignedOrder, market: Market, *, address: str, key: str) -> None:
        if order.owner != key:
            raise RefusedError("the order owner has to be the owner of the API KEY")
        if self._conditions.version != CURRENT_VERSION:
            raise RefusedError(WRONG_VERSION)
        fields = order.fields
        is_wallet = fields.signature_type == SignatureType.POLY_1271
        account = self.accounts.find(fields.maker)
        if is_wallet:
            is_own = self.accounts.may_sign(address, wallet=fields.signer, signature_type=SignatureType.POLY_1271)
            is_own = is_own or (account is not None and address in account.session_signers)
        else:
            is_own = fields.signer == address
        if not is_own:
            raise RefusedError("the order signer address has to be the address of the API KEY")
        if account is not None:
            if account.deposit_only and not is_wallet:
                raise RefusedError("maker address not allowed, please use the deposit wallet flow")
            if account.banned:
                raise RefusedError(f"'{fields.maker}' address banned")
            if account.closed_only and fields.side == 0:
                raise RefusedError(f"'{fields.maker}' address in closed only mode")
        fault = find_fault(order, market.exchange, self.accounts)
        if fault is not None:
            raise RefusedError(fault)

    def _foresee(self, order: PlacedOrder) -> Prospect:
        return foresee(self._exchange.book(order.market), order.market, order)

    def _is_marketable(self, order: PlacedOrder) -> bool:
        return self._foresee(order).shares > 0

    def _submit(self, order: PlacedOrder, prospect: Prospect) -> None:
        self._cancel_own_crossing(order)
        kind = order.signed.order_type
        order.held_amount = 0
        order.is_open = True
        order.status = OrderStatus.LIVE
        if order.signed.spends_budget:
            order.goal = prospect.shares if prospect.is_full else prospect.shares + 1
        if kind is OrderType.GTD:
            self._expire_later(order)
        size = order.signed.shares if kind.rests else prospect.shares
        self._exchange.submit(order.market, order.for_book(size), rest=kind.rests)
        if not kind.rests and order.is_open:
            self.end(order, OrderStatus.CANCELED)

    def _cancel_own_crossing(self, order: PlacedOrder) -> None:
        taker = order.for_book(order.signed.shares)
        for other in self.orders.active():
            if other.is_open and other.wallet == order.wallet and other.market.condition == order.market.condition:
                resting = other.for_book(other.remaining)
                crosses = (
                    taker.book_price >= resting.book_price if taker.is_bid else taker.book_price <= resting.book_price
                )
                if resting.is_bid != taker.is_bid and crosses:
                    self.end(other, OrderStatus.CANCELED)

    def _release(self, order: PlacedOrder, matches: bool) -> None:
        """End a delay: match, rest or kill, by what the book is now."""
        if not order.held_amount:
            return
        if not matches:
            self.end(order, OrderStatus.TIMED_OUT)
            return
        prospect = self._foresee(order)
        if not self._cover.is_enough(order, order.market, prospect):
            self.end(order, OrderStatus.NOT_ENOUGH)
            return
        kind = order.signed.order_type
        found = prospect.is_full if kind is OrderType.FOK else prospect.shares
        if not kind.rests and not found:
            self.end(order, f"{OrderStatus.CANCELED}_{NOT_FILLED[kind]}")
            return
        if not prospect.shares:
            self._listener.order_changed(order, OrderEvent.UPDATE, status="UNMATCHED")
        self._submit(order, prospect)

    def _note(self, trade: Trade, order_id: str, shares: int, collateral: int) -> PlacedOrder | None:
        order = self.orders.find(order_id)
        if order is None:
            return None
        order.matched += shares
        order.spent += collateral
        order.trade_ids.append(trade.trade_id)
        if order.matched >= order.goal:
            self.orders.retire(order, OrderStatus.MATCHED)
        return order

    def _expire_later(self, order: PlacedOrder) -> None:
        end_ms = (order.signed.expiration - rules.EXPIRES_EARLY_S) * 1_000

        def expire() -> None:
            if order.is_open:
                self.end(order, OrderStatus.EXPIRED)

        self._world.timeline.after(end_ms - self._world.now_ms, expire)

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, BlockMined):
            self.funds.fold(happening.block)
        elif isinstance(happening, BlocksRemoved):
            for block in reversed(happening.blocks):
                self.funds.unfold(block)
        elif isinstance(happening, MarketResolved):
            for order in self.orders.active():
                if order.market.condition == happening.market.condition:
                    self.end(order, OrderStatus.RESOLVED)
        self.settlements.hear(happening)
