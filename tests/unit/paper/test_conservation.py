"""Cash, shares and fees of everything the executor reports balance to the micro-unit."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings

from copytrade.domain.attempts import AttemptStatus, ExecutionFill, Liquidity
from copytrade.domain.booking import book, end
from copytrade.domain.effects import Effect
from copytrade.domain.fills import Side
from copytrade.domain.positions import Position, cash_flow, fold
from copytrade.domain.units import MICRO
from copytrade.ports.execution import Executed, OrderDone
from tests.reference.worlds import OVER_MS, World, worlds
from tests.unit.paper.worlds import Session, play

FEE_STEP = 10


@settings(max_examples=80)
@given(worlds())
def test_attempts_positions_cash_and_fees_all_add_up(world: World) -> None:
    async def story(session: Session) -> None:
        for attempt in world.attempts:
            await session.executor.submit(world.prepared(session.executor, attempt))
        await session.until(OVER_MS)

    attempts = {attempt.id: replace(attempt, status=AttemptStatus.SUBMITTED) for attempt in world.attempts}
    tokens = {attempt.token_id for attempt in world.attempts}
    start = {
        token: Position(strategy_id="copy", account_id="paper", token_id=token, shares=10**12, cost_usdc=10**11)
        for token in tokens
    }
    held = dict(start)
    fills: list[ExecutionFill] = []
    for event in play(world.books(), story, effects=world.effects):
        if isinstance(event, Executed):
            fill = event.fill
            booking = book(attempts[fill.attempt_id], held[fill.token_id], fill)
            attempts[fill.attempt_id], held[fill.token_id] = booking.attempt, booking.position
            fills.append(fill)
        elif isinstance(event, OrderDone):
            before = attempts[event.attempt_id]
            after = end(before, status=event.status, why=event.reason, at_ms=event.at_ms)
            assert after is not None or before.status is AttemptStatus.FILLED
            attempts[event.attempt_id] = after or before

    for attempt in attempts.values():
        own = [fill for fill in fills if fill.attempt_id == attempt.id]
        assert attempt.filled_shares == sum(fill.shares for fill in own) <= attempt.size_shares_target
        assert attempt.status in {AttemptStatus.FILLED, AttemptStatus.CANCELED, AttemptStatus.FAILED}
    for token in tokens:
        own = [fill for fill in fills if fill.token_id == token]
        assert held[token] == fold(start[token], own)
        assert held[token].shares == 10**12 + sum(
            fill.shares if fill.side is Side.BUY else -fill.shares for fill in own
        )
        assert held[token].fees_usdc == sum(fill.fee_usdc for fill in own)
    for fill in fills:
        exact = Fraction(fill.shares * fill.price, MICRO)
        paid = -cash_flow(fill) - fill.fee_usdc if fill.side is Side.BUY else cash_flow(fill) + fill.fee_usdc
        assert 0 <= (paid - exact if fill.side is Side.BUY else exact - paid) < 1
    check_fees(world, fills)


def check_fees(world: World, fills: list[ExecutionFill]) -> None:
    """Take the fills of one order in one instant together: their fees are that of their average price."""
    sweeps: dict[tuple[object, int], list[ExecutionFill]] = defaultdict(list)
    for fill in fills:
        if fill.liquidity is Liquidity.TAKER:
            sweeps[fill.attempt_id, fill.fill_at_ms].append(fill)
        else:
            assert fill.fee_usdc == 0
    rate = Fraction(world.market.fees.rate, MICRO) if Effect.FEES in world.effects else Fraction(0)
    for swept in sweeps.values():
        shares = sum(fill.shares for fill in swept)
        average = Fraction(sum(fill.shares * fill.price for fill in swept), shares * MICRO)
        exact = shares * rate * (average * (1 - average)) ** world.market.fees.exponent
        assert sum(fill.fee_usdc for fill in swept) == exact // FEE_STEP * FEE_STEP
