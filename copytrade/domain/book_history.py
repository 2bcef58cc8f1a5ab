"""The recent past of one book: levels at an instant and every change since."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from copytrade.domain.book import BookSnapshot, Level
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from copytrade.domain.units import Millis, Shares

Quote: TypeAlias = int
"""A price and its side in one number: the price of a bid, minus the price of an ask; never zero."""

_VENUE_TS: Final = itemgetter(2)


def mirrored_quote(quote: Quote) -> Quote:
    """Return a quote as the other outcome of a market of two has it: a bid at p is an ask at 1 - p there."""
    return quote - MICRO if quote > 0 else quote + MICRO


def mirrored_levels(levels: Mapping[Quote, Shares]) -> dict[Quote, Shares]:
    """Return levels as the other outcome has them."""
    return {mirrored_quote(quote): size for quote, size in levels.items()}


class Stretch:
    """A part of the history: the levels at its start and every change since, or a time without a book.

    State n is the book after change n, state -1 the start, whose revision is `revision`. A start that is not
    new repeats the last state of the stretch before.
    """

    __slots__ = ("at_ms", "changes", "is_new", "levels", "revision", "unsettled", "venue_ts_ms")

    def __init__(
        self,
        *,
        at_ms: Millis,
        venue_ts_ms: Millis,
        revision: int,
        levels: array[int] | dict[Quote, Shares] | None,
        is_new: bool = False,
    ) -> None:
        self.at_ms = at_ms
        self.venue_ts_ms = venue_ts_ms
        self.revision = revision
        self.levels = levels
        self.is_new = is_new
        self.changes: list[tuple[Quote, Shares, Millis, Millis]] = []
        """Quote, new size, the venue's timestamp, when it was applied (or settled)."""
        self.unsettled: set[int] = set()
        """States that were never shown."""

    def settled_up_to(self, number: int) -> int:
        """Return the last state up to this one that is settled, -2 if there is none."""
        while number in self.unsettled:
            number -= 1
        return number

    def state(self, number: int, token_id: str, *, levels: Mapping[Quote, Shares] | None = None) -> BookSnapshot | None:
        """Return a state; `levels` are its levels if they are at hand."""
        if self.levels is None or number < -1:
            return None
        held = self._levels_after(number) if levels is None else levels
        return self._snapshot(number, token_id, _bids_of(held), _asks_of(held))

    def states_after(self, revision: int, token_id: str) -> Iterator[BookSnapshot]:
        """Yield settled states newer than `revision`; a side that did not change is the same tuple as before."""
        if self.levels is None:
            return
        number = max(revision - self.revision, -1 if self.is_new else 0)
        if number >= len(self.changes):
            return
        held = self._levels_after(number)
        bids, asks = _bids_of(held), _asks_of(held)
        if number not in self.unsettled:
            yield self._snapshot(number, token_id, bids, asks)
        for later in range(number + 1, len(self.changes)):
            quote, size, _, _ = self.changes[later]
            if quote > 0:
                bids = _changed(bids, Level(quote, size), sign=-1)
            else:
                asks = _changed(asks, Level(-quote, size), sign=1)
            if later not in self.unsettled:
                yield self._snapshot(later, token_id, bids, asks)

    def states_of(self, venue_ts_ms: Millis, token_id: str) -> tuple[BookSnapshot, ...]:
        last = self.settled_up_to(bisect_right(self.changes, venue_ts_ms, key=_VENUE_TS) - 1)
        stamp = self._stamp(last)
        if last < -1 or stamp > venue_ts_ms or self.levels is None:
            return ()
        numbers: list[int] = []
        while last >= -1 and self._stamp(last) == stamp:
            numbers.append(last)
            last = self.settled_up_to(last - 1)
        return tuple(state for number in numbers if (state := self.state(number, token_id)))

    def _stamp(self, number: int) -> Millis:
        return self.changes[number][2] if number >= 0 else self.venue_ts_ms

    def _levels_after(self, number: int) -> dict[Quote, Shares]:
        levels = _unpacked(self.levels)
        for quote, size, _, _ in self.changes[: number + 1]:
            if size:
                levels[quote] = size
            else:
                levels.pop(quote, None)
        return levels

    def _snapshot(self, number: int, token_id: str, bids: tuple[Level, ...], asks: tuple[Level, ...]) -> BookSnapshot:
        return BookSnapshot(
            token_id=token_id,
            bids=bids,
            asks=asks,
            revision=self.revision + 1 + number,
            at_ms=self.changes[number][3] if number >= 0 else self.at_ms,
            venue_ts_ms=self._stamp(number),
        )


def _bids_of(levels: Mapping[Quote, Shares]) -> tuple[Level, ...]:
    quotes = sorted((quote for quote in levels if quote > 0), reverse=True)
    return tuple(Level(quote, levels[quote]) for quote in quotes)


def _asks_of(levels: Mapping[Quote, Shares]) -> tuple[Level, ...]:
    quotes = sorted((quote for quote in levels if quote < 0), reverse=True)
    return tuple(Level(-quote, levels[quote]) for quote in quotes)


def _changed(levels: Sequence[Level], level: Level, *, sign: int) -> tuple[Level, ...]:
    """Return one side, best first, with a level set or, if its size is zero, left out."""
    place = bisect_left(levels, sign * level.price, key=lambda other: sign * other.price)
    after = place + 1 if place < len(levels) and levels[place].price == level.price else place
    return (*levels[:place], *((level,) if level.size else ()), *levels[after:])


def packed(levels: Mapping[Quote, Shares]) -> array[int]:
    """Return levels in a fifth of the memory."""
    return array("q", chain.from_iterable(levels.items()))


def _unpacked(levels: array[int] | dict[Quote, Shares] | None) -> dict[Quote, Shares]:
    if isinstance(levels, dict):
        return levels.copy()
    numbers = iter(levels or ())
    return dict(zip(numbers, numbers, strict=True))
