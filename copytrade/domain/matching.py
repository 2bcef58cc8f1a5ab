"""How an order trades with the book it sees: sweep, rest, and what our own fills have already used up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from copytrade.domain.book import Level
from copytrade.domain.fills import Side
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.units import Millis, Price, Shares, Usdc


class Match(NamedTuple):
    """Shares traded at one price."""

    price: Price
    shares: Shares


def crosses(price: Price, *, side: Side, limit: Price) -> bool:
    """Tell whether an order of `side` limited to `limit` may trade at `price`."""
    return price <= limit if side is Side.BUY else price >= limit


def sweep(
    levels: Iterable[Level], *, side: Side, limit: Price, size: Shares, spend: Usdc | None = None
) -> tuple[Match, ...]:
    """Return what an order takes from `levels` (best first): each at its own price, up to its limit and size.

    With `spend` it also ends when that much is spent, to less than a micro-USDC.
    """
    matches = []
    left = None if spend is None else spend * MICRO
    for level in levels:
        if size == 0 or not crosses(level.price, side=side, limit=limit):
            break
        shares = min(size, level.size) if left is None else min(size, level.size, left // level.price)
        if shares == 0:
            break
        matches.append(Match(level.price, shares))
        size -= shares
        if left is not None:
            left -= shares * level.price
    return tuple(matches)


def is_spent(matches: Iterable[Match], *, spend: Usdc) -> bool:
    """Tell whether less than a micro-USDC is left of `spend` after these matches."""
    return spend * MICRO - sum(match.price * match.shares for match in matches) < MICRO


def decreases(before: Sequence[Level], after: Sequence[Level]) -> tuple[Match, ...]:
    """Return what is gone from each price of one side of a book between two states."""
    if before is after:
        return ()
    now = dict(after)
    return tuple(Match(price, size - now.get(price, 0)) for price, size in before if size > now.get(price, 0))


def flipped(side: Side) -> Side:
    """Return the side that an order has on the book of the other outcome, where prices are one less ours."""
    return Side.SELL if side is Side.BUY else Side.BUY


class _Take(NamedTuple):
    """Shares our fills took from a level that stated `stated`, until a state freed the level by restating it."""

    stated: Shares
    shares: Shares
    since_revision: int
    freed_revision: int | None
    freed_at_ms: Millis

    def counts_against(self, *, stated: Shares, revision: int) -> bool:
        """Tell whether these shares are missing from a level that states `stated` in that state of the book.

        A state older than the take counts too: a late order cannot have what an earlier one got.
        """
        return stated == self.stated and (self.freed_revision is None or revision < self.freed_revision)


class ConsumedLiquidity:
    """What our own fills took from one book's levels, gone until the book states another size there.

    `side` is always that of the order that trades: a BUY takes from the asks. States may be shown again,
    in any order; what is known of them does not change.
    """

    def __init__(self) -> None:
        self._takes: dict[tuple[Side, Price], list[_Take]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether every level is as the book states it."""
        return not self._takes

    def left(self, book: BookSnapshot, side: Side) -> tuple[Level, ...]:
        """Return the levels an order of `side` may trade against, best first, less what is used up."""
        stated = book.opposite(side)
        if not self._takes:
            return stated
        levels = (Level(price, size - self._gone(book, side, price, size)) for price, size in stated)
        return tuple(level for level in levels if level.size > 0)

    def take(self, book: BookSnapshot, side: Side, matches: Iterable[Match]) -> None:
        """Note what an order of `side` took from `book`."""
        stated = dict(book.opposite(side))
        for price, shares in matches:
            takes = self._takes.setdefault((side, price), [])
            last = takes[-1] if takes else None
            same_level = last is not None and last.freed_revision is None and last.stated == stated[price]
            if last is not None and same_level and book.revision >= last.since_revision:
                takes[-1] = last._replace(shares=last.shares + shares)
            else:
                takes.append(_Take(stated[price], shares, book.revision, None, 0))

    def observe(self, book: BookSnapshot) -> None:
        """Free the levels to which a state gives another size than the one we took from."""
        if not self._takes:
            return
        sizes = {Side.BUY: dict(book.asks), Side.SELL: dict(book.bids)}
        for (side, price), takes in self._takes.items():
            stated = sizes[side].get(price, 0)
            for place, take in enumerate(takes):
                is_earlier = take.freed_revision is not None and take.freed_revision <= book.revision
                if take.since_revision < book.revision and take.stated != stated and not is_earlier:
                    takes[place] = take._replace(freed_revision=book.revision, freed_at_ms=book.at_ms)

    def forget_freed(self, *, before_ms: Millis) -> None:
        """Drop what was freed before an instant: no order that late is to be judged any more."""
        for level, takes in list(self._takes.items()):
            kept = [take for take in takes if take.freed_revision is None or take.freed_at_ms >= before_ms]
            if kept:
                self._takes[level] = kept
            else:
                del self._takes[level]

    def _gone(self, book: BookSnapshot, side: Side, price: Price, stated: Shares) -> Shares:
        takes = self._takes.get((side, price), ())
        return sum(take.shares for take in takes if take.counts_against(stated=stated, revision=book.revision))
