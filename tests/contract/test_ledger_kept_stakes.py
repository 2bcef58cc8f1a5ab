"""What is kept of a long history makes a start shorter and changes nothing of what it finds at stake."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from copytrade.domain.attempts import AttemptStatus, Settlement
from copytrade.domain.exposure import Exposure
from copytrade.domain.fills import Side
from copytrade.domain.risk import COOLDOWN_MAX_MS
from copytrade.domain.scopes import EVERYTHING, Subject
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.engine.at_stake import AtStake
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.stake_keeping import StakeKeeping
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import an_execution
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_market, micro
from tests.money_facts import an_order
from tests.still_clock import StillClock

OWNER = {"strategy_id": "copy", "account_id": "paper"}
DAY_MS = 86_400_000
START_MS = NOW_MS + 3 * DAY_MS
"""When the worker starts that has to know what is at stake."""


async def traded(ledger: Ledger, number: int, **facts: Any) -> None:
    """Book one execution of an order of its own; `leader`, `token_id`, `side`, `shares`, `price`, `at_ms`."""
    side, at_ms = facts["side"], facts["at_ms"]
    tx = f"{number:04x}"
    attempt = await an_order(ledger, tx, leader=facts["leader"], token_id=facts["token_id"], side=side)
    fill = an_execution(attempt, trade=tx, shares=facts["shares"], price=facts["price"], fill_at_ms=at_ms)
    await ledger.book_execution(fill)
    await ledger.close_attempt(attempt.id, status=AttemptStatus.CANCELED, reason=None, at_ms=at_ms)


async def some_history(ledger: Ledger, seed: int, *, moves: int = 30) -> None:
    """Trade for three days after two leaders in two tokens, never more than is held."""
    rng = random.Random(seed)
    await ledger.save_markets([a_market()])
    held = {YES: 0, NO: 0}
    for number in range(moves):
        token_id = rng.choice((YES, NO))
        is_sale = held[token_id] > 0 and rng.random() < 0.45
        shares = rng.randrange(1, held[token_id] + 1) if is_sale else rng.randrange(1, micro("40"))
        held[token_id] += -shares if is_sale else shares
        await traded(
            ledger,
            number,
            leader=rng.choice((LEADER, OTHER)),
            token_id=token_id,
            side=Side.SELL if is_sale else Side.BUY,
            shares=f"{shares // 1_000_000}.{shares % 1_000_000:06}",
            price=rng.randrange(10_000, 990_000),
            at_ms=NOW_MS + 200 + number * 3 * DAY_MS // moves,
        )


async def at_stake(ledger: Ledger, *, now_ms: int = START_MS) -> dict[str, Any]:
    """Return everything that a start at that time counts."""
    exposure = Exposure()
    stake = AtStake(**OWNER, exposure=exposure)
    await stake.load(
        ledger,
        day_started_ms=now_ms // DAY_MS * DAY_MS,
        results_since_ms=now_ms - COOLDOWN_MAX_MS,
        entries_since_ms=now_ms - 60_000,
    )
    exposure.at_stake(EVERYTHING, Subject.ALL)  # what is asked for is summed up first
    sums = ("_at_stake", "_costs", "_spent", "_net", "_positions")
    found = {name: {key: value for key, value in getattr(exposure, name).items() if value} for name in sums}
    parts = {token_id: [tuple(part) for part in exposure.stakes_on(stake.owner, token_id)] for token_id in (YES, NO)}
    return {**found, "parts": parts, "results": list(exposure.results)}


async def keep(ledger: Ledger, *, now_ms: int = START_MS) -> int:
    """Keep what may be kept; return how many moves a start need not count any more."""
    portfolio = Portfolio(**OWNER)
    await portfolio.load(ledger)
    await StakeKeeping(ledger, portfolio=portfolio, clock=StillClock(now_ms), moves_min=1).keep()
    kept = await ledger.kept_stakes(**OWNER, since_ms=now_ms - COOLDOWN_MAX_MS)
    return sum(one.ordinal + 1 for one in kept)


@pytest.mark.parametrize("seed", range(6))
async def test_a_start_finds_the_same_at_stake_with_and_without_what_was_kept(ledger: Ledger, seed: int) -> None:
    await some_history(ledger, seed)
    whole = await at_stake(ledger)

    kept = await keep(ledger)

    assert kept > 5
    assert await at_stake(ledger) == whole
    for later_ms in (START_MS + 7_000_000, START_MS + 2 * DAY_MS):
        await keep(ledger, now_ms=later_ms)
    with_kept = await at_stake(ledger, now_ms=START_MS + 2 * DAY_MS)
    for owner_kept in await ledger.kept_stakes(**OWNER, since_ms=START_MS + 2 * DAY_MS):
        await ledger.keep_stakes(replace(owner_kept, before_ms=START_MS + 9 * DAY_MS))
    assert with_kept == await at_stake(ledger, now_ms=START_MS + 2 * DAY_MS)


async def test_a_settlement_after_what_was_kept_is_counted(ledger: Ledger) -> None:
    await some_history(ledger, 1)
    await keep(ledger)
    told = Resolution(
        condition_id=a_market().condition_id, payouts=(600_000, 400_000), source=ResolutionSource.CHAIN, at_ms=START_MS
    )
    await ledger.settle(told)

    found = await at_stake(ledger, now_ms=START_MS + 1_000)

    assert found["parts"] == {YES: [], NO: []}
    assert not found["_at_stake"]


async def test_what_is_kept_is_of_no_use_to_a_start_that_looks_back_further(ledger: Ledger) -> None:
    await some_history(ledger, 2)
    await keep(ledger)

    assert await ledger.kept_stakes(**OWNER, since_ms=START_MS - COOLDOWN_MAX_MS)
    assert await ledger.kept_stakes(**OWNER, since_ms=START_MS - COOLDOWN_MAX_MS - 1) == ()


async def test_moves_to_keep_end_before_an_attempt_that_is_open_or_has_a_late_execution(ledger: Ledger) -> None:
    order = {"leader": LEADER, "token_id": YES}
    await traded(ledger, 1, **order, side=Side.BUY, shares="10", price=micro("0.5"), at_ms=NOW_MS + 200)
    resting = await an_order(ledger, "aa", **order)
    await ledger.book_execution(an_execution(resting, trade="r1", shares="5", fill_at_ms=NOW_MS + 300))
    await traded(ledger, 2, **order, side=Side.BUY, shares="10", price=micro("0.5"), at_ms=NOW_MS + 400)

    async def ordinals(before_ms: int) -> list[int]:
        moves = await ledger.moves_to_keep(**OWNER, token_id=YES, after=-1, before_ms=before_ms, limit=10)
        return [one.ordinal for one in moves]

    assert await ordinals(NOW_MS + DAY_MS) == [0]
    await ledger.book_execution(an_execution(resting, trade="r2", shares="5", fill_at_ms=NOW_MS + 9_000))
    await ledger.close_attempt(resting.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 9_001)
    assert await ordinals(NOW_MS + 9_000) == [0]
    assert await ordinals(NOW_MS + 9_001) == [0, 1, 2, 3]
    assert [one.ordinal for one in await ledger.moves_to_keep(
        **OWNER, token_id=YES, after=0, before_ms=NOW_MS + 9_001, limit=2
    )] == [1, 2]  # fmt: skip


async def test_what_is_kept_is_forgotten_when_an_execution_turns_out_to_have_failed(ledger: Ledger) -> None:
    order = await an_order(ledger, "bb", leader=LEADER, token_id=YES)
    waiting = an_execution(order, trade="w1", shares="10", settlement=Settlement.MATCHED)
    await ledger.book_execution(waiting)
    await ledger.close_attempt(order.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 300)
    assert await keep(ledger) == 1

    await ledger.settle_execution(replace(waiting, settlement=Settlement.FAILED), at_ms=NOW_MS + 400)

    assert await ledger.kept_stakes(**OWNER, since_ms=START_MS) == ()
    assert not (await at_stake(ledger))["_at_stake"]
