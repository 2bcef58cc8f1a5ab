"""A real order while it lives: what the venue has said of it, and when that amounts to an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from copytrade.adapters.live.rows import OrderPhase
from copytrade.domain.attempts import AttemptStatus, reason
from copytrade.domain.booking import DUST
from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.units import format_micro
from copytrade.ports.execution import OrderDone

if TYPE_CHECKING:
    from copytrade.adapters.live.rows import OrderRow, OwnTrade
    from copytrade.adapters.live.verdicts import Doubt
    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.units import Millis, Shares
    from copytrade.domain.venue_orders import VenueOrder

ABSENT_TWICE_MS: Final[Millis] = 30_000
"""An order is absent only when two look-ups so far apart find nothing."""
LOOK_MS: Final[Millis] = 5_000
"""How often an order at rest is looked up; the user stream tells of it sooner."""
HURRY_MS: Final[Millis] = 250
"""How soon an order in doubt, or one whose trades are not all known, is looked up again; doubles up to `LOOK_MS`."""
RESENDS_MAX: Final = 2


class WorkingOrder:
    """One order. Nothing here waits or asks; `ending` says when it is over.

    `signed` is what may be sent again as it is, None for an order of an earlier life. Times are monotonic but for
    `deadline_ms`, `placed_at_ms`, which are wall time.
    """

    def __init__(
        self,
        attempt: ExecutionAttempt,
        *,
        order_hash: str,
        order_type: OrderType,
        placed_at_ms: Millis,
        condition_id: str | None,
        signed: tuple[VenueOrder, bytes] | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        self.attempt = attempt
        self.order_hash = order_hash
        self.order_type = order_type
        self.placed_at_ms = placed_at_ms
        self.condition_id = condition_id
        self.signed = signed
        self.doubt = doubt
        self.doubted_at_ms: Millis | None = None
        self.is_taken = False
        self.row: OrderRow | None = None
        self.trades: dict[str, OwnTrade] = {}
        self.poked = asyncio.Event()
        self.cancelled_for: Reason | None = None
        self.resends = 0
        self._absent_since_ms: Millis | None = None
        self._absences = 0
        self._hurry_ms = HURRY_MS

    @property
    def deadline_ms(self) -> Millis:
        """The end of its time to live."""
        return self.placed_at_ms + self.attempt.ttl_ms

    @property
    def filled(self) -> Shares:
        """What is known to have been matched, in trades that failed later too."""
        return sum(trade.shares for trade in self.trades.values() if trade.order_hash == self.order_hash)

    @property
    def is_whole(self) -> bool:
        """Whether all it wanted is known to be matched, but for the venue's dust."""
        return self.filled + DUST > self._wanted

    @property
    def _wanted(self) -> Shares:
        """What it asks for; a FAK or FOK order to buy a little less, for its money is cut to cents."""
        target = self.attempt.size_shares_target
        if self.signed is None or self.order_type.may_rest or self.attempt.side is Side.SELL:
            return target
        return min(target, self.signed[0].taker_amount)

    def take(self, row: OrderRow | None, *, now_ms: Millis) -> None:
        """Take the answer to a look-up; None is that the venue knows no such order."""
        if row is None:
            self._absences += 1
            self._absent_since_ms = now_ms if self._absent_since_ms is None else self._absent_since_ms
            return
        self.row = row
        self.accept()

    def accept(self) -> None:
        """Know that the venue has it."""
        self.is_taken = True
        self.doubt = None
        self._absences, self._absent_since_ms = 0, None

    def take_trade(self, trade: OwnTrade) -> bool:
        """Take what a trade did; False if that was known, or is older than what is."""
        known = self.trades.get(trade.key)
        if known == trade:
            return False
        self.trades[trade.key] = trade
        self.accept()
        return known is None or known.settlement is not trade.settlement

    def lacks_trades(self) -> bool:
        """Tell whether the venue has named trades of it, or matched shares, that are not known yet."""
        if self.row is None:
            return True
        known = {trade.trade_id for trade in self.trades.values()}
        if self.row.trades - known:
            return True
        return self.row.matched is not None and self.row.matched > self.filled + DUST

    def wants_cancel(self, now_ms: Millis) -> bool:
        """Tell whether it rests beyond its time, or was asked to be cancelled."""
        if self.row is not None and self.row.phase in {OrderPhase.MATCHED, OrderPhase.ENDED}:
            return False
        is_late = now_ms >= self.deadline_ms and self._has_no_end_of_its_own
        if is_late and self.cancelled_for is None:
            self.cancelled_for = reason("TTL_EXPIRED", ttl_ms=self.attempt.ttl_ms)
        return self.cancelled_for is not None and self.is_taken

    @property
    def _has_no_end_of_its_own(self) -> bool:
        """Whether it rests until it is cancelled, as one may that the venue lets rest against its type."""
        if self.order_type.may_rest:
            return self.order_type is not OrderType.GTD
        return self.row is not None

    def may_be_sent_again(self, now_ms: Millis) -> bool:
        """Tell whether the venue has just said that it has no such order, while it is still wanted."""
        return (
            self.doubt is not None
            and self.doubt.may_resend
            and self.signed is not None
            and self._absences > 0
            and self.cancelled_for is None
            and self.resends < RESENDS_MAX
            and now_ms < self.deadline_ms
        )

    def wait_ms(self, now_ms: Millis) -> Millis:
        """Return how long to wait before it is looked up again."""
        is_settled = self.is_taken and not self.lacks_trades() and self.cancelled_for is None
        if is_settled and self.row is not None and self.row.phase is OrderPhase.OPEN:
            self._hurry_ms = HURRY_MS
            until_end = self.deadline_ms - now_ms if self.deadline_ms > now_ms else LOOK_MS
            return min(LOOK_MS, max(1, until_end))
        wait_ms, self._hurry_ms = self._hurry_ms, min(LOOK_MS, 2 * self._hurry_ms)
        return wait_ms

    def ending(self, *, now_ms: Millis, wall_ms: Millis) -> OrderDone | None:
        """Return its end once that is proved, with every trade of it known."""
        if self.row is not None and self.row.phase in {OrderPhase.MATCHED, OrderPhase.ENDED}:
            return None if self.lacks_trades() else self._ended(self.row, wall_ms)
        if self.is_taken:
            return self._forgotten(now_ms, wall_ms)
        return self._never_came(now_ms, wall_ms)

    def _ended(self, row: OrderRow, wall_ms: Millis) -> OrderDone | None:
        if self.is_whole or (row.phase is OrderPhase.MATCHED and self.order_type is OrderType.FOK):
            return self._done(AttemptStatus.FILLED, None, wall_ms)
        if row.phase is OrderPhase.MATCHED and self.order_type.may_rest:
            return None
        return self._done(AttemptStatus.CANCELED, self._why(row), wall_ms)

    def _why(self, row: OrderRow) -> Reason:
        if self.cancelled_for is not None:
            return self.cancelled_for
        if not self.order_type.may_rest and self.filled:
            return reason("FAK_REST_KILLED", rest=format_micro(self.attempt.size_shares_target - self.filled))
        if self.order_type is OrderType.GTD and "EXPIRED" in row.word:
            return reason("EXPIRED", venue=row.word)
        return reason("CANCELED_BY_VENUE", venue=row.word)

    def _forgotten(self, now_ms: Millis, wall_ms: Millis) -> OrderDone | None:
        """End an order that the venue had, and has no more: what it was filled with is in its trades."""
        if self.is_whole:
            return self._done(AttemptStatus.FILLED, None, wall_ms)
        if not self._is_absent(now_ms):
            return None
        return self._done(AttemptStatus.CANCELED, self.cancelled_for or reason("CANCELED_BY_VENUE"), wall_ms)

    def _never_came(self, now_ms: Millis, wall_ms: Millis) -> OrderDone | None:
        if self.doubt is None or self.doubted_at_ms is None or not self._is_absent(now_ms):
            return None
        if now_ms - self.doubted_at_ms < self.doubt.patience_ms:
            return None
        return self._done(AttemptStatus.FAILED, self.doubt.why, wall_ms)

    def _is_absent(self, now_ms: Millis) -> bool:
        since_ms = self._absent_since_ms
        return self._absences > 1 and since_ms is not None and now_ms - since_ms >= ABSENT_TWICE_MS

    def _done(self, status: AttemptStatus, why: Reason | None, wall_ms: Millis) -> OrderDone:
        return OrderDone(attempt_id=self.attempt.id, status=status, reason=why, at_ms=wall_ms)
