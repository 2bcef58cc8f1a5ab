"""One market's paper venue: orders, states of the book and the tape worked through in the order of their instants.

Within an instant: new states first, offered to resting orders by price and time; then what was printed and
announced; then arrivals and releases by placement; then endings. What an order gets depends on these instants
alone, never on when it was worked.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from copytrade.adapters.paper import refusals
from copytrade.adapters.paper.orders import Phase, WorkingOrder
from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.book import Level, QuoteTier, tier_of
from copytrade.domain.effects import Effect
from copytrade.domain.fills import Side
from copytrade.domain.interruptions import interruption_at
from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from copytrade.domain.matching import ConsumedLiquidity, Match, decreases, flipped, sweep
from copytrade.domain.orders import OrderType
from copytrade.domain.tape import TradePrint
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import Reason
    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.interruptions import Interruption
    from copytrade.domain.tape import TapeEntry
    from copytrade.domain.units import Millis, Price
    from copytrade.ports.books import BookStore
    from copytrade.ports.execution import ExecutionEvent, OrderDone, PreparedOrder

REWIND_MS_MAX: Final[Millis] = 60_000
"""How long freed liquidity and used prints are remembered for orders that are worked late."""
_BEFORE_ALL: Final = -1


class MarketDesk:
    """The open orders of one market and what they have used up of its one book.

    The books of a market's two outcomes are mirrors of one: all its orders are worked on that of `token_id`, so
    that what one outcome's order took is gone for the other's. `revision` is the newest state that is worked,
    `heard_ms` how far the tape is; `due_ms` the next instant known to need work.
    """

    def __init__(
        self,
        token_id: str,
        *,
        condition_id: str,
        books: BookStore,
        stale_ms: Millis,
        effects: Collection[Effect],
        interruptions: Sequence[Interruption],
    ) -> None:
        self.token_id = token_id
        self.condition_id = condition_id
        self._books = books
        self._stale_ms = stale_ms
        self._effects = effects
        self._interruptions = interruptions
        self._orders: dict[UUID, WorkingOrder] = {}
        self._consumed = ConsumedLiquidity()
        self._events: list[ExecutionEvent] = []
        self.revision = _BEFORE_ALL
        self.heard_ms: Millis = 0
        self._number = _BEFORE_ALL
        self._last_state: BookSnapshot | None = None
        self._ticks: dict[int, tuple[Millis, Price]] = {}
        self._resolved_ms: Millis | None = None
        self._given: dict[int, tuple[Millis, int]] = {}
        """By number of a print: when it came, and how many of its shares our orders had."""
        self._worked_ms: Millis | None = None
        self._now_ms: Millis = 0
        self.due_ms: Millis | None = None

    @property
    def has_orders(self) -> bool:
        """Whether an order is open."""
        return bool(self._orders)

    @property
    def has_memory(self) -> bool:
        """Whether our fills are still missing from the book or the tape, for whoever comes next or late."""
        return bool(self._given) or not self._consumed.is_empty

    def add(self, order: PreparedOrder, *, now_ms: Millis) -> None:
        """Open an order; one that was placed before what is worked already goes back to its own instant."""
        self._orders[order.attempt.id] = WorkingOrder(order, book_token=self.token_id, effects=self._effects)
        decided_ms = order.attempt.decided_at_ms
        start_ms = min(order.placed_at_ms, now_ms)
        if self._worked_ms is None:
            self._go_to(self._books.book_at(self.token_id, start_ms))
            self._worked_ms = start_ms
            self.heard_ms = decided_ms
        elif start_ms <= self._worked_ms:
            self._go_back_to(self._books.book_at(self.token_id, start_ms))
        if decided_ms < self.heard_ms:
            self.heard_ms, self._number = decided_ms, _BEFORE_ALL

    def cancel(self, attempt_id: UUID, *, at_ms: Millis) -> None:
        """End an order at an instant, if it is open then."""
        if attempt_id in self._orders:
            self._orders[attempt_id].cancel(at_ms)

    def interrupt(self, why: Reason) -> list[OrderDone]:
        """End every open order with the last instant it might have lived: which one it was, nobody can tell."""
        ended = [order.done(AttemptStatus.CANCELED, why, order.deadline_ms) for order in self._orders.values()]
        self._orders.clear()
        return ended

    def work(self, *, until_ms: Millis, now_ms: Millis) -> list[ExecutionEvent]:
        """Work everything up to an instant, that included, and return what happened, in order.

        `until_ms` must be over: later messages of that instant would change what was seen.
        """
        self._now_ms = now_ms
        states = deque(self._books.states_after(self.token_id, self.revision))
        tape = deque(self._books.tape_after(self.condition_id, self.heard_ms))
        while (instant := self._next_instant(states, tape)) is not None and instant <= until_ms:
            while states and states[0].at_ms <= instant:
                self._see(states.popleft())
            while tape and tape[0].at_ms <= instant:
                self._hear(tape.popleft())
            self._admit(instant)
            self._end(instant)
        self.due_ms = instant
        self._worked_ms = until_ms if self._worked_ms is None else max(until_ms, self._worked_ms)
        self.heard_ms = max(until_ms, self.heard_ms)
        self._forget(before_ms=until_ms - REWIND_MS_MAX)
        events, self._events = self._events, []
        return events

    def _go_to(self, book: BookSnapshot | None) -> None:
        self.revision = _BEFORE_ALL if book is None else book.revision
        self._last_state = None if book is None or book.is_crossed else book

    def _go_back_to(self, book: BookSnapshot | None) -> None:
        if book is None or book.revision < self.revision:
            self._go_to(book)

    def _next_instant(self, states: deque[BookSnapshot], tape: deque[TapeEntry]) -> Millis | None:
        instants = [order.next_ms for order in self._orders.values()]
        if states:
            instants.append(states[0].at_ms)
        if tape:
            instants.append(tape[0].at_ms)
        return min(instants, default=None)

    def _see(self, state: BookSnapshot) -> None:
        """Offer a new state to every order that has not seen it."""
        self.revision = state.revision
        self._consumed.observe(state)
        offered = [order for order in self._orders.values() if order.seen_revision < state.revision]
        self._move_queues(state, [order for order in offered if order.place is not None])
        for order in sorted(offered, key=lambda order: order.book_rank):
            if order.is_timed:
                continue
            order.seen_revision = state.revision
            if state.is_crossed:
                order.lacked = "CROSSED"
            elif order.phase is Phase.RESTING:
                self._provide(order, state)
            elif order.phase is Phase.WAITING:
                self._arrive(order, state, at_ms=state.at_ms)
            else:
                self._take(order, state, at_ms=state.at_ms)

    def _move_queues(self, state: BookSnapshot, resting: Sequence[WorkingOrder]) -> None:
        """Tell resting orders what is gone from their side since the last good state."""
        if state.is_crossed:
            return
        before, self._last_state = self._last_state, state
        if before is None or not resting:
            return
        gone = {side: decreases(before.opposite(side), state.opposite(side)) for side in Side}
        for order in resting:
            if own := gone[flipped(order.book_side)]:
                order.observe(state, own)

    def _hear(self, entry: TapeEntry) -> None:
        """Let every order that has not heard it know what was printed or announced."""
        self._number = entry.number
        unaware = [order for order in self._orders.values() if order.seen_number < entry.number]
        for order in unaware:
            order.seen_number = entry.number
        match entry.told:
            case TradePrint() as trade:
                self._share_out(trade, entry, [order for order in unaware if order.place is not None])
            case TickSizeChanged(tick_size=tick):
                self._ticks[entry.number] = (entry.at_ms, tick)
                for order in [order for order in unaware if not order.is_timed and order.attempt.limit_price % tick]:
                    self._cancel(order, refusals.off_new_tick(order, tick), entry.at_ms)
            case MarketResolved():
                self._resolved_ms = entry.at_ms
                for order in [order for order in unaware if not order.is_timed]:
                    self._cancel(order, refusals.market_resolved(), entry.at_ms)

    def _share_out(self, trade: TradePrint, entry: TapeEntry, resting: Iterable[WorkingOrder]) -> None:
        """Fill resting orders from a trade on their side: the better limit first, then the earlier."""
        is_ours = trade.token_id == self.token_id
        side = trade.side if is_ours else flipped(trade.side)
        price = trade.price if is_ours else MICRO - trade.price
        _, given = self._given.get(entry.number, (entry.at_ms, 0))
        for order in sorted(resting, key=lambda order: order.book_rank):
            if order.place is None or order.book_side is side:
                continue
            reached = order.place.reached(price=price, shares=trade.size, given=given, at_ms=entry.at_ms)
            shares = min(reached, order.remaining)
            if shares > 0:
                given += shares
                self._events.append(order.provide(shares, at_ms=entry.at_ms))
                self._close_if_filled(order, entry.at_ms)
        if given:
            self._given[entry.number] = (entry.at_ms, given)

    def _admit(self, instant: Millis) -> None:
        """Let the orders in whose flight or hold is over."""
        due = [order for order in self._orders.values() if order.is_timed and order.due_ms <= instant]
        for order in sorted(due, key=lambda order: order.placement_rank):
            order.seen_revision = self.revision
            order.seen_number = self._number
            is_new = order.phase is Phase.IN_FLIGHT
            why = self._refusal(order) if is_new else self._loss(order)
            if why is not None:
                status = AttemptStatus.FAILED if is_new else AttemptStatus.CANCELED
                self._close(order, order.done(status, why, order.due_ms))
                continue
            order.phase = Phase.WAITING if is_new else Phase.RELEASED
            book = self._tradable_book(order)
            if book is not None and is_new:
                self._arrive(order, book, at_ms=order.due_ms)
            elif book is not None:
                self._take(order, book, at_ms=order.due_ms)

    def _refusal(self, order: WorkingOrder) -> Reason | None:
        interruption = interruption_at(self._interruptions, order.due_ms)
        return refusals.mode_refusal(order, interruption) or refusals.refusal(
            order, tick=self._tick(order), is_resolved=self._is_resolved(order)
        )

    def _loss(self, order: WorkingOrder) -> Reason | None:
        """Return what became of an order's market while it was held."""
        if self._is_resolved(order):
            return refusals.market_resolved()
        tick = self._tick(order)
        return refusals.off_new_tick(order, tick) if order.attempt.limit_price % tick else None

    def _tick(self, order: WorkingOrder) -> Price:
        """Return the grid when an order is due: that of its market, or what was announced since it was decided."""
        since = [
            (at_ms, tick) for at_ms, tick in self._ticks.values() if order.attempt.decided_at_ms < at_ms <= order.due_ms
        ]
        return since[-1][1] if since else order.market.tick_size

    def _is_resolved(self, order: WorkingOrder) -> bool:
        resolved_ms = self._resolved_ms
        return resolved_ms is not None and order.attempt.decided_at_ms < resolved_ms <= order.due_ms

    def _arrive(self, order: WorkingOrder, book: BookSnapshot, *, at_ms: Millis) -> None:
        """Judge a new order against the book it meets: rest, refuse, hold or take."""
        if not self._matches(order, book):
            self._rest_or_kill(order, book, at_ms)
        elif (why := refusals.marketable_refusal(order)) is not None:
            self._close(order, order.done(AttemptStatus.FAILED, why, at_ms))
        elif order.taker_delay_ms > 0:
            order.hold(at_ms + order.taker_delay_ms)
        else:
            self._take(order, book, at_ms=at_ms)

    def _take(self, order: WorkingOrder, book: BookSnapshot, *, at_ms: Millis) -> None:
        """Sweep as a taker, each level at its own price; what is left rests or is killed."""
        matches = self._matches(order, book)
        is_filled = order.is_filled_by(matches)
        if order.order_type is OrderType.FOK and not is_filled:
            matches = ()
        self._consume(order, book, matches)
        self._events += order.take(matches, at_ms=at_ms)
        if is_filled:
            self._close(order, order.finish(at_ms))
        else:
            self._rest_or_kill(order, book, at_ms)

    def _rest_or_kill(self, order: WorkingOrder, book: BookSnapshot, at_ms: Millis) -> None:
        if order.order_type.may_rest:
            order.rest(book)
        else:
            self._cancel(order, refusals.killed(order), at_ms)

    def _provide(self, order: WorkingOrder, book: BookSnapshot) -> None:
        """Trade as a maker, at our limit, what has come across it."""
        matches = self._matches(order, book)
        if not matches:
            return
        self._consume(order, book, matches)
        self._events.append(order.provide(sum(match.shares for match in matches), at_ms=book.at_ms))
        self._close_if_filled(order, book.at_ms)

    def _matches(self, order: WorkingOrder, book: BookSnapshot) -> tuple[Match, ...]:
        """Return what an order may trade, at its own prices."""
        attempt = order.attempt
        levels = (Level(order.on_book(price), size) for price, size in self._consumed.left(book, order.book_side))
        spend = None if order.phase is Phase.RESTING else order.spend
        return sweep(levels, side=attempt.side, limit=attempt.limit_price, size=order.remaining, spend=spend)

    def _consume(self, order: WorkingOrder, book: BookSnapshot, matches: Iterable[Match]) -> None:
        if Effect.IMPACT in self._effects:
            on_book = [Match(order.on_book(price), shares) for price, shares in matches]
            self._consumed.take(book, order.book_side, on_book)

    def _tradable_book(self, order: WorkingOrder) -> BookSnapshot | None:
        """Return the book of the instant an order is due, or None and note what was lacking."""
        book = self._books.book_at(self.token_id, order.due_ms)
        if book is None:
            order.lacked = "NONE"
        elif book.is_crossed:
            order.lacked = "CROSSED"
        elif self._is_stale(book, order.due_ms):
            order.lacked = "STALE"
        else:
            return book
        return None

    def _is_stale(self, book: BookSnapshot, at_ms: Millis) -> bool:
        """Tell whether a book was already too old at an instant; a later state says nothing about that."""
        view = self._books.view(self.token_id)
        if view is None or view.book.revision != book.revision:
            return False
        age_then_ms = view.age_ms - (self._now_ms - at_ms)
        return tier_of(age_then_ms, fresh_ms=0, stale_ms=self._stale_ms) is QuoteTier.HARD_STALE

    def _end(self, instant: Millis) -> None:
        over = [order for order in self._orders.values() if not order.is_timed and order.deadline_ms <= instant]
        for order in sorted(over, key=lambda order: order.placement_rank):
            self._close(order, order.end(order.deadline_ms))

    def _close_if_filled(self, order: WorkingOrder, at_ms: Millis) -> None:
        if order.remaining == 0:
            self._close(order, order.finish(at_ms))

    def _cancel(self, order: WorkingOrder, why: Reason, at_ms: Millis) -> None:
        self._close(order, order.done(AttemptStatus.CANCELED, why, at_ms))

    def _close(self, order: WorkingOrder, event: ExecutionEvent) -> None:
        del self._orders[order.attempt.id]
        self._events.append(event)

    def _forget(self, *, before_ms: Millis) -> None:
        self._consumed.forget_freed(before_ms=before_ms)
        for number in [number for number, (at_ms, _) in self._given.items() if at_ms < before_ms]:
            del self._given[number]
        if not self._orders:
            self._ticks.clear()
