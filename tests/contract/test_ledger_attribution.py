"""Every ledger keeps why copies cost what they cost, and what the market did after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from copytrade.domain.attempts import Decision, Settlement
from copytrade.domain.markouts import FillMarks
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_stored_fill, a_submitted, an_attempt, an_attribution, an_execution
from tests.makers import NOW_MS, YES, a_market, micro


def some_marks(attempt_id: UUID, **changes: Any) -> FillMarks:
    facts: dict[str, Any] = {
        "attempt_id": attempt_id,
        "token_id": YES,
        "fill_at_ms": NOW_MS + 200,
        "mids": (("1s", micro("0.505")),),
        "missing": (("10s", "NO_BOOK"),),
    }
    return FillMarks(**(facts | changes))


async def test_an_attribution_is_given_back_as_it_stands_last(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    assert await ledger.attributions_of([attempt.id]) == ()
    first = an_attribution(attempt, outcome=None, book_at_decision=None)

    await ledger.keep_attributions([first], now_ms=NOW_MS)
    assert await ledger.attributions_of([attempt.id]) == (first,)

    last = an_attribution(attempt, is_final=True)
    await ledger.keep_attributions([last], now_ms=NOW_MS + 1)
    assert await ledger.attributions_of([attempt.id]) == (last,)


async def test_several_attributions_are_kept_at_once(ledger: Ledger) -> None:
    attempts = [await a_submitted(ledger, tx=f"{number:02x}") for number in range(3)]

    await ledger.keep_attributions([an_attribution(one) for one in attempts], now_ms=NOW_MS)
    await ledger.keep_attributions([], now_ms=NOW_MS)

    found = await ledger.attributions_of([one.id for one in attempts])
    assert {one.attempt_id: one for one in found} == {one.id: an_attribution(one) for one in attempts}


async def test_each_attempt_has_the_price_that_it_follows(ledger: Ledger) -> None:
    attempts = [await a_submitted(ledger, tx=f"{number:02x}") for number in range(2)]
    fills = [await ledger.fill(one.leader_fill_id) for one in attempts]

    found = await ledger.prices_followed([one.id for one in attempts])

    assert found == {one.id: seen.fill.price for one, seen in zip(attempts, fills, strict=True) if seen is not None}
    assert len(found) == 2
    assert await ledger.prices_followed([]) == {}


async def test_what_is_missing_or_open_among_the_newest_is_found_again(ledger: Ledger) -> None:
    final, open_one = await a_submitted(ledger, tx="01"), await a_submitted(ledger, tx="02")
    none = await a_submitted(ledger, tx="03", created_at_ms=NOW_MS + 5)
    skipped = an_attempt(await a_stored_fill(ledger, tx_hash="0x04"), decision=Decision.SKIP)
    await ledger.record_attempt(skipped)
    await ledger.keep_attributions([an_attribution(final, is_final=True), an_attribution(open_one)], now_ms=NOW_MS)

    found = await ledger.unattributed(newest=10)

    assert [(one.attempt.id, one.kept) for one in found] == [
        (open_one.id, an_attribution(open_one)),
        (none.id, None),
    ]
    assert found[1].attempt == none
    assert {one.leader_price for one in found} == {micro("0.5")}
    assert [one.attempt.id for one in await ledger.unattributed(newest=1)] == [none.id]


async def test_executions_are_found_by_attempt_in_the_order_of_booking(ledger: Ledger) -> None:
    attempt, other = await a_submitted(ledger, tx="01"), await a_submitted(ledger, tx="02")
    booked = [an_execution(attempt, trade=f"t{n}", shares="10", fill_at_ms=NOW_MS + 9 - n) for n in range(3)]
    for fill in (*booked, an_execution(other, trade="else")):
        await ledger.book_execution(fill)

    assert await ledger.executions_of([attempt.id]) == tuple(booked)
    assert len(await ledger.executions_of([attempt.id, other.id])) == 4
    assert await ledger.executions_of([]) == ()


async def test_marks_are_given_back_as_they_stand_last(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    early, late = some_marks(attempt.id, mids=(), missing=()), some_marks(attempt.id, fill_at_ms=NOW_MS + 900)

    await ledger.keep_marks([late, early])
    await ledger.keep_marks([some_marks(attempt.id)])

    assert await ledger.marks_of([attempt.id]) == (some_marks(attempt.id), late)
    assert await ledger.marks_of([UUID(int=5)]) == ()


async def test_marks_with_a_horizon_to_come_are_found_the_next_due_first(ledger: Ledger) -> None:
    one, two = await a_submitted(ledger, tx="01"), await a_submitted(ledger, tx="02")
    done = some_marks(one.id, mids=tuple((horizon, 1) for horizon in ("1s", "10s", "1m", "10m")), missing=())
    soon, later = some_marks(two.id, mids=(), missing=()), some_marks(two.id, fill_at_ms=NOW_MS + 900)

    await ledger.keep_marks([later, done, soon])

    assert await ledger.open_marks(limit=10) == (soon, later)
    assert await ledger.open_marks(limit=1) == (soon,)


async def test_executions_without_marks_are_found(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    marked = an_execution(attempt, trade="marked", shares="5")
    unmarked = an_execution(attempt, trade="unmarked", shares="5", fill_at_ms=NOW_MS + 777)
    failed = an_execution(attempt, trade="x", shares="5", fill_at_ms=NOW_MS + 888, settlement=Settlement.FAILED)
    for fill in (marked, unmarked, failed):
        await ledger.book_execution(fill)
    await ledger.keep_marks([some_marks(attempt.id)])

    assert await ledger.unmarked(newest=10) == (unmarked,)
    assert await ledger.unmarked(newest=0) == ()


async def test_a_resolved_market_pays_its_fills_once_and_later_marks_keep_it(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    await ledger.keep_marks([some_marks(attempt.id)])
    await ledger.save_markets([a_market()])
    assert await ledger.mark_resolved(limit=10) == 0

    await ledger.save_markets([a_market(payouts=(micro("1"), micro("0")))])

    assert await ledger.mark_resolved(limit=10) == 1
    assert await ledger.mark_resolved(limit=10) == 0
    await ledger.keep_marks([some_marks(attempt.id).marked("1m", micro("0.7"))])
    (kept,) = await ledger.marks_of([attempt.id])
    assert kept == replace(some_marks(attempt.id).marked("1m", micro("0.7")), payout=micro("1"))
