"""Orders the venue took, whatever became of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from copytrade.sandbox.book import Order
from copytrade.sandbox.events import BUY
from copytrade.sandbox.market import Market
from copytrade.sandbox.micro import ONE
from copytrade.sandbox.trading.signed_order import SignedOrder

KEPT_MAX = 100_000
"""How many orders are remembered; the oldest are forgotten first."""


class OrderStatus(StrEnum):
    """Where an order is; cancellations for other reasons spell the reason."""

    LIVE = "LIVE"
    MATCHED = "MATCHED"
    DELAYED = "DELAYED"
    CANCELED = "CANCELED"
    RESOLVED = "CANCELED_MARKET_RESOLVED"
    EXPIRED = "CANCELED_EXPIRED_ORDER"
    NOT_ENOUGH = "CANCELED_NOT_ENOUGH_BALANCE"
    TIMED_OUT = "CANCELED_ORDER_TIMED_OUT"


@dataclass(slots=True, kw_only=True)
class PlacedOrder:
    """An order and what was matched of it, micro-units; `address` is its API key's, lower case.

    It is held while it waits for a delay to end, and reserves `held_amount` then.
    """

    signed: SignedOrder
    order_id: str
    address: str
    market: Market
    outcome: int
    limit: int
    goal: int
    """Shares after which nothing is left to match."""
    created_ms: int
    status: str = OrderStatus.LIVE
    matched: int = 0
    spent: int = 0
    is_open: bool = False
    held_amount: int = 0
    trade_ids: list[str] = field(default_factory=list)

    @property
    def wallet(self) -> str:
        """Whose collateral or shares it trades."""
        return self.signed.fields.maker

    @property
    def is_buy(self) -> bool:
        """Whether it buys."""
        return self.signed.fields.side == BUY

    @property
    def remaining(self) -> int:
        """Shares that are still to be matched; zero for an order that is not open."""
        return max(self.goal - self.matched, 0) if self.is_open else 0

    @property
    def reserved(self) -> int:
        """What it keeps from other orders: collateral of a buyer, shares of a seller."""
        if self.held_amount:
            return self.held_amount
        return -(-self.remaining * self.limit // ONE) if self.is_buy else self.remaining

    def for_book(self, size: int) -> Order:
        """Return it as the matching engine takes it."""
        fields = self.signed.fields
        return Order(
            order_hash=self.order_id,
            owner=self.wallet,
            outcome=self.outcome,
            side=fields.side,
            price=self.limit,
            size=size,
            metadata=fields.metadata,
            builder=fields.builder,
        )


class PlacedOrders:
    """Every order by its id; active ones are on the book or held."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_id: dict[str, PlacedOrder] = {}
        self._active: dict[str, PlacedOrder] = {}

    def add(self, order: PlacedOrder) -> None:
        """Remember an order as active."""
        self._by_id[order.order_id] = self._active[order.order_id] = order
        if len(self._by_id) > KEPT_MAX:
            oldest = next(one for one in self._by_id if one not in self._active)
            del self._by_id[oldest]

    def retire(self, order: PlacedOrder, status: str) -> None:
        """End an order: it reserves nothing and matches no more."""
        order.status = status
        order.is_open = False
        order.held_amount = 0
        self._active.pop(order.order_id, None)

    def find(self, order_id: str) -> PlacedOrder | None:
        """Return an order by its id."""
        return self._by_id.get(order_id)

    def all(self) -> Iterable[PlacedOrder]:
        """Return every order in the order they came."""
        return self._by_id.values()

    def is_active(self, order: PlacedOrder) -> bool:
        """Say whether an order may still match."""
        return order.order_id in self._active

    def active(self) -> list[PlacedOrder]:
        """Return the orders that may still match, oldest first."""
        return list(self._active.values())

    def open_of(self, address: str) -> list[PlacedOrder]:
        """Return what an address has on the book, oldest first."""
        return [order for order in self._active.values() if order.is_open and order.address == address]

    def reserved_by(self, wallet: str, token: int | None) -> int:
        """Return what a wallet's orders keep of a token, or of its collateral for None."""
        return sum(
            order.reserved
            for order in self._active.values()
            if order.wallet == wallet and (None if order.is_buy else order.signed.fields.token) == token
        )
