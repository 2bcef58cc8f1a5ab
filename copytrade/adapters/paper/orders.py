"""A paper order while it lives: where it stands, what is left of it, and what is reported of it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from copytrade.adapters.paper.place import Place
from copytrade.adapters.paper.refusals import time_is_over
from copytrade.domain.attempts import AttemptStatus, ExecutionFill, Liquidity, Settlement, reason
from copytrade.domain.effects import Effect
from copytrade.domain.fees import sweep_fees_down
from copytrade.domain.fills import Side
from copytrade.domain.ids import execution_fill_id
from copytrade.domain.market import NO_FEES
from copytrade.domain.matching import Match, flipped, is_spent
from copytrade.domain.orders import OrderType, spend_down
from copytrade.domain.units import MICRO, ceil_to
from copytrade.ports.execution import Executed, OrderDone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import Reason
    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.units import Millis, Price, Shares, Usdc
    from copytrade.ports.execution import PreparedOrder

_SECOND_MS = 1_000


def last_instant_ms(placed_at_ms: Millis, ttl_ms: Millis) -> Millis:
    """Return the last instant that an order of any type may live, in whole seconds."""
    return ceil_to(placed_at_ms + ttl_ms, _SECOND_MS)


class Phase(Enum):
    """Where an order stands; IN_FLIGHT and HELD wait for an instant, WAITING and RELEASED for a book."""

    IN_FLIGHT = auto()
    WAITING = auto()
    HELD = auto()
    RELEASED = auto()
    RESTING = auto()


class WorkingOrder:
    """One open order; `due_ms` is when it arrives or is released, `deadline_ms` the last instant it lives.

    It is worked on the book of `book_token`: an order for the market's other outcome is on that book's other
    side, at one less its price (`book_side`, `on_book`). `seen_revision` and `seen_number` are the newest state
    of the book and entry of the tape that it was offered, so that none is offered twice.
    """

    def __init__(self, order: PreparedOrder, *, book_token: str, effects: Collection[Effect]) -> None:
        self.attempt = attempt = order.attempt
        self.market = order.market
        self.order_type = order.order_type
        self.placed_at_ms = order.placed_at_ms
        self.taker_delay_ms = order.market.taker_delay_ms if Effect.DELAY in effects else 0
        self.spend = spend_down(
            order.order_type, side=attempt.side, shares=attempt.size_shares_target, limit=attempt.limit_price
        )
        self.phase = Phase.IN_FLIGHT
        self.place: Place | None = None
        self.due_ms = order.placed_at_ms
        self.deadline_ms = self.expires_ms
        self.remaining = attempt.size_shares_target
        self.seen_revision = self.seen_number = -1
        self.lacked = ""
        self._is_mirrored = attempt.token_id != book_token
        self._queues = Effect.QUEUE in effects
        self._fees = order.market.fees if Effect.FEES in effects else NO_FEES
        self._fills = 0
        self._is_cancelled = False

    @property
    def is_timed(self) -> bool:
        """Whether it waits for an instant and nothing else can happen to it before."""
        return self.phase is Phase.IN_FLIGHT or self.phase is Phase.HELD

    @property
    def next_ms(self) -> Millis:
        """The next instant at which something happens to it whatever the book does."""
        return self.due_ms if self.is_timed else self.deadline_ms

    @property
    def expires_ms(self) -> Millis:
        """The last instant of its time to live; the venue knows expirations in whole seconds."""
        if self.order_type is OrderType.GTD:
            return last_instant_ms(self.placed_at_ms, self.attempt.ttl_ms)
        return self.placed_at_ms + self.attempt.ttl_ms

    @property
    def has_fills(self) -> bool:
        """Whether anything of it was executed."""
        return self._fills > 0

    @property
    def book_side(self) -> Side:
        """Its side on the book it is worked on."""
        return flipped(self.attempt.side) if self._is_mirrored else self.attempt.side

    @property
    def placement_rank(self) -> tuple[Millis, Millis, UUID]:
        """The order of arrival."""
        return (self.due_ms, self.placed_at_ms, self.attempt.id)

    @property
    def book_rank(self) -> tuple[bool, Price, Millis, UUID]:
        """The order in which a new state of the book is offered: at rest by price and time, then arrivals."""
        is_resting = self.phase is Phase.RESTING
        limit = self.on_book(self.attempt.limit_price)
        if self.book_side is Side.BUY:
            limit = -limit
        return (not is_resting, limit if is_resting else 0, self.placed_at_ms, self.attempt.id)

    def on_book(self, price: Price) -> Price:
        """Translate between its own prices and those of the book it is worked on; its own inverse."""
        return MICRO - price if self._is_mirrored else price

    def hold(self, until_ms: Millis) -> None:
        """Keep it at the venue's gate, where neither TTL nor cancel reaches it."""
        self.phase = Phase.HELD
        self.due_ms = until_ms
        self.deadline_ms = max(self.deadline_ms, until_ms)

    def rest(self, book: BookSnapshot) -> None:
        """Put it at the end of the queue at its price."""
        self.phase = Phase.RESTING
        if self._queues:
            limit = self.on_book(self.attempt.limit_price)
            displayed = dict(book.opposite(flipped(self.book_side))).get(limit, 0)
            self.place = Place(side=self.book_side, limit=limit, ahead=displayed)

    def observe(self, state: BookSnapshot, gone: Iterable[Match]) -> None:
        """Follow its queue into a new state."""
        if self.place is not None:
            limit = self.on_book(self.attempt.limit_price)
            displayed = dict(state.opposite(flipped(self.book_side))).get(limit, 0)
            self.place.observe(gone, displayed=displayed, venue_ts_ms=state.venue_ts_ms, at_ms=state.at_ms)

    def cancel(self, at_ms: Millis) -> None:
        """End it at an instant before its TTL does, but not before it was placed nor while it is held."""
        at_ms = max(at_ms, self.placed_at_ms)
        if at_ms < self.expires_ms:
            at_ms = max(at_ms, self.due_ms) if self.phase is Phase.HELD else at_ms
            self.deadline_ms = min(self.deadline_ms, at_ms)
            self._is_cancelled = True

    def is_filled_by(self, matches: Sequence[Match]) -> bool:
        """Tell whether nothing is left to do after these matches: all shares are had, or all money spent."""
        if sum(match.shares for match in matches) == self.remaining:
            return True
        return self.spend is not None and is_spent(matches, spend=self.spend)

    def take(self, matches: Sequence[Match], *, at_ms: Millis) -> list[Executed]:
        """Report what is taken at once, with the fee it bears."""
        fees = sweep_fees_down(self._fees, matches)
        return [
            self._execute(match, liquidity=Liquidity.TAKER, fee=fee, at_ms=at_ms)
            for match, fee in zip(matches, fees, strict=True)
        ]

    def provide(self, shares: Shares, *, at_ms: Millis) -> Executed:
        """Report what somebody else took from it at its limit; a maker pays no fee."""
        match = Match(self.attempt.limit_price, shares)
        return self._execute(match, liquidity=Liquidity.MAKER, fee=0, at_ms=at_ms)

    def finish(self, at_ms: Millis) -> OrderDone:
        """Report that it has all it wanted."""
        return self.done(AttemptStatus.FILLED, None, at_ms)

    def end(self, at_ms: Millis) -> OrderDone:
        """Report its end at the deadline."""
        if self._is_cancelled:
            why = reason("CANCELED_BY_US")
        elif self.phase is Phase.RESTING:
            why = time_is_over(self, at_ms)
        else:
            why = reason("NO_BOOK", ttl_ms=self.attempt.ttl_ms, book=self.lacked)
        return self.done(AttemptStatus.CANCELED, why, at_ms)

    def done(self, status: AttemptStatus, why: Reason | None, at_ms: Millis) -> OrderDone:
        """Report an end."""
        return OrderDone(attempt_id=self.attempt.id, status=status, reason=why, at_ms=at_ms)

    def _execute(self, match: Match, *, liquidity: Liquidity, fee: Usdc, at_ms: Millis) -> Executed:
        self._fills += 1
        self.remaining -= match.shares
        attempt = self.attempt
        trade_id = f"paper-{attempt.id}-{self._fills}"
        fill = ExecutionFill(
            id=execution_fill_id(attempt.account_id, trade_id),
            attempt_id=attempt.id,
            strategy_id=attempt.strategy_id,
            account_id=attempt.account_id,
            venue_trade_id=trade_id,
            token_id=attempt.token_id,
            side=attempt.side,
            shares=match.shares,
            price=match.price,
            fee_usdc=fee,
            liquidity=liquidity,
            settlement=Settlement.CONFIRMED,
            fill_at_ms=at_ms,
        )
        return Executed(fill=fill)
