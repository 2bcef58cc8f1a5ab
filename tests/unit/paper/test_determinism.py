from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copytrade.domain.effects import ALL_EFFECTS
from copytrade.domain.fills import Side
from copytrade.domain.latency import Latency
from copytrade.ports.execution import Executed, ExecutionEvent
from tests.makers import NOW_MS, YES, micro
from tests.reference.worlds import STREAM_MS, World, worlds
from tests.unit.paper.worlds import Session, an_attempt, attempt_id, play, states

ROOT = Path(__file__).parents[3]
NO_LATENCY = {"submit_latency": Latency(median_ms=0)}
DRAWN = {"submit_latency": Latency.parse("lognormal:10:0.8"), "seed": 7}


def submitted_by(world: World, *, each_after: Any, order: Any = None, **latencies: Any) -> list[ExecutionEvent]:
    """Play a world, each attempt submitted `each_after(attempt)` ms after NOW_MS, in `order` where that ties."""
    attempts = sorted(order or world.attempts, key=each_after)

    async def story(session: Session) -> None:
        for attempt in attempts:
            await session.until(each_after(attempt))
            await session.executor.submit(world.prepared(session.executor, attempt))
        await session.ended(len(attempts))

    return play(world.books(), story, effects=world.effects, **latencies)


def at_once(attempt: Any) -> int:
    return 0


def when_decided(attempt: Any) -> int:
    return int(attempt.decided_at_ms - NOW_MS)


def after_all(attempt: Any) -> int:
    return 10 * STREAM_MS


@settings(max_examples=100)
@given(worlds(), st.randoms(use_true_random=False), st.sampled_from([NO_LATENCY, DRAWN]))
def test_the_order_of_submission_does_not_matter(world: World, shuffled: Any, latencies: Any) -> None:
    order = world.attempts
    shuffled.shuffle(order)

    assert repr(submitted_by(world, each_after=at_once, order=order, **latencies)) == repr(
        submitted_by(world, each_after=at_once, **latencies)
    )


@settings(max_examples=100)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_submission_within_a_millisecond_does_not_matter(world: World, shuffled: Any) -> None:
    order = [replace(attempt, decided_at_ms=NOW_MS + 20) for attempt in world.attempts]
    there = submitted_by(world, each_after=when_decided, order=order, **NO_LATENCY)
    shuffled.shuffle(order)

    assert repr(submitted_by(world, each_after=when_decided, order=order, **NO_LATENCY)) == repr(there)


@settings(max_examples=100)
@given(worlds())
def test_a_worker_that_is_late_for_everything_reports_the_same_fills(world: World) -> None:
    prompt = submitted_by(world, each_after=when_decided, **NO_LATENCY)

    late = submitted_by(world, each_after=after_all, **NO_LATENCY)

    assert repr(late) == repr(prompt)


@settings(max_examples=100)
@given(worlds(), st.integers(0, 5))
def test_an_order_that_is_late_by_itself_gets_what_it_would_have_got(world: World, who: int) -> None:
    attempt = world.attempts[who % len(world.attempts)]
    alone = world.only(attempt)

    late = submitted_by(alone, each_after=after_all, **NO_LATENCY)

    assert repr(late) == repr(submitted_by(alone, each_after=when_decided, **NO_LATENCY))


def test_an_order_later_than_others_sees_its_own_instant_but_not_their_shares() -> None:
    script = states((0, "", "0.50:10"), (150, "", "0.50:30"), (300, "", "0.50:5"))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("prompt", size="20"))
        await session.until(250)
        await session.submit(an_attempt("late", size="20", ttl_ms=500, decided_at_ms=NOW_MS - 50))
        await session.ended(2)

    fills = [event.fill for event in play(script, story) if isinstance(event, Executed)]

    assert [(fill.attempt_id, fill.fill_at_ms - NOW_MS, fill.shares) for fill in fills] == [
        (attempt_id("prompt"), 100, micro("10")),
        (attempt_id("prompt"), 150, micro("10")),
        (attempt_id("late"), 150, micro("20")),
    ]


@settings(max_examples=60)
@given(worlds(), st.lists(st.integers(0, 2 * STREAM_MS), min_size=8, max_size=8))
def test_however_late_orders_come_no_share_is_sold_twice(world: World, delays: list[int]) -> None:
    still = replace(world, script=world.script[:1], tape=(), effects=ALL_EFFECTS)
    lateness = dict(zip([attempt.id for attempt in still.attempts], delays, strict=False))

    events = submitted_by(still, each_after=lambda attempt: lateness[attempt.id], **NO_LATENCY)

    taken = {True: 0, False: 0}
    for event in events:
        if isinstance(event, Executed):
            is_bid = (event.fill.side is Side.BUY) == (event.fill.token_id == YES)
            taken[is_bid] += event.fill.shares
    first: Any = still.script[0]
    assert taken[True] <= sum(level.size for level in first.asks)
    assert taken[False] <= sum(level.size for level in first.bids)


STORY = """
from copytrade.domain.latency import Latency
from tests.reference.worlds import OVER_MS, a_world
from tests.unit.paper.worlds import play

def played(world):
    async def story(session):
        for attempt in world.attempts:
            await session.executor.submit(world.prepared(session.executor, attempt))
        await session.until(OVER_MS)
    latency = Latency.parse("lognormal:10:0.5")
    return play(world.books(), story, submit_latency=latency, seed=11, effects=world.effects)

for seed in range(60):
    for event in played(a_world(seed=seed, orders=8, steps=20)):
        print(event)
"""


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_the_hash_seed_of_the_process_does_not_matter(hash_seed: str) -> None:
    def told(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", STORY]
        return subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    there = told("0")

    assert there.count("liquidity=<Liquidity.TAKER") > 50
    assert there.count("liquidity=<Liquidity.MAKER") > 20
    assert told(hash_seed) == there


def test_another_seed_draws_other_latencies() -> None:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="20"))
        await session.ended(1)

    script = states((0, "", "0.50:10"))
    drawn = Latency.parse("lognormal:150:0.5")

    assert repr(play(script, story, submit_latency=drawn, seed=1)) != repr(
        play(script, story, submit_latency=drawn, seed=2)
    )
