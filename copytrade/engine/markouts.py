"""What the market did after each of our fills, looked up when the time has come."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Settlement
from copytrade.domain.happenings import Happening, OrderFilled
from copytrade.domain.markouts import NOT_WATCHED, FillMarks
from copytrade.engine.attribution import RECOVERED_MAX, WRITE_EVERY_MS
from copytrade.engine.past_books import SETTLED_AFTER_MS
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.units import Millis
    from copytrade.engine.past_books import PastBooks
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger

OPEN_MAX: Final = 50_000
"""Instants of fills that wait for a mark; beyond them a fill is not marked, and that is noted."""
RESOLVED_EVERY_MS: Final = 60_000
RESOLVED_AT_ONCE: Final = 500
ONE_SIDED: Final = "ONE_SIDED"
"""The book had no mid: one of its sides was empty."""

Key = tuple["UUID", "Millis"]


class Markouts(Notifier):
    """Marks what each attempt filled at one instant by the mid of the book some time later, and by the payout."""

    def __init__(
        self, *, ledger: Ledger, books: PastBooks, clock: Clock, note: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        self._ledger = ledger
        self._books = books
        self._clock = clock
        self._note = note
        self._open: dict[Key, FillMarks] = {}
        self._due: list[tuple[Millis, Key]] = []
        self._dirty: dict[Key, FillMarks] = {}
        self._started_ms: Millis = 0
        self._lost = 0
        self._bell = asyncio.Event()

    def tell(self, happening: Happening) -> None:
        """Have a fill marked later."""
        if isinstance(happening, OrderFilled) and happening.fill.settlement is not Settlement.FAILED:
            self._begin(_unmarked(happening.fill))

    async def run(self) -> None:
        """Mark what is due until cancelled."""
        self._started_ms = self._clock.now_ms()
        await self._recover()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._mark(), name="markouts-timed")
            loops.create_task(self._resolve(), name="markouts-resolved")

    async def _mark(self) -> None:
        try:
            while True:
                await self._wait()
                self._look()
                await self._write()
        finally:
            await self._write()

    async def _resolve(self) -> None:
        """Take over the payouts of resolved markets as the registry learns them."""
        while True:
            while await self._ledger.mark_resolved(limit=RESOLVED_AT_ONCE) == RESOLVED_AT_ONCE:
                pass
            await self._clock.sleep_ms(RESOLVED_EVERY_MS)

    async def _wait(self) -> None:
        """Wait until something is due or new, at least for as long as facts are gathered for one write."""
        self._bell.clear()
        if not self._dirty:
            wait_ms = self._due[0][0] - self._clock.now_ms() if self._due else None
            try:
                async with asyncio.timeout(None if wait_ms is None else max(0, wait_ms) / 1000):
                    await self._bell.wait()
            except TimeoutError:
                pass
        await self._clock.sleep_ms(WRITE_EVERY_MS)

    def _begin(self, marks: FillMarks) -> None:
        key = (marks.attempt_id, marks.fill_at_ms)
        if key in self._open or key in self._dirty:
            return
        if len(self._open) >= OPEN_MAX:
            self._lost += 1
            return
        self._dirty[key] = marks
        self._schedule(key, marks)
        self._bell.set()

    def _schedule(self, key: Key, marks: FillMarks) -> None:
        if (due := marks.next_due) is None:
            self._open.pop(key, None)
            return
        self._open[key] = marks
        heapq.heappush(self._due, (due[1] + SETTLED_AFTER_MS + 1, key))

    def _look(self) -> None:
        now_ms = self._clock.now_ms()
        while self._due and self._due[0][0] <= now_ms:
            _, key = heapq.heappop(self._due)
            marks = self._open.get(key)
            if marks is not None and (due := marks.next_due) is not None:
                self._dirty[key] = self._marked(marks, *due, now_ms=now_ms)
                self._schedule(key, self._dirty[key])

    def _marked(self, marks: FillMarks, horizon: str, at_ms: Millis, *, now_ms: Millis) -> FillMarks:
        if at_ms < self._started_ms:
            return marks.lacking(horizon, NOT_WATCHED)
        found = self._books.at(marks.token_id, at_ms, now_ms=now_ms)
        if isinstance(found, str):
            return marks.lacking(horizon, found)
        return marks.lacking(horizon, ONE_SIDED) if found.mid is None else marks.marked(horizon, found.mid)

    async def _write(self) -> None:
        written, self._dirty = self._dirty, {}
        if written:
            await self._ledger.keep_marks(tuple(written.values()))
        if self._lost:
            lost, self._lost = self._lost, 0
            self._note("MARKOUTS_LEFT", {"fills": lost, "open_max": OPEN_MAX})

    async def _recover(self) -> None:
        """Go on with what an earlier life left open, and with fills it had no time to note."""
        for marks in await self._ledger.open_marks(limit=OPEN_MAX):
            self._schedule((marks.attempt_id, marks.fill_at_ms), marks)
        for fill in await self._ledger.unmarked(newest=RECOVERED_MAX):
            self._begin(_unmarked(fill))


def _unmarked(fill: ExecutionFill) -> FillMarks:
    return FillMarks(attempt_id=fill.attempt_id, token_id=fill.token_id, fill_at_ms=fill.fill_at_ms)
