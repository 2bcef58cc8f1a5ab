"""Cash, shares and fees of everything the executor reports balance to the micro-unit."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from copytrade.domain.attempts import AttemptStatus, ExecutionFill
from copytrade.domain.booking import book, end
from copytrade.domain.fills import Side
from copytrade.domain.positions import Position, fold
from copytrade.ports.execution import Executed, OrderDone
from tests.reference.worlds import OVER_MS, World, worlds
from tests.unit.paper.worlds import Session, play


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
