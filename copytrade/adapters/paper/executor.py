"""Stage 3 on paper: orders that only exist here, worked by one loop against the books the worker keeps."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

from copytrade.adapters.paper.desk import TokenDesk
from copytrade.adapters.paper.draw import latency_ms
from copytrade.domain.attempts import AttemptStatus, ExecutionMode, reason
from copytrade.domain.ids import PAPER_ACCOUNT_ID
from copytrade.ports.execution import Executed, ExecutionAdapter, NotSentError, OrderDone, PreparedOrder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.latency import Latency
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionEvent

OPEN_ORDERS_MAX: Final = 2_000
EVENTS_MAX: Final = 1_024
"""Events waiting to be read; when there are as many, orders wait."""
MEMORIES_MAX: Final = 4_000
"""Tokens without an open order whose used-up liquidity is remembered; the longest untouched is forgotten first."""
CATCH_UP_MS: Final[Millis] = 10_000
"""How often those tokens' books are read again; shorter than the books' history, so that no state is missed."""
LOST_BOOK_PAUSE_MS: Final[Millis] = 100
"""How long to look away from a book that is lost; its states keep their instants, so nothing is missed."""


class PaperExecutor(ExecutionAdapter):
    """An account on paper. Same books, settings and seed: same fills, byte for byte.

    Orders are worked an instant after their instant, when no message can change it any more, by one loop
    in the order of placement; which task ran first never matters.
    """

    def __init__(
        self,
        *,
        books: BookStore,
        clock: Clock,
        decision_latency: Latency,
        submit_latency: Latency,
        seed: int,
        quote_stale_ms: Millis,
        account_id: str = PAPER_ACCOUNT_ID,
    ) -> None:
        self._books = books
        self._clock = clock
        self._decision_latency = decision_latency
        self._submit_latency = submit_latency
        self._seed = seed
        self._quote_stale_ms = quote_stale_ms
        self._account_id = account_id
        self._open: dict[UUID, str] = {}
        self._active: dict[str, TokenDesk] = {}
        self._idle: dict[str, TokenDesk] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._recovered: deque[ExecutionEvent] = deque()
        self._events: asyncio.Queue[ExecutionEvent] = asyncio.Queue(EVENTS_MAX)
        self._bell = asyncio.Event()
        self._catch_up_at_ms: Millis = 0

    @property
    def mode(self) -> ExecutionMode:
        return ExecutionMode.PAPER

    @property
    def account_id(self) -> str:
        return self._account_id

    def prepare(self, attempt: ExecutionAttempt, market: Market) -> PreparedOrder:
        digest = hashlib.sha256(f"paper|{attempt.id}".encode()).hexdigest()
        deciding_ms = latency_ms(self._decision_latency, seed=self._seed, attempt_id=attempt.id, leg="decision")
        sending_ms = latency_ms(self._submit_latency, seed=self._seed, attempt_id=attempt.id, leg="submit")
        placed_at_ms = attempt.decided_at_ms + deciding_ms + sending_ms
        return PreparedOrder(attempt=attempt, market=market, order_hash=f"0x{digest}", placed_at_ms=placed_at_ms)

    async def submit(self, order: PreparedOrder) -> None:
        attempt = order.attempt
        if attempt.id in self._open:
            return
        if len(self._open) >= OPEN_ORDERS_MAX:
            raise NotSentError(f"{OPEN_ORDERS_MAX} paper orders are open already")
        self._books.track(attempt.token_id)
        self._open[attempt.id] = attempt.token_id
        self._desk_of(attempt.token_id).add(order, now_ms=self._clock.now_ms())
        self._bell.set()

    async def cancel(self, attempt_id: UUID) -> None:
        token_id = self._open.get(attempt_id)
        if token_id is not None:
            self._active[token_id].cancel(attempt_id, at_ms=self._clock.now_ms())
            self._bell.set()

    async def recover(self, attempt: ExecutionAttempt) -> None:
        """End an attempt of an earlier life: what it filled stays, the rest is never placed again."""
        is_filled = 0 < attempt.size_shares_target <= attempt.filled_shares
        status = AttemptStatus.FILLED if is_filled else AttemptStatus.CANCELED
        why = None if is_filled else reason("INTERRUPTED")
        now_ms = self._clock.now_ms()
        self._recovered.append(OrderDone(attempt_id=attempt.id, status=status, reason=why, at_ms=now_ms))
        self._bell.set()

    async def events(self) -> AsyncIterator[ExecutionEvent]:
        while True:
            yield await self._events.get()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._bell.clear()
                for event in self._work(self._clock.now_ms()):
                    await self._events.put(event)
                self._watch_books(group)
                await self._rest(group)

    def _desk_of(self, token_id: str) -> TokenDesk:
        """Return the token's desk, among the active ones from now on."""
        if token_id not in self._active:
            desk = self._idle.pop(token_id, None)
            self._active[token_id] = desk or TokenDesk(token_id, books=self._books, stale_ms=self._quote_stale_ms)
        return self._active[token_id]

    def _work(self, now_ms: Millis) -> list[ExecutionEvent]:
        """Work every desk up to the last instant that is over; events in order of (instant, attempt)."""
        happened: list[ExecutionEvent] = []
        for desk in self._active.values():
            happened += desk.work(until_ms=now_ms - 1, now_ms=now_ms)
        happened.sort(key=_rank)
        for event in happened:
            if isinstance(event, OrderDone):
                del self._open[event.attempt_id]
        self._retire_desks()
        self._catch_up(now_ms)
        recovered = [self._recovered.popleft() for _ in range(len(self._recovered))]
        return recovered + happened

    def _retire_desks(self) -> None:
        """Put aside the desks without orders, and forget those that remember nothing."""
        for token_id, desk in list(self._active.items()):
            if desk.has_orders:
                continue
            del self._active[token_id]
            if desk.has_memory:
                self._idle[token_id] = desk
        while len(self._idle) > MEMORIES_MAX:
            del self._idle[next(iter(self._idle))]

    def _catch_up(self, now_ms: Millis) -> None:
        """Let the desks put aside see what their books did meanwhile."""
        if now_ms < self._catch_up_at_ms:
            return
        self._catch_up_at_ms = now_ms + CATCH_UP_MS
        for token_id, desk in list(self._idle.items()):
            desk.work(until_ms=now_ms - 1, now_ms=now_ms)
            if not desk.has_memory:
                del self._idle[token_id]

    def _watch_books(self, group: asyncio.TaskGroup) -> None:
        """Have the bell rung by the books of open orders, and by no others."""
        for token_id in [token_id for token_id in self._watches if token_id not in self._active]:
            self._watches.pop(token_id).cancel()
        for token_id in [token_id for token_id in self._active if token_id not in self._watches]:
            watch = self._watch(token_id, seen=self._active[token_id].revision)
            self._watches[token_id] = group.create_task(watch, name=f"paper.watch {token_id}")

    async def _watch(self, token_id: str, *, seen: int) -> None:
        while True:
            await self._books.changed(token_id, seen)
            states = self._books.states_after(token_id, seen)
            if states:
                seen = states[-1].revision
                self._bell.set()
            else:
                await self._clock.sleep_ms(LOST_BOOK_PAUSE_MS)

    async def _rest(self, group: asyncio.TaskGroup) -> None:
        """Wait for the bell, or until the next instant at which something is due is over."""
        due = [desk.due_ms for desk in self._active.values() if desk.due_ms is not None]
        if self._idle:
            due.append(self._catch_up_at_ms)
        if not due:
            await self._bell.wait()
            return
        alarm = group.create_task(self._ring_after(min(due) + 1 - self._clock.now_ms()), name="paper.alarm")
        try:
            await self._bell.wait()
        finally:
            alarm.cancel()

    async def _ring_after(self, duration_ms: Millis) -> None:
        await self._clock.sleep_ms(duration_ms)
        self._bell.set()


def _rank(event: ExecutionEvent) -> tuple[Millis, UUID]:
    """Return the place of an event among those of other attempts; those of one attempt keep their order."""
    if isinstance(event, Executed):
        return (event.fill.fill_at_ms, event.fill.attempt_id)
    return (event.at_ms, event.attempt_id)
