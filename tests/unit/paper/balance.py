"""What must hold of whatever the executor reports: shares, prices, cash and fees balance to the micro-unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any
from uuid import UUID

from copytrade.adapters.paper.executor import PaperExecutor
from copytrade.domain.attempts import AttemptStatus, ExecutionFill, Liquidity
from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.fills import Side
from copytrade.domain.market import NO_FEES, FeeSchedule
from copytrade.domain.positions import cash_flow
from copytrade.domain.units import MICRO
from copytrade.ports.execution import Executed, ExecutionEvent, OrderDone, PreparedOrder

FEE_STEP = 10


class WatchedExecutor(PaperExecutor):
    """Keeps the orders that it took."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.taken: dict[UUID, PreparedOrder] = {}

    async def submit(self, order: PreparedOrder) -> None:
        await super().submit(order)
        self.taken.setdefault(order.attempt.id, order)


def check_balance(
    events: Sequence[ExecutionEvent], orders: Mapping[UUID, PreparedOrder], effects: Collection[Effect] = ALL_EFFECTS
) -> None:
    """Hold every order to what was reported of it; one of an earlier life has only its end."""
    executions: dict[UUID, list[ExecutionFill]] = defaultdict(list)
    ended: set[UUID] = set()
    for event in events:
        if isinstance(event, Executed):
            assert event.fill.attempt_id not in ended, event
            executions[event.fill.attempt_id].append(event.fill)
        elif event.attempt_id in orders:
            assert event.attempt_id not in ended, event
            ended.add(event.attempt_id)
            _check_end(event, orders[event.attempt_id], executions[event.attempt_id])
    for attempt_id, fills in executions.items():
        _check_fills(orders[attempt_id], fills)
        market = orders[attempt_id].market
        check_fees(market.fees if Effect.FEES in effects else NO_FEES, fills)


def _check_end(done: OrderDone, order: PreparedOrder, fills: Sequence[ExecutionFill]) -> None:
    target = order.attempt.size_shares_target
    shares = sum(fill.shares for fill in fills)
    if done.status is AttemptStatus.FILLED and order.order_type.may_rest:
        assert shares == target
    elif done.status is AttemptStatus.FAILED:
        assert shares == 0
    elif order.order_type.may_rest:
        assert shares < target or target == 0


def _check_fills(order: PreparedOrder, fills: Sequence[ExecutionFill]) -> None:
    attempt = order.attempt
    assert sum(fill.shares for fill in fills) <= attempt.size_shares_target
    assert len({fill.venue_trade_id for fill in fills}) == len(fills)
    for fill in fills:
        assert fill.shares > 0
        assert (fill.token_id, fill.side) == (attempt.token_id, attempt.side)
        is_buy = fill.side is Side.BUY
        assert fill.price <= attempt.limit_price if is_buy else fill.price >= attempt.limit_price
        if fill.liquidity is Liquidity.MAKER:
            assert fill.price == attempt.limit_price
        exact = Fraction(fill.shares * fill.price, MICRO)
        moved = cash_flow(fill) + fill.fee_usdc
        assert 0 <= (-moved - exact if is_buy else exact - moved) < 1


def check_fees(fees: FeeSchedule, fills: Sequence[ExecutionFill]) -> None:
    """Take what one order took in one instant together: its fees are that of its average price; makers pay none."""
    sweeps: dict[tuple[UUID, int], list[ExecutionFill]] = defaultdict(list)
    for fill in fills:
        if fill.liquidity is Liquidity.TAKER:
            sweeps[fill.attempt_id, fill.fill_at_ms].append(fill)
        else:
            assert fill.fee_usdc == 0
    for swept in sweeps.values():
        shares = sum(fill.shares for fill in swept)
        average = Fraction(sum(fill.shares * fill.price for fill in swept), shares * MICRO)
        exact = shares * Fraction(fees.rate, MICRO) * (average * (1 - average)) ** fees.exponent
        assert sum(fill.fee_usdc for fill in swept) == exact // FEE_STEP * FEE_STEP
