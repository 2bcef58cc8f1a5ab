"""One token's paper venue: orders and states of the book worked through in the order of their instants.

Within an instant: new states first, offered to resting orders by price and time; then arrivals and releases by
placement; then endings. What an order gets depends on these instants alone, never on when it was worked.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from copytrade.adapters.paper.orders import Phase, WorkingOrder, marketable_refusal, refusal
from copytrade.domain.book import QuoteTier, tier_of
from copytrade.domain.matching import ConsumedLiquidity, Match, sweep

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.units import Millis
    from copytrade.ports.books import BookStore
    from copytrade.ports.execution import ExecutionEvent, PreparedOrder

REWIND_MS_MAX: Final[Millis] = 60_000
"""How long freed liquidity is remembered for orders that are worked late."""
_BEFORE_ALL: Final = -1


class TokenDesk:
    """The open orders of one token and what they have used up of its book.

    `revision` is the newest state of the book that is worked; `due_ms` the next instant known to need work.
    """

    def __init__(self, token_id: str, *, books: BookStore, stale_ms: Millis) -> None:
        self._token_id = token_id
        self._books = books
        self._stale_ms = stale_ms
        self._orders: dict[UUID, WorkingOrder] = {}
        self._consumed = ConsumedLiquidity()
        self._events: list[ExecutionEvent] = []
        self.revision = _BEFORE_ALL
        self._worked_ms: Millis | None = None
        self._now_ms: Millis = 0
        self.due_ms: Millis | None = None

    @property
    def has_orders(self) -> bool:
        """Whether an order is open."""
        return bool(self._orders)

    @property
    def has_memory(self) -> bool:
        """Whether our fills are still missing from the book."""
        return not self._consumed.is_empty

    def add(self, order: PreparedOrder, *, now_ms: Millis) -> None:
        """Open an order; one that was placed before what is worked already goes back to its own instant."""
        self._orders[order.attempt.id] = WorkingOrder(order)
        start_ms = min(order.placed_at_ms, now_ms)
        if self._worked_ms is None:
            self.revision = self._revision_at(start_ms)
            self._worked_ms = start_ms
        elif start_ms <= self._worked_ms:
            self.revision = min(self.revision, self._revision_at(start_ms))

    def cancel(self, attempt_id: UUID, *, at_ms: Millis) -> None:
        """End an order at an instant, if it is open then."""
        if attempt_id in self._orders:
            self._orders[attempt_id].cancel(at_ms)

    def work(self, *, until_ms: Millis, now_ms: Millis) -> list[ExecutionEvent]:
        """Work everything up to an instant, that included, and return what happened, in order.

        `until_ms` must be over: later messages of that instant would change what was seen.
        """
        self._now_ms = now_ms
        states = deque(self._books.states_after(self._token_id, self.revision))
        while (instant := self._next_instant(states)) is not None and instant <= until_ms:
            while states and states[0].at_ms <= instant:
                self._see(states.popleft())
            self._admit(instant)
            self._end(instant)
        self.due_ms = instant
        self._worked_ms = until_ms if self._worked_ms is None else max(until_ms, self._worked_ms)
        self._consumed.forget_freed(before_ms=until_ms - REWIND_MS_MAX)
        events, self._events = self._events, []
        return events

    def _revision_at(self, at_ms: Millis) -> int:
        book = self._books.book_at(self._token_id, at_ms)
        return book.revision if book is not None else _BEFORE_ALL

    def _next_instant(self, states: deque[BookSnapshot]) -> Millis | None:
        instants = [order.next_ms for order in self._orders.values()]
        if states:
            instants.append(states[0].at_ms)
        return min(instants, default=None)

    def _see(self, state: BookSnapshot) -> None:
        """Offer a new state to every order that has not seen it."""
        self.revision = state.revision
        self._consumed.observe(state)
        offered = [order for order in self._orders.values() if order.seen_revision < state.revision]
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

    def _admit(self, instant: Millis) -> None:
        """Let the orders in whose flight or hold is over."""
        due = [order for order in self._orders.values() if order.is_timed and order.due_ms <= instant]
        for order in sorted(due, key=lambda order: order.placement_rank):
            order.seen_revision = self.revision
            why = refusal(order) if order.phase is Phase.IN_FLIGHT else None
            if why is not None:
                self._close(order, order.refuse(why, order.due_ms))
                continue
            is_new = order.phase is Phase.IN_FLIGHT
            order.phase = Phase.WAITING if is_new else Phase.RELEASED
            book = self._tradable_book(order)
            if book is not None and is_new:
                self._arrive(order, book, at_ms=order.due_ms)
            elif book is not None:
                self._take(order, book, at_ms=order.due_ms)

    def _arrive(self, order: WorkingOrder, book: BookSnapshot, *, at_ms: Millis) -> None:
        """Judge a new order against the book it meets: rest, refuse, hold or take."""
        if not self._matches(order, book):
            order.phase = Phase.RESTING
        elif (why := marketable_refusal(order)) is not None:
            self._close(order, order.refuse(why, at_ms))
        elif order.market.taker_delay_ms > 0:
            order.hold(at_ms + order.market.taker_delay_ms)
        else:
            self._take(order, book, at_ms=at_ms)

    def _take(self, order: WorkingOrder, book: BookSnapshot, *, at_ms: Millis) -> None:
        """Sweep as a taker, each level at its own price; what is left rests."""
        order.phase = Phase.RESTING
        matches = self._matches(order, book)
        self._consumed.take(book, order.attempt.side, matches)
        self._events += order.take(matches, at_ms=at_ms)
        self._close_if_filled(order, at_ms)

    def _provide(self, order: WorkingOrder, book: BookSnapshot) -> None:
        """Trade as a maker, at our limit, what has come across it."""
        matches = self._matches(order, book)
        if not matches:
            return
        self._consumed.take(book, order.attempt.side, matches)
        whole = Match(order.attempt.limit_price, sum(match.shares for match in matches))
        self._events.append(order.provide(whole, at_ms=book.at_ms))
        self._close_if_filled(order, book.at_ms)

    def _matches(self, order: WorkingOrder, book: BookSnapshot) -> tuple[Match, ...]:
        attempt = order.attempt
        levels = self._consumed.left(book, attempt.side)
        return sweep(levels, side=attempt.side, limit=attempt.limit_price, size=order.remaining)

    def _tradable_book(self, order: WorkingOrder) -> BookSnapshot | None:
        """Return the book of the instant an order is due, or None and note what was lacking."""
        book = self._books.book_at(self._token_id, order.due_ms)
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
        view = self._books.view(self._token_id)
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
            self._close(order, order.end(at_ms))

    def _close(self, order: WorkingOrder, event: ExecutionEvent) -> None:
        del self._orders[order.attempt.id]
        self._events.append(event)
