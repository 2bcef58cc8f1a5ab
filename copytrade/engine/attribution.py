"""Why each copy cost what it cost: noted while it happens, from the books that are kept anyway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import OPEN_STATUSES, Decision
from copytrade.domain.attribution import Attribution, BookTop, Way, outcome_of, top_of
from copytrade.domain.happenings import Decided, Happening, OrderEnded, OrderFilled, OrderSent
from copytrade.domain.markouts import NOT_WATCHED
from copytrade.engine.past_books import SETTLED_AFTER_MS
from copytrade.ports.notifier import Notifier
from copytrade.strategies.copy.verdicts import verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.units import Price
    from copytrade.engine.past_books import PastBooks
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger


WRITE_EVERY_MS: Final = 1_000
"""How long facts are gathered before they are written together: a fill waits for no such write."""
WATCHED_MAX: Final = 10_000
"""Attempts whose story is being noted; beyond them a story is left to the next start, and said so."""
RECOVERED_MAX: Final = 1_000
"""So many of the newest attempts are looked at when the worker starts."""


@dataclass(slots=True, kw_only=True)
class _Watch:
    """One attempt whose attribution is not final; `noted` is None until it is known what an earlier life kept."""

    attempt: ExecutionAttempt
    noted: Attribution | None
    is_dirty: bool = True

    @property
    def awaits_placement(self) -> bool:
        """Whether the book at its placement is still to be looked up."""
        if self.noted is None or self.attempt.placed_at_ms is None:
            return False
        return self.noted.book_at_placement is None and "book_at_placement" not in dict(self.noted.missing)


class Attributions(Notifier):
    """Listens to decisions and orders, and writes what they cost once a second, never before them."""

    def __init__(
        self, *, ledger: Ledger, books: PastBooks, clock: Clock, note: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._ledger = ledger
        self._books = books
        self._clock = clock
        self._note = note
        self._watched: dict[UUID, _Watch] = {}
        self._bell = asyncio.Event()
        self._lost = 0

    def tell(self, happening: Happening) -> None:
        """Take note of what an attempt became."""
        match happening:
            case Decided(attempt=attempt) if attempt.decision is Decision.TRADE:
                self._begin(happening)
            case OrderSent(attempt=attempt) | OrderFilled(attempt=attempt) | OrderEnded(attempt=attempt):
                self._follow(attempt)
            case _:
                return
        self._bell.set()

    async def run(self) -> None:
        """Write what is known until cancelled, and once more then."""
        await self._recover()
        try:
            while True:
                await self._bell.wait()
                await self._clock.sleep_ms(WRITE_EVERY_MS)
                self._bell.clear()
                await self._write()
                if any(watch.awaits_placement for watch in self._watched.values()):
                    self._bell.set()
        finally:
            await self._write()

    def _begin(self, decided: Decided) -> None:
        book = None if decided.book is None else top_of(decided.book)
        side = decided.attempt.side
        noted = Attribution(
            attempt_id=decided.attempt.id,
            way=Way(
                leader=decided.recorded.fill.price,
                mid_at_decision=None if book is None else book.mid,
                touch_at_decision=None if book is None else book.touch(side),
            ),
            book_at_decision=book,
            book_at_placement=None,
            outcome=None,
            verdicts=verdicts(decided.attempt.reasons, side),
            missing=() if book else (("book_at_decision", "NO_BOOK"),),
            is_final=False,
        )
        self._add(_Watch(attempt=decided.attempt, noted=noted))

    def _follow(self, attempt: ExecutionAttempt) -> None:
        watch = self._watched.get(attempt.id)
        if watch is None:
            self._add(_Watch(attempt=attempt, noted=None))
        else:
            watch.attempt = attempt
            watch.is_dirty = True

    def _add(self, watch: _Watch) -> None:
        if len(self._watched) < WATCHED_MAX:
            self._watched[watch.attempt.id] = watch
        else:
            self._lost += 1

    async def _recover(self) -> None:
        """Take up what an earlier life left open; what nobody saw then is not known."""
        for one in await self._ledger.unattributed(newest=RECOVERED_MAX):
            noted = one.kept or _unseen(one.attempt, one.leader_price)
            watch = self._watched.setdefault(one.attempt.id, _Watch(attempt=one.attempt, noted=noted))
            watch.noted = watch.noted or noted
        self._bell.set()

    async def _write(self) -> None:
        """Look up the books that are due, and store everything that changed in one transaction."""
        for watch in self._watched.values():
            self._look(watch)
        dirty = [watch for watch in self._watched.values() if watch.is_dirty]
        for watch in dirty:
            watch.is_dirty = False
        written = await self._as_they_stand(dirty)
        if written:
            await self._ledger.keep_attributions(written, now_ms=self._clock.now_ms())
        for noted in written:
            if noted.is_final and not self._watched[noted.attempt_id].is_dirty:
                del self._watched[noted.attempt_id]
        if self._lost:
            lost, self._lost = self._lost, 0
            self._note("ATTRIBUTION_LEFT", {"attempts": lost, "at_once_max": WATCHED_MAX})

    def _look(self, watch: _Watch) -> None:
        placed_at_ms, now_ms = watch.attempt.placed_at_ms, self._clock.now_ms()
        if watch.noted is None or placed_at_ms is None or not watch.awaits_placement:
            return
        if now_ms <= placed_at_ms + SETTLED_AFTER_MS:
            return
        found = self._books.at(watch.attempt.token_id, placed_at_ms, now_ms=now_ms)
        watch.noted = _with_placement(watch.noted, watch.attempt, found)
        watch.is_dirty = True

    async def _as_they_stand(self, dirty: Sequence[_Watch]) -> list[Attribution]:
        executions: dict[UUID, list[ExecutionFill]] = {watch.attempt.id: [] for watch in dirty}
        for fill in await self._ledger.executions_of(executions) if dirty else ():
            executions[fill.attempt_id].append(fill)
        await self._learn([watch for watch in dirty if watch.noted is None])
        written: list[Attribution] = []
        for watch in dirty:
            noted = watch.noted
            if noted is None:
                continue
            has_ended = watch.attempt.status not in OPEN_STATUSES
            if has_ended and watch.attempt.placed_at_ms is None:
                noted = _without_placement(noted)
            watch.noted = replace(
                noted, outcome=outcome_of(watch.attempt.side, noted.way, executions[watch.attempt.id])
            )
            watch.noted = replace(watch.noted, is_final=has_ended and not watch.awaits_placement)
            written.append(watch.noted)
        return written

    async def _learn(self, unknown: Sequence[_Watch]) -> None:
        """Take what an earlier life noted of attempts, else what can be said without it; a start ends many at once."""
        if not unknown:
            return
        kept = {one.attempt_id: one for one in await self._ledger.attributions_of([one.attempt.id for one in unknown])}
        rest = [one.attempt.id for one in unknown if one.attempt.id not in kept]
        prices = await self._ledger.prices_followed(rest) if rest else {}
        for watch in unknown:
            attempt = watch.attempt
            if attempt.id in kept:
                watch.noted = kept[attempt.id]
            elif attempt.id in prices:
                watch.noted = _unseen(attempt, prices[attempt.id])


def _unseen(attempt: ExecutionAttempt, leader_price: Price) -> Attribution:
    """Return the attribution of an attempt that was made when nobody noted it."""
    return Attribution(
        attempt_id=attempt.id,
        way=Way(leader=leader_price),
        book_at_decision=None,
        book_at_placement=None,
        outcome=None,
        verdicts=verdicts(attempt.reasons, attempt.side),
        missing=(("book_at_decision", NOT_WATCHED), ("book_at_placement", NOT_WATCHED)),
        is_final=False,
    )


def _with_placement(noted: Attribution, attempt: ExecutionAttempt, found: BookTop | str) -> Attribution:
    if isinstance(found, str):
        return replace(noted, missing=(*noted.missing, ("book_at_placement", found)))
    way = replace(noted.way, touch_at_placement=found.touch(attempt.side))
    return replace(noted, book_at_placement=found, way=way)


def _without_placement(noted: Attribution) -> Attribution:
    if "book_at_placement" in dict(noted.missing):
        return noted
    return replace(noted, missing=(*noted.missing, ("book_at_placement", "NEVER_PLACED")))
