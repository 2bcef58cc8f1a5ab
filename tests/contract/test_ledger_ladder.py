"""Shadows of real orders and the ladder: kept apart from what counts, and moved by one hand at a time."""

from __future__ import annotations

from dataclasses import replace

from copytrade.domain.attempts import AttemptStatus, ExecutionMode, Settlement, reason
from copytrade.domain.ladder import MOVED, Rung
from copytrade.domain.shadow import Run, ShadowOrder
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_stored_fill, a_submitted, an_attempt, an_execution
from tests.makers import LEADER, NOW_MS, OTHER, micro

LATER_MS = NOW_MS + 60_000
EVER = {"since_ms": 0, "limit": 100}


async def test_a_shadow_is_kept_as_it_stands_and_open_until_it_is_over(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger, mode=ExecutionMode.LIVE)
    placed = ShadowOrder(attempt_id=attempt.id, placed_at_ms=NOW_MS, run=Run(status=AttemptStatus.SUBMITTED))
    part = placed.filled(an_execution(attempt, shares="10", price=micro("0.4")))
    over = part.ended(AttemptStatus.CANCELED, reason("EXPIRED", ttl_ms=60_000), at_ms=LATER_MS)

    seen = []
    for shadow in (placed, part, over):
        await ledger.keep_shadows([shadow])
        seen.append(await ledger.open_shadows())

    assert seen == [(placed,), (part,), ()]
    (beside,) = await ledger.shadowed(account_id=attempt.account_id, **EVER)
    assert (beside.attempt_id, beside.is_sent, beside.paper) == (attempt.id, True, over.run)


async def test_a_shadow_moves_no_position_and_no_cash(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger, mode=ExecutionMode.LIVE)
    before = (await ledger.positions(), await ledger.balances(), await ledger.attempt(attempt.id))

    shadow = ShadowOrder(attempt_id=attempt.id, placed_at_ms=NOW_MS, run=Run(status=AttemptStatus.SUBMITTED))
    await ledger.keep_shadows([shadow.filled(an_execution(attempt))])

    assert (await ledger.positions(), await ledger.balances(), await ledger.attempt(attempt.id)) == before


async def test_beside_a_shadow_stands_what_really_settled(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger, mode=ExecutionMode.LIVE, size_shares_target=micro("80"))
    kept = an_execution(attempt, trade="kept", shares="30", price=micro("0.4"))
    lost = an_execution(attempt, trade="lost", shares="20", price=micro("0.4"), settlement=Settlement.MATCHED)
    for fill in (kept, lost):
        await ledger.book_execution(fill)
    await ledger.settle_execution(replace(lost, settlement=Settlement.FAILED), at_ms=LATER_MS)
    await ledger.keep_shadows(
        [ShadowOrder(attempt_id=attempt.id, placed_at_ms=NOW_MS, run=Run(status=AttemptStatus.SUBMITTED))]
    )

    (beside,) = await ledger.shadowed(account_id=attempt.account_id, **EVER)

    assert (beside.live.filled_shares, beside.live.filled_usdc) == (micro("30"), micro("12"))
    assert beside.live.first_fill_at_ms == kept.fill_at_ms


async def test_only_an_accounts_young_attempts_with_a_shadow_are_told_the_newest_first(ledger: Ledger) -> None:
    attempts = []
    for number in range(4):
        recorded = await a_stored_fill(ledger, tx_hash=f"0x{number:064x}")
        attempt = an_attempt(recorded, created_at_ms=NOW_MS + number)
        await ledger.record_attempt(attempt)
        attempts.append(attempt)
    run = Run(status=AttemptStatus.SUBMITTED)
    await ledger.keep_shadows([ShadowOrder(attempt_id=one.id, placed_at_ms=NOW_MS, run=run) for one in attempts[:3]])
    account_id = attempts[0].account_id

    young = await ledger.shadowed(account_id=account_id, since_ms=NOW_MS + 1, limit=100)
    newest = await ledger.shadowed(account_id=account_id, since_ms=0, limit=1)

    assert [one.attempt_id for one in young] == [attempts[2].id, attempts[1].id]
    assert [one.attempt_id for one in newest] == [attempts[2].id]
    assert not young[0].is_sent
    assert await ledger.shadowed(account_id="somebody else", **EVER) == ()
    assert len(await ledger.shadowed(leader=LEADER, **EVER)) == 3
    assert await ledger.shadowed(leader=OTHER, **EVER) == ()


async def test_an_account_stands_where_it_was_moved_last(ledger: Ledger) -> None:
    assert await ledger.standing("live-1") is None

    first = await ledger.move_rung("live-1", Rung.SHADOW, after=0, by="ann", why="began", at_ms=NOW_MS)
    second = await ledger.move_rung("live-1", Rung.TINY, after=1, by="ann", why="20 on paper", at_ms=LATER_MS)

    assert first is not None
    assert first.revision == 1
    assert await ledger.standing("live-1") == second
    assert second is not None
    assert (second.rung, second.since_ms, second.moved_by, second.why) == (Rung.TINY, LATER_MS, "ann", "20 on paper")
    assert await ledger.standing("live-2") is None


async def test_of_two_hands_that_move_an_account_only_one_does(ledger: Ledger) -> None:
    await ledger.move_rung("live-1", Rung.TINY, after=0, by="ann", why="", at_ms=NOW_MS)
    down = await ledger.move_rung("live-1", Rung.SHADOW, after=1, by="worker", why="", at_ms=NOW_MS)

    up = await ledger.move_rung("live-1", Rung.RAMP_25, after=1, by="ann", why="", at_ms=NOW_MS)

    assert up is None
    assert await ledger.standing("live-1") == down


async def test_moves_and_alarms_are_counted_among_the_notes(ledger: Ledger) -> None:
    await ledger.move_rung("live-1", Rung.TINY, after=0, by="ann", why="", at_ms=NOW_MS)
    await ledger.note("ACCOUNT_DIFFERS", {}, at_ms=LATER_MS)

    assert await ledger.noted_since([MOVED, "ACCOUNT_DIFFERS"], since_ms=NOW_MS) == 2
    assert await ledger.noted_since(["ACCOUNT_DIFFERS"], since_ms=LATER_MS) == 1
    assert await ledger.noted_since(["ACCOUNT_DIFFERS"], since_ms=LATER_MS + 1) == 0
