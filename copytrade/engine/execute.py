"""Stage 3: an approved attempt becomes an order, written down before it is sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import AttemptStatus, reason
from copytrade.domain.happenings import OrderEnded, OrderSent
from copytrade.ports.execution import NotSentError, OutcomeUnknownError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.engine.decide import Approved
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter, OrderDone, PreparedOrder
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.notifier import Notifier

RECOVERED_AT_ONCE: Final = 500
"""So many attempts of an earlier life end in one transaction: some tenths of a second of the database."""


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
        stopped_by: Callable[[ExecutionAttempt], Reason | None],
    ) -> None:
        """Prepare; `stopped_by` is asked up to the last moment whether a halt forbids to send an order."""
        self._ledger = ledger
        self._executor = executor
        self._portfolio = portfolio
        self._orders = orders
        self._notifier = notifier
        self._clock = clock
        self._stopped_by = stopped_by

    async def recover(self, attempts: tuple[ExecutionAttempt, ...]) -> None:
        """Settle what an earlier life of the process left open; sends nothing new.

        What is over at once ends many at a time; a death between two such batches leaves the rest to the next start.
        """
        for first in range(0, len(attempts), RECOVERED_AT_ONCE):
            found = [await self._executor.recover(one) for one in attempts[first : first + RECOVERED_AT_ONCE]]
            endings = [done for done in found if done is not None]
            if endings:
                await self._end_many(endings)

    async def _end_many(self, endings: Sequence[OrderDone]) -> None:
        why = {done.attempt_id: done.reason for done in endings}
        for closed in await self._ledger.close_attempts(endings):
            self._portfolio.follow(closed)
            self._notifier.tell(OrderEnded(attempt=closed, status=closed.status, reason=why[closed.id]))

    async def run(self) -> None:
        """Send orders in the order of their decisions until cancelled."""
        while True:
            await self.submit(await self._orders.get())

    async def submit(self, approved: Approved) -> None:
        """Make the order's identity durable, then send it; one that is halted before that is never sent."""
        if await self._is_stopped(approved.attempt):
            return
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
        if await self._is_stopped(approved.attempt):
            return
        try:
            await self._executor.submit(order)
        except NotSentError as error:
            await self._end(approved.attempt, status=AttemptStatus.FAILED, why=reason("NOT_SENT", why=str(error)))
        except OutcomeUnknownError:
            return  # stays SUBMITTED: only what the venue or the chain says may end it
        else:
            self._notifier.tell(OrderSent(attempt=_sent(order)))

    async def _is_stopped(self, attempt: ExecutionAttempt) -> bool:
        """Tell whether a halt forbids to send an order; its attempt ends with that."""
        why = self._stopped_by(attempt)
        if why is not None:
            await self._end(attempt, status=AttemptStatus.CANCELED, why=why)
        return why is not None

    async def _follow_anew(self, attempt: ExecutionAttempt) -> None:
        """Take the attempt as the ledger has it: a reorg may have ended it since the decision."""
        stored = await self._ledger.attempt(attempt.id)
        if stored is not None:
            self._portfolio.follow(stored)

    async def _end(self, attempt: ExecutionAttempt, *, status: AttemptStatus, why: Reason) -> None:
        closed = await self._ledger.close_attempt(attempt.id, status=status, reason=why, at_ms=self._clock.now_ms())
        if closed is not None:
            self._portfolio.follow(closed)
            self._notifier.tell(OrderEnded(attempt=closed, status=closed.status, reason=why))


def _sent(order: PreparedOrder) -> ExecutionAttempt:
    """Return the attempt as the ledger has it once its order is written down."""
    identity, placed_at_ms = order.order_hash, order.placed_at_ms
    return replace(order.attempt, status=AttemptStatus.SUBMITTED, order_hash=identity, placed_at_ms=placed_at_ms)
