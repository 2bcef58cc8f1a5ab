"""Stage 3: an approved attempt becomes an order, written down before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.domain.attempts import AttemptStatus, reason
from copytrade.domain.happenings import OrderEnded
from copytrade.ports.execution import NotSentError, OutcomeUnknownError

if TYPE_CHECKING:
    import asyncio

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.engine.decide import Approved
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.notifier import Notifier


class Execute:
    """Sends approved attempts, each once."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        executor: ExecutionAdapter,
        portfolio: Portfolio,
        orders: asyncio.Queue[Approved],
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._portfolio = portfolio
        self._orders = orders
        self._notifier = notifier
        self._clock = clock

    async def recover(self, attempts: tuple[ExecutionAttempt, ...]) -> None:
        """Settle what an earlier life of the process left open; sends nothing new."""
        for attempt in attempts:
            await self._executor.recover(attempt)

    async def run(self) -> None:
        """Send orders in the order of their decisions until cancelled."""
        while True:
            await self.submit(await self._orders.get())

    async def submit(self, approved: Approved) -> None:
        """Make the order's identity durable, then send it."""
        order = self._executor.prepare(approved.attempt, approved.market)
        attempt_id = approved.attempt.id
        if not await self._ledger.submit_attempt(
            attempt_id,
            order_type=order.order_type,
            order_hash=order.order_hash,
            placed_at_ms=order.placed_at_ms,
            venue_order=order.venue_order,
        ):
            await self._follow_anew(approved.attempt)
            return
        try:
            await self._executor.submit(order)
        except NotSentError as error:
            await self._fail(approved.attempt, why=str(error))
        except OutcomeUnknownError:
            return  # stays SUBMITTED: only what the venue or the chain says may end it

    async def _follow_anew(self, attempt: ExecutionAttempt) -> None:
        """Take the attempt as the ledger has it: a reorg may have ended it since the decision."""
        stored = await self._ledger.attempt(attempt.id)
        if stored is not None:
            self._portfolio.follow(stored)

    async def _fail(self, attempt: ExecutionAttempt, *, why: str) -> None:
        not_sent = reason("NOT_SENT", why=why)
        closed = await self._ledger.close_attempt(
            attempt.id, status=AttemptStatus.FAILED, reason=not_sent, at_ms=self._clock.now_ms()
        )
        if closed is not None:
            self._portfolio.follow(closed)
            self._notifier.tell(OrderEnded(attempt=closed, status=closed.status, reason=not_sent))
