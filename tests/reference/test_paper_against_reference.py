"""The paper executor and the naive venue agree, fill by fill, on random worlds.

MODEL_CHECK_WORLDS raises how many are tried.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from copytrade.domain.latency import Latency
from copytrade.domain.units import format_micro, parse_micro
from copytrade.ports.execution import Executed, ExecutionEvent
from tests.makers import NOW_MS
from tests.reference.simulator import ReferenceVenue
from tests.reference.worlds import LONG_OVER_MS, OVER_MS, World, in_other_words, worlds
from tests.unit.paper.worlds import Session, play

WORLDS = int(os.environ.get("MODEL_CHECK_WORLDS", "2000"))
LATENCY_MS = 3


def played_by_the_executor(world: World) -> dict[str, list[Any]]:
    async def story(session: Session) -> None:
        for attempt in world.attempts:
            await session.executor.submit(world.prepared(session.executor, attempt))
        for order in sorted(world.orders, key=lambda order: order.cancel_at or 0):
            if order.cancel_at is not None:
                await session.until(order.cancel_at)
                await session.executor.cancel(order.attempt.id)
        await session.until(LONG_OVER_MS)

    return in_lines(play(world.books(), story, submit_latency=Latency(median_ms=LATENCY_MS), effects=world.effects))


def in_lines(events: list[ExecutionEvent]) -> dict[str, list[Any]]:
    lines: dict[str, list[Any]] = {}
    for event in events:
        if isinstance(event, Executed):
            fill = event.fill
            numbers = (fill.fill_at_ms - NOW_MS, fill.price, fill.shares, fill.fee_usdc)
            lines.setdefault(str(fill.attempt_id), []).append((*numbers, str(fill.liquidity)))
        else:
            code = event.reason.code if event.reason else None
            lines.setdefault(str(event.attempt_id), []).append((str(event.status), code, event.at_ms - NOW_MS))
    return lines


def played_by_the_reference(world: World) -> dict[str, list[Any]]:
    lines = {}
    for order in ReferenceVenue(*in_other_words(world, latency_ms=LATENCY_MS)).run():
        fills = [
            (at, *(parse_micro(f"{number:f}") for number in numbers), liquidity)
            for at, *numbers, liquidity in order.fills
        ]
        lines[order.id] = [*fills, order.ending]
    return lines


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=WORLDS, suppress_health_check=list(HealthCheck))
@given(worlds(is_long=True))
def test_both_venues_fill_every_order_alike(world: World) -> None:
    assert played_by_the_executor(world) == played_by_the_reference(world)


@settings(max_examples=50)
@given(worlds())
def test_no_order_gets_more_than_it_asked_for_nor_a_worse_price(world: World) -> None:
    async def story(session: Session) -> None:
        for attempt in world.attempts:
            await session.executor.submit(world.prepared(session.executor, attempt))
        await session.until(OVER_MS)

    asked = {attempt.id: attempt for attempt in world.attempts}
    got = dict.fromkeys(asked, 0)
    for event in play(world.books(), story):
        if isinstance(event, Executed):
            fill, attempt = event.fill, asked[event.fill.attempt_id]
            got[attempt.id] += fill.shares
            better = attempt.limit_price - fill.price if attempt.side == "BUY" else fill.price - attempt.limit_price
            assert better >= 0, format_micro(better)
            assert fill.shares > 0
    assert all(got[attempt.id] <= attempt.size_shares_target for attempt in world.attempts)
