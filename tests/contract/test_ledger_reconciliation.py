"""The promises of the Ledger port to whoever compares it with the chain, on every implementation."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.reconciliation import Summary
from copytrade.ports.ledger import Ledger
from tests.honest_ledger import an_honest_ledger
from tests.ledger_facts import a_log, a_row, an_attempt, see, stored
from tests.makers import NO, NOW_MS, YES, a_leader, a_market


async def test_tokens_of_stored_markets_are_mapped(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])

    assert await ledger.mapped([YES, "12345", NO]) == {YES, NO}
    assert await ledger.mapped([]) == frozenset()


async def test_a_fill_with_an_attempt_is_not_decided_again(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    (fill,) = (await see(ledger, a_log(7))).new
    await ledger.record_attempt(an_attempt(fill, decision=Decision.SKIP, status=AttemptStatus.SKIPPED))

    assert await ledger.await_decisions([fill.id, uuid4()]) == 0
    assert await stored(ledger) == []


async def test_fills_are_taken_away_with_their_log_or_without_one(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    row, log = (await see(ledger, a_row(), a_log(7, tx_hash="0x09"))).new
    await ledger.record_attempt(an_attempt(log))

    taken = await ledger.take_away([log.id, row.id, uuid4(), log.id], now_ms=NOW_MS + 5)

    assert {one.id for one in taken.fills} == {row.id, log.id}
    assert [(gone.id, gone.status) for gone in taken.cancelled] == [(an_attempt(log).id, AttemptStatus.CANCELED)]
    assert await ledger.all_fills_of(a_leader().address, since_ms=0) == ()
    again = await ledger.take_away([log.id, row.id], now_ms=NOW_MS + 6)
    assert (again.fills, again.cancelled) == ((), ())


async def test_nothing_of_an_honest_ledger_is_folded_otherwise(ledger: Ledger) -> None:
    await an_honest_ledger(ledger)
    positions, balances = await ledger.positions(), await ledger.balances()

    assert await ledger.refold(now_ms=NOW_MS) == 0
    assert (await ledger.positions(), await ledger.balances()) == (positions, balances)


async def test_summaries_come_back_newest_first(ledger: Ledger) -> None:
    first = Summary(
        at_ms=NOW_MS,
        from_ms=NOW_MS - 9_000,
        to_ms=NOW_MS - 1_000,
        leaders=3,
        errors=1,
        pending=2,
        differences=({"kind": "missing_fill", "leader": "0x1", "size": "1.5"},),
    )
    later = replace(first, at_ms=NOW_MS + 1, errors=0, pending=0, differences=())
    assert await ledger.summaries(limit=5) == ()

    await ledger.keep_summary(first)
    await ledger.keep_summary(later)

    assert await ledger.summaries(limit=5) == (later, first)
    assert await ledger.summaries(limit=1) == (later,)
