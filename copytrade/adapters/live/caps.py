"""The last bound before an order is signed: what one buy, and all buys of a day, may cost at their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import Side
from copytrade.domain.units import floor_to, format_micro, notional_up
from copytrade.ports.execution import NotSentError

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.clock import Clock
    from copytrade.ports.live_orders import LiveOrderStore

DAY_MS: Final[Millis] = 86_400_000


class Caps:
    """Counts what was sent since midnight UTC; what was bought for less, or not at all, is not given back."""

    def __init__(self, *, account_id: str, per_order: Usdc, per_day: Usdc, store: LiveOrderStore, clock: Clock) -> None:
        self._account_id = account_id
        self._per_order = per_order
        self._per_day = per_day
        self._store = store
        self._clock = clock
        self._day_ms: Millis | None = None
        self._sent: dict[UUID, Usdc] = {}

    async def check(self, attempt: ExecutionAttempt) -> None:
        """Count an order that is about to be sent.

        :raises NotSentError: it would cost too much, or the day has cost enough.
        """
        if attempt.side is Side.SELL:
            return
        await self._begin_day()
        cost = notional_up(attempt.size_shares_target, attempt.limit_price)
        if cost > self._per_order:
            raise NotSentError(
                f"LIVE_MAX_USDC_PER_ORDER: {format_micro(cost)} is more than {format_micro(self._per_order)}"
            )
        spent = sum(sent for other, sent in self._sent.items() if other != attempt.id)
        if spent + cost > self._per_day:
            raise NotSentError(
                f"LIVE_MAX_USDC_PER_DAY: {format_micro(spent)} sent and {format_micro(cost)} "
                f"are more than {format_micro(self._per_day)}"
            )
        self._sent[attempt.id] = cost

    async def _begin_day(self) -> None:
        """Know from the ledger what was sent today, at the start and at every midnight."""
        day_ms = floor_to(self._clock.now_ms(), DAY_MS)
        if day_ms == self._day_ms:
            return
        sent = await self._store.orders_since(self._account_id, day_ms)
        self._sent = {
            one.id: notional_up(one.size_shares_target, one.limit_price) for one in sent if one.side is Side.BUY
        }
        self._day_ms = day_ms
