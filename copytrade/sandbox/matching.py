"""Price-time matching of one incoming order against a book."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from copytrade.sandbox.book import Book, LevelChange, Order, own_price
from copytrade.sandbox.events import BUY
from copytrade.sandbox.micro import notional_down


class MatchKind(StrEnum):
    """How the exchange settles two orders (CTF Exchange `_deriveMatchType`)."""

    COMPLEMENTARY = "complementary"
    MINT = "mint"
    MERGE = "merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One resting order's part in a match, at the resting order's price."""

    maker: Order
    size: int
    book_price: int

    @property
    def maker_collateral(self) -> int:
        """Collateral the resting order pays or receives, micro-units, rounded down."""
        return notional_down(size=self.size, price=own_price(self.book_price, self.maker.outcome))

    def kind(self, taker: Order) -> MatchKind:
        """Say how this leg settles against the taker."""
        if self.maker.outcome == taker.outcome:
            return MatchKind.COMPLEMENTARY
        return MatchKind.MINT if taker.side == BUY else MatchKind.MERGE

    def taker_collateral(self, taker: Order) -> int:
        """Collateral the taker pays or receives: what the maker does, or the rest of 1 each."""
        if self.maker.outcome == taker.outcome:
            return self.maker_collateral
        return self.size - self.maker_collateral


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What one incoming order did; `changes` in the order the levels changed."""

    taker: Order
    legs: tuple[Leg, ...]
    unfilled: int
    changes: tuple[LevelChange, ...]


def match(book: Book, taker: Order) -> Match:
    """Fill the order from the opposite side, best price first, oldest first, up to its limit."""
    legs: list[Leg] = []
    changes: list[LevelChange] = []
    unfilled = taker.size
    while unfilled:
        resting = book.front(is_bid=not taker.is_bid)
        if resting is None or not would_cross(taker, resting.order.book_price):
            break
        size = min(unfilled, resting.remaining)
        legs.append(Leg(maker=resting.order, size=size, book_price=resting.order.book_price))
        changes.append(book.take(resting, size))
        unfilled -= size
    return Match(taker=taker, legs=tuple(legs), unfilled=unfilled, changes=_last_sizes(changes))


def would_cross(taker: Order, book_price: int) -> bool:
    """Say whether the order's limit reaches a resting price of the other side."""
    return taker.book_price >= book_price if taker.is_bid else taker.book_price <= book_price


def _last_sizes(changes: list[LevelChange]) -> tuple[LevelChange, ...]:
    latest = {(change.is_bid, change.price): change for change in changes}
    return tuple(latest.values())
