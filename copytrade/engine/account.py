"""Stage 4: executions become fills, positions and endings in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from copytrade.domain.attempts import ExecutionMode, Settlement
from copytrade.domain.booking import ImpossibleExecutionError
from copytrade.domain.happenings import Noted, OrderEnded, OrderFilled
from copytrade.domain.positions import OversoldError
from copytrade.engine.streams import reading
from copytrade.ports.execution import Executed, OrderDone

if TYPE_CHECKING:
    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.units import Millis
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.execution import ExecutionAdapter, ExecutionEvent
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.notifier import Notifier


class Account:
    """Books what the executor reports; a repeated report changes nothing."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        executor: ExecutionAdapter,
        portfolio: Portfolio,
        notifier: Notifier,
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._portfolio = portfolio
        self._notifier = notifier

    async def run(self) -> None:
        """Book events in order until cancelled."""
        async with reading(self._executor.events()) as events:
            async for event in events:
                await self.book(event)

    async def book(self, event: ExecutionEvent) -> None:
        """Make one execution or ending durable."""
        match event:
            case Executed(fill=fill):
                await self._book_fill(fill, at_ms=fill.fill_at_ms if event.at_ms is None else event.at_ms)
            case OrderDone():
                await self._end(event)
            case _:
                assert_never(event)

    async def _book_fill(self, fill: ExecutionFill, *, at_ms: Millis) -> None:
        async with self._portfolio.moving:
            try:
                booked = await self._ledger.book_execution(fill)
                if booked is None:
                    await self._advance(fill, at_ms=at_ms)
                    return
            except (ImpossibleExecutionError, OversoldError) as error:
                await self._leave(fill, str(error), at_ms=at_ms)
                return
            self._portfolio.book(booked, fill)
            self._portfolio.expect(fill)
        if fill.settlement is Settlement.FAILED:
            await self._ledger.note("TRADE_FAILED", fill.told(), at_ms=at_ms)
            self._page(fill, at_ms=at_ms)
            return
        recorded = await self._ledger.fill(booked.attempt.leader_fill_id)
        self._notifier.tell(OrderFilled(attempt=booked.attempt, fill=fill, position=booked.position, recorded=recorded))

    async def _advance(self, fill: ExecutionFill, *, at_ms: Millis) -> None:
        """Let a trade that is booked come further; one that fails is void from now on, and never bought again."""
        advanced = await self._ledger.settle_execution(fill, at_ms=at_ms)
        if advanced is None:
            return
        self._portfolio.book(advanced, fill)
        self._portfolio.expect(fill)
        if fill.settlement is Settlement.FAILED:
            self._page(fill, at_ms=at_ms)

    async def _leave(self, fill: ExecutionFill, why: str, *, at_ms: Millis) -> None:
        """Page what the venue tells and cannot be; the comparison with it then stops all orders.

        :raises ImpossibleExecutionError: on paper, where it is a mistake of ours.
        """
        if self._executor.mode is ExecutionMode.PAPER:
            raise ImpossibleExecutionError(why)
        detail = {**fill.told(), "why": why}
        await self._ledger.note("EXECUTION_IMPOSSIBLE", detail, at_ms=at_ms)
        self._notifier.tell(Noted(code="EXECUTION_IMPOSSIBLE", detail=detail, at_ms=at_ms))

    def _page(self, fill: ExecutionFill, *, at_ms: Millis) -> None:
        self._notifier.tell(Noted(code="TRADE_FAILED", detail=fill.told(), at_ms=at_ms))

    async def _end(self, done: OrderDone) -> None:
        closed = await self._ledger.close_attempt(
            done.attempt_id, status=done.status, reason=done.reason, at_ms=done.at_ms
        )
        ended = closed or await self._ledger.attempt(done.attempt_id)
        if ended is None:
            return
        self._portfolio.follow(ended)
        self._notifier.tell(OrderEnded(attempt=ended, status=ended.status, reason=done.reason))
