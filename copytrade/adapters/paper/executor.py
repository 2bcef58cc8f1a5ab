"""Stage 3 on paper: orders that only exist here, worked by one loop against the books the worker keeps."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

from copytrade.adapters.paper.desk import MarketDesk
from copytrade.adapters.paper.draw import latency_ms
from copytrade.adapters.paper.orders import last_instant_ms
from copytrade.domain.attempts import AttemptStatus, ExecutionMode, reason
from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.ids import PAPER_ACCOUNT_ID
from copytrade.domain.orders import OrderType
from copytrade.ports.execution import (
    Executed,
    ExecutionAdapter,
    FoundOrder,
    NotSentError,
    OrderDone,
    OrderState,
    PreparedOrder,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.interruptions import Interruption
    from copytrade.domain.latency import Latency
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Shares
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionEvent

OPEN_ORDERS_MAX: Final = 2_000
EVENTS_MAX: Final = 1_024
"""Events waiting to be read; when there are as many, orders wait."""
ENDED_MAX: Final = 10_000
"""Orders whose end is remembered for `find`; the oldest is forgotten first."""
MEMORIES_MAX: Final = 4_000
"""Markets without an open order whose used-up liquidity is remembered; the longest untouched is forgotten first."""
CATCH_UP_MS: Final[Millis] = 10_000
"""How often those markets' books are read again; shorter than the books' history, so that no state is missed."""
SET_BACK_MS_MIN: Final[Millis] = 1_000
"""A wall clock that goes back by more was set: the instants of open orders mean nothing any more."""
LOST_BOOK_PAUSE_MS: Final[Millis] = 100
"""How long to look away from a book that is lost; its states keep their instants, so nothing is missed."""


class PaperExecutor(ExecutionAdapter):
    """An account on paper. Same books, tape, settings and seed: same fills, byte for byte.

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
        order_type: OrderType = OrderType.GTC,
        effects: Collection[Effect] = ALL_EFFECTS,
        interruptions: Sequence[Interruption] = (),
        account_id: str = PAPER_ACCOUNT_ID,
    ) -> None:
        self._books = books
        self._clock = clock
        self._decision_latency = decision_latency
        self._submit_latency = submit_latency
        self._seed = seed
        self._quote_stale_ms = quote_stale_ms
        self._account_id = account_id
        self._order_type = order_type
        self._effects = effects
        self._interruptions = interruptions
        self._open: dict[UUID, str] = {}
        self._filled: dict[UUID, Shares] = {}
        self._ended: dict[UUID, FoundOrder] = {}
        self._active: dict[str, MarketDesk] = {}
        self._idle: dict[str, MarketDesk] = {}
        self._watches: dict[MarketDesk, tuple[asyncio.Task[None], asyncio.Task[None]]] = {}
        self._interrupted: deque[ExecutionEvent] = deque()
        self._events: asyncio.Queue[ExecutionEvent] = asyncio.Queue(EVENTS_MAX)
        self._bell = asyncio.Event()
        self._catch_up_at_ms: Millis = 0
        self._looked_ms: Millis = 0

    @property
    def mode(self) -> ExecutionMode:
        return ExecutionMode.PAPER

    @property
    def account_id(self) -> str:
        return self._account_id

    def prepare(self, attempt: ExecutionAttempt, market: Market) -> PreparedOrder:
        digest = hashlib.sha256(f"paper|{attempt.id}".encode()).hexdigest()
        return PreparedOrder(
            attempt=attempt,
            market=market,
            order_type=self._order_type,
            order_hash=f"0x{digest}",
            placed_at_ms=attempt.decided_at_ms + self._way_ms(attempt.id),
        )

    def _way_ms(self, attempt_id: UUID) -> Millis:
        if Effect.LATENCY not in self._effects:
            return 0
        legs = (("decision", self._decision_latency), ("submit", self._submit_latency))
        return sum(latency_ms(latency, seed=self._seed, attempt_id=attempt_id, leg=leg) for leg, latency in legs)

    async def submit(self, order: PreparedOrder) -> None:
        attempt = order.attempt
        if attempt.id in self._open:
            return
        if len(self._open) >= OPEN_ORDERS_MAX:
            raise NotSentError(f"{OPEN_ORDERS_MAX} paper orders are open already")
        now_ms = self._clock.now_ms()
        self._interrupt_if_set_back(now_ms)
        desk = self._desk_of(order.market, attempt.token_id)
        self._books.track(desk.token_id)
        self._open[attempt.id] = order.market.condition_id
        desk.add(order, now_ms=now_ms)
        self._bell.set()

    async def cancel(self, attempt_id: UUID) -> None:
        condition_id = self._open.get(attempt_id)
        if condition_id is not None:
            self._active[condition_id].cancel(attempt_id, at_ms=self._clock.now_ms())
            self._bell.set()

    async def find(self, attempt: ExecutionAttempt) -> FoundOrder:
        condition_id = self._open.get(attempt.id)
        if condition_id is None:
            return self._ended.get(attempt.id, FoundOrder(state=OrderState.UNKNOWN, filled_shares=None))
        return FoundOrder(state=OrderState.OPEN, filled_shares=self._filled.get(attempt.id, 0))

    async def recover(self, attempt: ExecutionAttempt) -> OrderDone:
        """End an attempt of an earlier life: what it filled stays, the rest is never placed again."""
        is_filled = 0 < attempt.size_shares_target <= attempt.filled_shares
        status = AttemptStatus.FILLED if is_filled else AttemptStatus.CANCELED
        why = None if is_filled else reason("INTERRUPTED")
        at_ms = self._clock.now_ms()
        if attempt.placed_at_ms is not None and attempt.filled_shares > 0:
            # The clock may have been set back since: it did not end before what it got.
            at_ms = max(at_ms, last_instant_ms(attempt.placed_at_ms, attempt.ttl_ms))
        return OrderDone(attempt_id=attempt.id, status=status, reason=why, at_ms=at_ms)

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

    def _desk_of(self, market: Market, token_id: str) -> MarketDesk:
        """Return the market's desk, among the active ones from now on; one whose book is gone starts anew."""
        desk = self._active.get(market.condition_id) or self._idle.pop(market.condition_id, None)
        if desk is None or (not desk.has_orders and self._has_lost_its_book(desk, token_id)):
            desk = MarketDesk(
                token_id,
                condition_id=market.condition_id,
                books=self._books,
                stale_ms=self._quote_stale_ms,
                effects=self._effects,
                interruptions=self._interruptions,
            )
        self._active[market.condition_id] = desk
        return desk

    def _has_lost_its_book(self, desk: MarketDesk, token_id: str) -> bool:
        """Tell whether only the book of the other outcome, that of `token_id`, is still kept."""
        is_other = desk.token_id != token_id
        return is_other and self._books.view(desk.token_id) is None and self._books.view(token_id) is not None

    def _work(self, now_ms: Millis) -> list[ExecutionEvent]:
        """Work every desk up to the last instant that is over; events in order of (instant, attempt)."""
        self._interrupt_if_set_back(now_ms)
        happened: list[ExecutionEvent] = []
        for desk in self._active.values():
            happened += desk.work(until_ms=now_ms - 1, now_ms=now_ms)
        happened.sort(key=_rank)
        for event in happened:
            self._note_end(event)
        self._retire_desks()
        self._catch_up(now_ms)
        interrupted = [self._interrupted.popleft() for _ in range(len(self._interrupted))]
        return interrupted + happened

    def _interrupt_if_set_back(self, now_ms: Millis) -> None:
        """End what is open, and forget what was used up, if the clock was set back: as a restart does."""
        before_ms, self._looked_ms = self._looked_ms, now_ms
        if before_ms - now_ms < SET_BACK_MS_MIN:
            return
        why = reason("INTERRUPTED", clock_set_back_ms=before_ms - now_ms)
        for desk in self._active.values():
            for ended in desk.interrupt(why):
                self._note_end(ended)
                self._interrupted.append(ended)
        self._active.clear()
        self._idle.clear()
        self._catch_up_at_ms = 0
        self._bell.set()

    def _note_end(self, event: ExecutionEvent) -> None:
        """Keep for a while how much an order got and how it ended."""
        if isinstance(event, Executed):
            self._filled[event.fill.attempt_id] = self._filled.get(event.fill.attempt_id, 0) + event.fill.shares
            return
        del self._open[event.attempt_id]
        state = OrderState.FILLED if event.status is AttemptStatus.FILLED else OrderState.ENDED
        filled = self._filled.pop(event.attempt_id, 0)
        self._ended[event.attempt_id] = FoundOrder(state=state, filled_shares=filled)
        if len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def _retire_desks(self) -> None:
        """Put aside the desks without orders, and forget those that remember nothing."""
        for condition_id, desk in list(self._active.items()):
            if desk.has_orders:
                continue
            del self._active[condition_id]
            if desk.has_memory:
                self._idle[condition_id] = desk
        while len(self._idle) > MEMORIES_MAX:
            del self._idle[next(iter(self._idle))]

    def _catch_up(self, now_ms: Millis) -> None:
        """Let the desks put aside see what their books did meanwhile."""
        if now_ms < self._catch_up_at_ms:
            return
        self._catch_up_at_ms = now_ms + CATCH_UP_MS
        for condition_id, desk in list(self._idle.items()):
            desk.work(until_ms=now_ms - 1, now_ms=now_ms)
            if not desk.has_memory:
                del self._idle[condition_id]

    def _watch_books(self, group: asyncio.TaskGroup) -> None:
        """Have the bell rung by the books and tapes of open orders, and by no others."""
        needed = set(self._active.values())
        for desk in [desk for desk in self._watches if desk not in needed]:
            for watch in self._watches.pop(desk):
                watch.cancel()
        for desk in self._active.values():
            if desk not in self._watches:
                self._watches[desk] = (
                    group.create_task(self._watch_book(desk), name=f"paper.book {desk.token_id}"),
                    group.create_task(self._watch_tape(desk), name=f"paper.tape {desk.condition_id}"),
                )

    async def _watch_book(self, desk: MarketDesk) -> None:
        seen = desk.revision
        while True:
            await self._books.changed(desk.token_id, seen)
            states = self._books.states_after(desk.token_id, seen)
            if states:
                seen = states[-1].revision
                self._bell.set()
            else:
                await self._clock.sleep_ms(LOST_BOOK_PAUSE_MS)

    async def _watch_tape(self, desk: MarketDesk) -> None:
        heard_ms = desk.heard_ms
        while True:
            await self._books.printed(desk.condition_id, heard_ms)
            heard_ms = self._books.tape_after(desk.condition_id, heard_ms)[-1].at_ms
            self._bell.set()

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
