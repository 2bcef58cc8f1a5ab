"""A paper order while it lives: where it stands, what is left of it, and what the venue refuses."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import AttemptStatus, ExecutionFill, Liquidity, Settlement, reason
from copytrade.domain.fees import sweep_fees_down
from copytrade.domain.fills import Side
from copytrade.domain.ids import execution_fill_id
from copytrade.domain.units import LOT, MICRO, format_micro, notional_down
from copytrade.ports.execution import Executed, OrderDone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from copytrade.domain.attempts import Reason
    from copytrade.domain.matching import Match
    from copytrade.domain.units import Millis, Price, Usdc
    from copytrade.ports.execution import PreparedOrder

MARKETABLE_BUY_MIN: Final[Usdc] = MICRO
"""A BUY that would trade at once must be worth a dollar at its limit (docs.polymarket.com, order errors)."""


class Phase(Enum):
    """Where an order stands; IN_FLIGHT and HELD wait for an instant, WAITING and RELEASED for a book."""

    IN_FLIGHT = auto()
    WAITING = auto()
    HELD = auto()
    RELEASED = auto()
    RESTING = auto()


class WorkingOrder:
    """One open order; `due_ms` is when it arrives or is released, `deadline_ms` the last instant it lives.

    `seen_revision` is the newest state of the book it was offered, so that no state is offered twice.
    """

    def __init__(self, order: PreparedOrder) -> None:
        self.attempt = order.attempt
        self.market = order.market
        self.placed_at_ms = order.placed_at_ms
        self.phase = Phase.IN_FLIGHT
        self.due_ms = order.placed_at_ms
        self.deadline_ms = order.placed_at_ms + order.attempt.ttl_ms
        self.remaining = order.attempt.size_shares_target
        self.seen_revision = -1
        self.lacked = ""
        self._fills = 0
        self._is_cancelled = False

    @property
    def is_timed(self) -> bool:
        """Whether it waits for an instant and nothing else can happen to it before."""
        return self.phase in {Phase.IN_FLIGHT, Phase.HELD}

    @property
    def next_ms(self) -> Millis:
        """The next instant at which something happens to it whatever the book does."""
        return self.due_ms if self.is_timed else self.deadline_ms

    @property
    def placement_rank(self) -> tuple[Millis, Millis, UUID]:
        """The order of arrival."""
        return (self.due_ms, self.placed_at_ms, self.attempt.id)

    @property
    def book_rank(self) -> tuple[bool, Price, Millis, UUID]:
        """The order in which a new state of the book is offered: at rest by price and time, then arrivals."""
        is_resting = self.phase is Phase.RESTING
        limit = -self.attempt.limit_price if self.attempt.side is Side.BUY else self.attempt.limit_price
        return (not is_resting, limit if is_resting else 0, self.placed_at_ms, self.attempt.id)

    def hold(self, until_ms: Millis) -> None:
        """Keep it at the venue's gate, where neither TTL nor cancel reaches it."""
        self.phase = Phase.HELD
        self.due_ms = until_ms
        self.deadline_ms = max(self.deadline_ms, until_ms)

    def cancel(self, at_ms: Millis) -> None:
        """End it at an instant before its TTL does, but not before it was placed nor while it is held."""
        at_ms = max(at_ms, self.placed_at_ms)
        if at_ms < self.placed_at_ms + self.attempt.ttl_ms:
            at_ms = max(at_ms, self.due_ms) if self.phase is Phase.HELD else at_ms
            self.deadline_ms = min(self.deadline_ms, at_ms)
            self._is_cancelled = True

    def take(self, matches: Sequence[Match], *, at_ms: Millis) -> list[Executed]:
        """Report what is taken at once, with the fee it bears."""
        fees = sweep_fees_down(self.market.fees, matches)
        return [
            self._execute(match, liquidity=Liquidity.TAKER, fee=fee, at_ms=at_ms)
            for match, fee in zip(matches, fees, strict=True)
        ]

    def provide(self, match: Match, *, at_ms: Millis) -> Executed:
        """Report what somebody else took from it; a maker pays no fee."""
        return self._execute(match, liquidity=Liquidity.MAKER, fee=0, at_ms=at_ms)

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

    def end(self, at_ms: Millis) -> OrderDone:
        """Report its end at the deadline or when nothing is left."""
        if self.remaining == 0:
            return self._done(AttemptStatus.FILLED, None, at_ms)
        if self._is_cancelled:
            why = reason("CANCELED_BY_US")
        elif self.phase is Phase.RESTING:
            why = reason("TTL_EXPIRED", ttl_ms=self.attempt.ttl_ms)
        else:
            why = reason("NO_BOOK", ttl_ms=self.attempt.ttl_ms, book=self.lacked)
        return self._done(AttemptStatus.CANCELED, why, at_ms)

    def refuse(self, why: Reason, at_ms: Millis) -> OrderDone:
        """Report that the venue does not take it."""
        return self._done(AttemptStatus.FAILED, why, at_ms)

    def _done(self, status: AttemptStatus, why: Reason | None, at_ms: Millis) -> OrderDone:
        return OrderDone(attempt_id=self.attempt.id, status=status, reason=why, at_ms=at_ms)


def refusal(order: WorkingOrder) -> Reason | None:
    """Return why the venue does not take an order at all, whatever the book."""
    market, limit, size = order.market, order.attempt.limit_price, order.attempt.size_shares_target
    tick = market.tick_size
    if market.closed or not (market.accepting_orders and market.enable_order_book):
        return reason("MARKET_NOT_ACCEPTING", closed=market.closed, accepting_orders=market.accepting_orders)
    if not tick <= limit <= MICRO - tick:
        return reason("PRICE_OUT_OF_RANGE", limit=format_micro(limit), tick=format_micro(tick))
    if limit % tick:
        return reason("OFF_TICK", limit=format_micro(limit), tick=format_micro(tick))
    if size % LOT:
        return reason("OFF_LOT", size=format_micro(size), lot=format_micro(LOT))
    if size < market.min_order_size:
        return reason("SIZE_BELOW_MINIMUM", size=format_micro(size), minimum=format_micro(market.min_order_size))
    return None


def marketable_refusal(order: WorkingOrder) -> Reason | None:
    """Return why the venue does not take an order that would trade at once."""
    attempt = order.attempt
    notional = notional_down(attempt.size_shares_target, attempt.limit_price)
    if attempt.side is Side.SELL or notional >= MARKETABLE_BUY_MIN:
        return None
    return reason("BELOW_MARKETABLE_MINIMUM", notional=format_micro(notional), minimum=format_micro(MARKETABLE_BUY_MIN))
