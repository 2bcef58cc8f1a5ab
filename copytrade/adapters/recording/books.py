"""Books as a recording tells of them, shown again through the port."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final

from copytrade.domain.book import BookView, tier_of
from copytrade.domain.order_book import LiveBook
from copytrade.domain.tape import TapeEntry
from copytrade.ports.recording import PlayedBooks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.book_history import Quote
    from copytrade.domain.tape import Told
    from copytrade.domain.units import Millis, Price, Shares
    from copytrade.ports.clock import Clock

HISTORY_MS: Final = 120_000
_AT: Final = attrgetter("at_ms")
LOOKED_WITHIN_MS: Final = 2_000
"""How much later than the replay the session may have looked at a book."""


class RecordedBooks(PlayedBooks):
    """Whoever plays the recording shows states; everybody else sees a book store."""

    def __init__(
        self, clock: Clock, *, fresh_ms: Millis, stale_ms: Millis, ages: Mapping[str, Sequence[tuple[Millis, Millis]]]
    ) -> None:
        """Show nothing yet; `ages` are the instants at which a token's book was looked at and how old it was then."""
        self._clock = clock
        self._fresh_ms = fresh_ms
        self._stale_ms = stale_ms
        self._books: dict[str, LiveBook] = {}
        self._ages = ages
        self._tapes: dict[str, list[TapeEntry]] = {}
        self._number = 0
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}

    def show(self, token_id: str, levels: Mapping[Quote, Shares], *, venue_ts_ms: Millis, at_ms: Millis) -> None:
        book = self._books.setdefault(token_id, LiveBook(token_id, history_ms=HISTORY_MS))
        book.clear(at_ms)
        book.replace(levels, venue_ts_ms, at_ms)
        self._settle(book, at_ms)

    def move(
        self, token_id: str, changes: Sequence[tuple[Quote, Shares]], *, venue_ts_ms: Millis, at_ms: Millis
    ) -> None:
        book = self._books[token_id]
        book.change_many(changes, venue_ts_ms, at_ms)
        self._settle(book, at_ms)

    def lose(self, token_id: str, *, at_ms: Millis) -> None:
        self._books[token_id].clear(at_ms)
        self._wake(token_id)

    def touches(self) -> dict[str, tuple[Price, Price]]:
        last = {token_id: book.latest() for token_id, book in self._books.items()}
        return {token_id: (book.bids[0].price, book.asks[0].price) for token_id, book in last.items()
                if book is not None and book.bids and book.asks}  # fmt: skip

    def tell(self, condition_id: str, told: Told, *, at_ms: Millis) -> None:
        self._number += 1
        tape = self._tapes.setdefault(condition_id, [])
        tape.append(TapeEntry(number=self._number, at_ms=at_ms, told=told))
        if tape[0].at_ms < at_ms - 2 * HISTORY_MS:
            del tape[: bisect_left(tape, at_ms - HISTORY_MS, key=_AT)]
        self._wake(condition_id)

    def track(self, token_id: str) -> None: ...

    def pin(self, pinned: Callable[[], Collection[str]]) -> None: ...

    def view(self, token_id: str) -> BookView | None:
        book = self._books.get(token_id)
        latest = None if book is None else book.latest()
        if latest is None:
            return None
        age_ms = self._age_ms(token_id)
        return BookView(
            book=latest, age_ms=age_ms, tier=tier_of(age_ms, fresh_ms=self._fresh_ms, stale_ms=self._stale_ms)
        )

    async def first_view(self, token_id: str, *, timeout_ms: Millis) -> BookView | None:
        return self.view(token_id)

    async def refresh(self, token_id: str) -> BookView | None:
        return self.view(token_id)

    def book_at(self, token_id: str, at_ms: Millis) -> BookSnapshot | None:
        book = self._books.get(token_id)
        return None if book is None else book.book_at(at_ms)

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        book = self._books.get(token_id)
        return () if book is None else book.states_after(revision)

    def tape_after(self, condition_id: str, at_ms: Millis) -> tuple[TapeEntry, ...]:
        tape = self._tapes.get(condition_id, [])
        return tuple(tape[bisect_right(tape, at_ms, key=_AT) :])

    async def printed(self, condition_id: str, at_ms: Millis) -> None:
        while not self.tape_after(condition_id, at_ms):
            await self._told(condition_id)

    async def changed(self, token_id: str, revision: int) -> None:
        while True:
            book = self._books.get(token_id)
            if book is not None and book.revision > revision:
                return
            await self._told(token_id)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def _settle(self, book: LiveBook, at_ms: Millis) -> None:
        """Take the state for settled: others were not recorded."""
        book.settle(at_ms)
        self._wake(book.token_id)

    async def _told(self, name: str) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(name, []).append(waiter)
        await waiter

    def _wake(self, name: str) -> None:
        for waiter in self._waiters.pop(name, ()):
            if not waiter.done():
                waiter.set_result(None)

    def _age_ms(self, token_id: str) -> Millis:
        """Return how old it was by the next look at it, which the session may have taken a moment later."""
        looks, now_ms = self._ages.get(token_id, ()), self._clock.now_ms()
        place = bisect_left(looks, now_ms, key=itemgetter(0))
        if place == len(looks) or looks[place][0] - now_ms > LOOKED_WITHIN_MS:
            return 0
        at_ms, age_ms = looks[place]
        return max(0, age_ms - (at_ms - now_ms))
