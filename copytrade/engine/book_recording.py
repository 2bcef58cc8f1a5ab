"""Writing down every settled state of the books that decisions are made on, from the first decision on each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from copytrade.engine.session import BookAged, BookGone, BookMoved, BookShown
from copytrade.ports.books import BookStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from copytrade.domain.book import BookSnapshot, BookView, Level
    from copytrade.domain.market import Market
    from copytrade.domain.tape import TapeEntry
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock
    from copytrade.ports.recording import Chronicle

FOLLOWED_MAX: Final = 5_000
"""Tokens followed at once; fills on further ones are recorded without what their book did later."""
FOLLOWED_FOR_MS: Final[Millis] = 1_800_000
"""How long after the last decision or execution on a token its book is recorded."""
LOST_BOOK_PAUSE_MS: Final[Millis] = 100


@dataclass(slots=True, kw_only=True)
class _Followed:
    """One token: its number in the file, the newest revision written, and the last book, None while there is none."""

    number: int
    token_id: str
    seen: int
    until_ms: Millis
    is_watched: bool = False
    last: BookSnapshot | None = None


class BookRecorder:
    """Follows books through the port like anybody else; a state that nobody could see is not written."""

    def __init__(self, books: BookStore, chronicle: Chronicle, clock: Clock) -> None:
        self._books = books
        self._chronicle = chronicle
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._numbers: dict[str, int] = {}
        self._bell = asyncio.Event()

    def follow(self, token_id: str, market: Market | None) -> None:
        """Write this token's book from now on, and for a while after it is last asked for.

        With it go the kept books of its market's other outcomes: an order may be worked on any of them.
        """
        self._follow(token_id)
        for token in () if market is None else market.tokens:
            if self._books.view(token.token_id) is not None:
                self._follow(token.token_id)

    def _follow(self, token_id: str) -> None:
        if self.keep(token_id) or len(self._followed) >= FOLLOWED_MAX:
            return
        number = self._numbers.setdefault(token_id, len(self._numbers))
        view = self._books.view(token_id)
        kept = self._books.states_after(token_id, 0) if view is None else ()
        seen = view.book.revision if view else max((state.revision for state in kept), default=0)
        until_ms = self._clock.now_ms() + FOLLOWED_FOR_MS
        followed = _Followed(number=number, token_id=token_id, seen=seen, until_ms=until_ms)
        self._followed[token_id] = followed
        if view is not None:
            self._show(followed, view.book)
        self._bell.set()

    def keep(self, token_id: str) -> bool:
        """Go on for longer with a token that is followed; False if it is not."""
        followed = self._followed.get(token_id)
        if followed is not None:
            followed.until_ms = self._clock.now_ms() + FOLLOWED_FOR_MS
        return followed is not None

    def catch_up(self) -> None:
        """Write what every followed book did until now."""
        for followed in self._followed.values():
            self._write(followed)

    async def run(self) -> None:
        """Write what books do until cancelled."""
        async with asyncio.TaskGroup() as watches:
            while True:
                self._bell.clear()
                for followed in [one for one in self._followed.values() if not one.is_watched]:
                    followed.is_watched = True
                    watches.create_task(self._watch(followed), name=f"record {followed.token_id}")
                await self._bell.wait()

    async def _watch(self, followed: _Followed) -> None:
        """Write each new state as it comes, until nobody has asked for the token for a while."""
        while self._clock.now_ms() < followed.until_ms:
            try:
                async with asyncio.timeout((followed.until_ms - self._clock.now_ms()) / 1000):
                    await self._books.changed(followed.token_id, followed.seen)
            except TimeoutError:
                continue
            if not self._write(followed):
                await self._clock.sleep_ms(LOST_BOOK_PAUSE_MS)
        self._write(followed)
        if followed.last is not None:
            self._chronicle.write(BookGone(at_ms=max(followed.last.at_ms, self._clock.now_ms()), token=followed.number))
        del self._followed[followed.token_id]

    def _write(self, followed: _Followed) -> bool:
        """Write the states since the last time, and where the book was lost; False if there are none."""
        states = self._books.states_after(followed.token_id, followed.seen)
        for state in states:
            if followed.last is not None and state.at_ms > followed.last.at_ms:
                self._note_loss(followed, until_ms=state.at_ms - 1)
            if followed.last is None:
                self._show(followed, state)
            else:
                self._move(followed, followed.last, state)
        if not states and self._books.view(followed.token_id) is None:
            self._note_loss(followed, until_ms=self._clock.now_ms())
        return bool(states)

    def _note_loss(self, followed: _Followed, *, until_ms: Millis) -> None:
        """Find the instant from which on there was no book, if there was none at `until_ms`."""
        if followed.last is None or self._books.book_at(followed.token_id, until_ms) is not None:
            return
        there_ms, gone_ms = followed.last.at_ms - 1, until_ms
        while gone_ms - there_ms > 1:
            middle_ms = (there_ms + gone_ms) // 2
            is_there = self._books.book_at(followed.token_id, middle_ms) is not None
            there_ms, gone_ms = (middle_ms, gone_ms) if is_there else (there_ms, middle_ms)
        self._chronicle.write(BookGone(at_ms=gone_ms, token=followed.number))
        followed.last = None

    def _show(self, followed: _Followed, state: BookSnapshot) -> None:
        levels = tuple(chain(_flat(state.bids, sign=1), _flat(state.asks, sign=-1)))
        self._chronicle.write(
            BookShown(
                at_ms=state.at_ms,
                token=followed.number,
                token_id=followed.token_id,
                venue_ts_ms=state.venue_ts_ms,
                levels=levels,
            )
        )
        followed.last, followed.seen = state, state.revision

    def _move(self, followed: _Followed, last: BookSnapshot, state: BookSnapshot) -> None:
        changes = tuple(chain(_changed(last.bids, state.bids, sign=1), _changed(last.asks, state.asks, sign=-1)))
        self._chronicle.write(
            BookMoved(at_ms=state.at_ms, token=followed.number, venue_ts_ms=state.venue_ts_ms, changes=changes)
        )
        followed.last, followed.seen = state, state.revision


class RecordingBooks(BookStore):
    """The same books for who trades on them: how old each was when it was looked at is written down."""

    def __init__(self, books: BookStore, chronicle: Chronicle, clock: Clock) -> None:
        self._books = books
        self._chronicle = chronicle
        self._clock = clock

    def track(self, token_id: str) -> None:
        self._books.track(token_id)

    def pin(self, pinned: Callable[[], Collection[str]]) -> None:
        self._books.pin(pinned)

    def view(self, token_id: str) -> BookView | None:
        view = self._books.view(token_id)
        if view is not None:
            self._chronicle.write(BookAged(at_ms=self._clock.now_ms(), token_id=token_id, age_ms=view.age_ms))
        return view

    async def first_view(self, token_id: str, *, timeout_ms: Millis) -> BookView | None:
        return await self._books.first_view(token_id, timeout_ms=timeout_ms)

    async def refresh(self, token_id: str) -> BookView | None:
        return await self._books.refresh(token_id)

    def book_at(self, token_id: str, at_ms: Millis) -> BookSnapshot | None:
        return self._books.book_at(token_id, at_ms)

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        return self._books.states_after(token_id, revision)

    def tape_after(self, condition_id: str, at_ms: Millis) -> tuple[TapeEntry, ...]:
        return self._books.tape_after(condition_id, at_ms)

    async def printed(self, condition_id: str, at_ms: Millis) -> None:
        await self._books.printed(condition_id, at_ms)

    async def changed(self, token_id: str, revision: int) -> None:
        await self._books.changed(token_id, revision)

    async def run(self) -> None:
        await self._books.run()


def _flat(levels: Iterable[Level], *, sign: int) -> Iterable[int]:
    """Return quotes and sizes in turn; a quote is the price of a bid, minus the price of an ask."""
    return chain.from_iterable((sign * level.price, level.size) for level in levels)


def _changed(before: tuple[Level, ...], after: tuple[Level, ...], *, sign: int) -> Iterable[int]:
    if before is after:
        return ()
    was, now = dict(before), dict(after)
    gone = [(sign * price, 0) for price in was if price not in now]
    new = [(sign * price, size) for price, size in now.items() if was.get(price) != size]
    return chain.from_iterable([*gone, *new])
