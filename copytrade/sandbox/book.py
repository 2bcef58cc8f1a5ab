"""One book per market, kept in prices of the first outcome; the second outcome is its mirror."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from copytrade.sandbox.events import BUY, SELL
from copytrade.sandbox.market import YES
from copytrade.sandbox.micro import ONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as its owner sees it: `price` is of its own outcome, micro-units throughout."""

    order_hash: str
    owner: str
    outcome: int
    side: int
    price: int
    size: int
    metadata: int = 0
    builder: int = 0

    @property
    def is_bid(self) -> bool:
        """Whether it stands on the bid side of the first outcome's book."""
        return (self.side == BUY) == (self.outcome == YES)

    @property
    def book_price(self) -> int:
        """Its price in terms of the first outcome."""
        return own_price(self.price, self.outcome)


def own_price(book_price: int, outcome: int) -> int:
    """Translate between a first-outcome price and the outcome's own; its own inverse."""
    return book_price if outcome == YES else ONE - book_price


@dataclass(slots=True, kw_only=True)
class Resting:
    """An order on the book and what is left of it."""

    order: Order
    remaining: int


class Level(NamedTuple):
    """Price and total size, micro-units."""

    price: int
    size: int


class LevelChange(NamedTuple):
    """The new total size of one level of the first outcome's book; zero removes it."""

    is_bid: bool
    price: int
    size: int


class Book:
    """Price levels with orders in time order; a match starts with the oldest of the best."""

    def __init__(self) -> None:
        """Start empty."""
        self._sides: dict[bool, dict[int, deque[Resting]]] = {True: {}, False: {}}
        self._by_hash: dict[str, Order] = {}
        self._views: dict[int, tuple[list[Level], list[Level]]] = {}

    def add(self, order: Order, *, remaining: int) -> LevelChange:
        """Put an order at the end of its level's queue."""
        queue = self._sides[order.is_bid].setdefault(order.book_price, deque())
        queue.append(Resting(order=order, remaining=remaining))
        self._by_hash[order.order_hash] = order
        return self._change(order)

    def cancel(self, order_hash: str) -> LevelChange | None:
        """Take an order off; None when it is not on the book any more."""
        order = self._by_hash.pop(order_hash, None)
        if order is None:
            return None
        queue = self._sides[order.is_bid][order.book_price]
        kept = deque(resting for resting in queue if resting.order is not order)
        self._put_queue(order, kept)
        return self._change(order)

    def take(self, resting: Resting, size: int) -> LevelChange:
        """Use up part of the order at the front of its level."""
        order = resting.order
        resting.remaining -= size
        if resting.remaining == 0:
            queue = self._sides[order.is_bid][order.book_price]
            queue.remove(resting)
            del self._by_hash[order.order_hash]
            self._put_queue(order, queue)
        return self._change(order)

    def restate(self, change: LevelChange, *, owner: str) -> None:
        """Make what an owner has at a level exactly that size, as one order; zero takes it away."""
        self._views.clear()
        queue = self._sides[change.is_bid].pop(change.price, deque())
        kept = deque(resting for resting in queue if resting.order.owner != owner)
        if kept:
            self._sides[change.is_bid][change.price] = kept
        for resting in queue:
            if resting.order.owner == owner:
                del self._by_hash[resting.order.order_hash]
        if change.size:
            order = Order(
                order_hash=f"level-{change.is_bid}-{change.price}",
                owner=owner,
                outcome=YES,
                side=BUY if change.is_bid else SELL,
                price=change.price,
                size=change.size,
            )
            self.add(order, remaining=change.size)

    def find(self, order_hash: str) -> Order | None:
        """Return an order that still rests."""
        return self._by_hash.get(order_hash)

    def orders(self) -> list[Order]:
        """Return every resting order."""
        return list(self._by_hash.values())

    def front(self, *, is_bid: bool) -> Resting | None:
        """Return the next order to match on that side."""
        prices = self._sides[is_bid]
        if not prices:
            return None
        best = max(prices) if is_bid else min(prices)
        return prices[best][0]

    def queue(self, *, is_bid: bool) -> Iterator[Resting]:
        """Yield a side's orders in the order they match: best price first, oldest first."""
        levels = self._sides[is_bid]
        for price in sorted(levels, reverse=is_bid):
            yield from levels[price]

    def best(self, *, is_bid: bool) -> int | None:
        """Return the best price of a side, in terms of the first outcome."""
        prices = self._sides[is_bid]
        if not prices:
            return None
        return max(prices) if is_bid else min(prices)

    def level_size(self, *, is_bid: bool, price: int) -> int:
        """Return the total resting at a price."""
        return sum(resting.remaining for resting in self._sides[is_bid].get(price, ()))

    def view(self, outcome: int) -> tuple[list[Level], list[Level]]:
        """Return the outcome's bids and asks, each from the worst price to the best; not to be changed."""
        view = self._views.get(outcome)
        if view is None:
            bids = self._levels(is_bid=outcome == YES, outcome=outcome)
            asks = self._levels(is_bid=outcome != YES, outcome=outcome)
            view = self._views[outcome] = sorted(bids), sorted(asks, reverse=True)
        return view

    def _levels(self, *, is_bid: bool, outcome: int) -> list[Level]:
        return [
            Level(own_price(price, outcome), sum(resting.remaining for resting in queue))
            for price, queue in self._sides[is_bid].items()
        ]

    def _put_queue(self, order: Order, queue: deque[Resting]) -> None:
        if queue:
            self._sides[order.is_bid][order.book_price] = queue
        else:
            del self._sides[order.is_bid][order.book_price]

    def _change(self, order: Order) -> LevelChange:
        self._views.clear()
        size = self.level_size(is_bid=order.is_bid, price=order.book_price)
        return LevelChange(order.is_bid, order.book_price, size)
