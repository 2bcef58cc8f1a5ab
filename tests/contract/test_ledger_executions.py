"""The promises of the Ledger port about executions and the positions they make, on every implementation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from copytrade.domain.attempts import AttemptStatus, Settlement
from copytrade.domain.booking import ImpossibleExecutionError
from copytrade.domain.fills import Side
from copytrade.domain.positions import OversoldError, Position, fold
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import (
    a_stored_fill,
    a_submitted,
    an_attempt,
    an_execution,
)
from tests.makers import NO, NOW_MS, YES, micro


async def test_an_execution_moves_attempt_and_position_together(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)

    booked = await ledger.book_execution(an_execution(attempt))

    assert booked is not None
    assert booked.attempt == replace(
        attempt, status=AttemptStatus.PARTIAL, filled_shares=micro("40"), first_fill_at_ms=NOW_MS + 200
    )
    assert booked.position == Position(
        strategy_id="copy",
        account_id="paper",
        token_id=YES,
        shares=micro("40"),
        cost_usdc=micro("20.2"),
        fees_usdc=micro("0.25"),
    )
    assert await ledger.attempt(attempt.id) == booked.attempt
    assert await ledger.positions() == (booked.position,)


async def test_the_last_share_fills_the_order(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    await ledger.book_execution(an_execution(attempt))

    booked = await ledger.book_execution(an_execution(attempt, trade="t2", shares="60", fill_at_ms=NOW_MS + 900))

    assert booked is not None
    assert booked.attempt.status is AttemptStatus.FILLED
    assert (booked.attempt.first_fill_at_ms, booked.attempt.done_at_ms) == (NOW_MS + 200, NOW_MS + 900)
    assert await ledger.open_attempts() == ()


async def test_an_execution_is_booked_once(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    booked = await ledger.book_execution(an_execution(attempt))

    again = await ledger.book_execution(an_execution(attempt))

    assert booked is not None
    assert again is None
    assert await ledger.positions() == (booked.position,)
    assert await ledger.attempt(attempt.id) == booked.attempt


async def test_more_than_the_target_is_refused_whole(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    booked = await ledger.book_execution(an_execution(attempt))

    with pytest.raises(ImpossibleExecutionError, match="100000001 of 100000000"):
        await ledger.book_execution(an_execution(attempt, trade="t2", shares="60.000001"))

    assert booked is not None
    assert await ledger.positions() == (booked.position,)
    assert await ledger.attempt(attempt.id) == booked.attempt


async def test_selling_what_is_not_held_is_refused_whole(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger, side=Side.SELL)

    with pytest.raises(OversoldError):
        await ledger.book_execution(an_execution(attempt))

    assert await ledger.positions() == ()
    assert await ledger.attempt(attempt.id) == attempt


async def test_an_execution_of_what_was_never_sent_is_refused(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    attempt = an_attempt(recorded)
    await ledger.record_attempt(attempt)

    with pytest.raises(ImpossibleExecutionError, match="nothing was sent"):
        await ledger.book_execution(an_execution(attempt))
    with pytest.raises(ImpossibleExecutionError, match="unknown attempt"):
        await ledger.book_execution(an_execution(replace(attempt, id=uuid4())))

    assert await ledger.positions() == ()


@pytest.mark.parametrize("change", [{"token_id": NO}, {"side": Side.SELL}, {"strategy_id": "other"}])
async def test_an_execution_belongs_to_its_order(ledger: Ledger, change: dict[str, Any]) -> None:
    attempt = await a_submitted(ledger)

    with pytest.raises(ImpossibleExecutionError, match="not its"):
        await ledger.book_execution(an_execution(attempt, **change))


async def test_an_execution_told_after_the_end_still_counts(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    await ledger.close_attempt(attempt.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 300)

    booked = await ledger.book_execution(an_execution(attempt))

    assert booked is not None
    assert booked.attempt.status is AttemptStatus.CANCELED
    assert (booked.attempt.filled_shares, booked.attempt.done_at_ms) == (micro("40"), NOW_MS + 300)
    assert booked.position.shares == micro("40")


async def test_a_failed_settlement_is_kept_and_moves_nothing(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)

    booked = await ledger.book_execution(an_execution(attempt, settlement=Settlement.FAILED))

    assert booked is not None
    assert booked.attempt == attempt
    assert booked.position.shares == 0
    assert await ledger.attempt(attempt.id) == attempt
    assert await ledger.book_execution(an_execution(attempt, settlement=Settlement.FAILED)) is None


async def test_positions_are_the_fold_of_the_executions(ledger: Ledger) -> None:
    buy = await a_submitted(ledger, tx="01")
    sell = await a_submitted(ledger, tx="02", side=Side.SELL)
    executions = [
        an_execution(buy, trade="b1", shares="33.333333", price=micro("0.123457")),
        an_execution(buy, trade="b2", shares="66.666667", price=micro("0.2")),
        an_execution(sell, trade="s1", shares="50.000001", price=micro("0.999999")),
        an_execution(buy, trade="b1", shares="33.333333", price=micro("0.123457")),
        an_execution(sell, trade="s2", shares="49.999999", price=micro("0.01")),
    ]

    for execution in executions:
        await ledger.book_execution(execution)

    empty = Position(strategy_id="copy", account_id="paper", token_id=YES)
    (position,) = await ledger.positions()
    assert position == fold(empty, [executions[index] for index in (0, 1, 2, 4)])
    assert (position.shares, position.cost_usdc) == (0, 0)


async def test_accounts_and_strategies_do_not_share_positions(ledger: Ledger) -> None:
    one = await a_submitted(ledger, tx="01")
    other = await a_submitted(ledger, tx="02", account_id="other")

    await ledger.book_execution(an_execution(one))
    await ledger.book_execution(an_execution(other, shares="7"))

    assert {(held.account_id, held.shares) for held in await ledger.positions()} == {
        ("paper", micro("40")),
        ("other", micro("7")),
    }
