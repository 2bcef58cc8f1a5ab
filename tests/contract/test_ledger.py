"""The promises of the Ledger port about leaders, attempts and markets, on every implementation."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from copytrade.domain.attempts import AttemptStatus, Decision, reason
from copytrade.domain.copy_rules import own_rules
from copytrade.domain.fills import Source
from copytrade.domain.orders import OrderType
from copytrade.domain.sizing import ExitMode
from copytrade.ports.execution import OrderDone
from copytrade.ports.ledger import Ledger, UnknownLeaderError
from tests.ledger_facts import (
    a_stored_fill,
    a_submitted,
    an_attempt,
    an_execution,
)
from tests.makers import LEADER, NOW_MS, OTHER, YES, a_leader, a_market, micro

# Leaders


async def test_a_leader_comes_back_as_he_was_added(ledger: Ledger) -> None:
    leader = a_leader(
        label="Théo",
        copy_ratio=micro("0.25"),
        max_usdc_per_trade=micro("1000000000.123456"),
        live_allowed=True,
        followed_since_ms=NOW_MS - 1,
    )

    assert await ledger.add_leader(leader)
    assert await ledger.leaders() == (leader,)


async def test_leaders_are_listed_by_address_disabled_ones_too(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(address=OTHER))
    await ledger.add_leader(a_leader(address=LEADER))
    await ledger.remove_leader(OTHER)

    assert [(leader.address, leader.enabled) for leader in await ledger.leaders()] == [(LEADER, True), (OTHER, False)]


async def test_adding_a_followed_leader_again_changes_nothing(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(label="first"))

    assert not await ledger.add_leader(a_leader(label="second", followed_since_ms=NOW_MS))
    assert await ledger.leaders() == (a_leader(label="first"),)


async def test_every_change_of_the_leaders_changes_their_revision(ledger: Ledger) -> None:
    revisions = [await ledger.leaders_revision()]
    await ledger.add_leader(a_leader())
    revisions.append(await ledger.leaders_revision())
    await ledger.remove_leader(LEADER)
    revisions.append(await ledger.leaders_revision())
    await ledger.add_leader(a_leader(label="again"))
    revisions.append(await ledger.leaders_revision())

    assert len(set(revisions)) == 4
    assert await ledger.leaders_revision() == revisions[-1]


async def test_a_removed_leader_is_followed_again_with_the_new_values(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(label="first"))
    await ledger.remove_leader(LEADER)
    again = a_leader(label="second", followed_since_ms=NOW_MS, created_at_ms=NOW_MS)

    assert await ledger.add_leader(again)
    assert await ledger.leaders() == (again,)


async def test_removing_a_stranger_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(UnknownLeaderError, match=OTHER):
        await ledger.remove_leader(OTHER)


async def test_how_a_leader_is_copied_changes_and_who_he_is_does_not(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(label="first", copy_ratio=micro("0.5")))
    await ledger.remove_leader(LEADER)
    rules = own_rules(
        [("spread_max", micro("0.03")), ("keywords_deny", ("trump", "élection")), ("exit_mode", ExitMode.RATIO)]
    )
    changed = a_leader(label="Ann", paused=True, exit_only=True, live_allowed=True, rules=rules)

    await ledger.change_leader(replace(changed, id=uuid4(), followed_since_ms=1, created_at_ms=1))

    assert await ledger.leaders() == (replace(changed, enabled=False),)


async def test_a_rule_switched_off_for_one_leader_is_not_one_he_has_not(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(rules=own_rules([("spread_max", None)])))

    [leader] = await ledger.leaders()
    assert leader.rules == (("spread_max", None),)


async def test_a_stranger_cannot_be_changed(ledger: Ledger) -> None:
    with pytest.raises(UnknownLeaderError, match=OTHER):
        await ledger.change_leader(a_leader(address=OTHER))


# Attempts


async def test_an_attempt_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    attempt = an_attempt(recorded, reasons=(reason("OK", b=2, a=1), reason("CUT", by="HELD")), ratio=micro("0.333333"))

    assert await ledger.record_attempt(attempt)
    assert await ledger.attempt(attempt.id) == attempt


async def test_a_fill_has_one_attempt_for_each_strategy_and_account(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    first = an_attempt(recorded)
    await ledger.record_attempt(first)

    assert not await ledger.record_attempt(replace(first, id=uuid4(), size_shares_target=micro("1")))
    assert await ledger.record_attempt(an_attempt(recorded, account_id="other"))
    assert await ledger.attempt(first.id) == first


async def test_an_attempt_about_an_unknown_fill_is_refused(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)

    with pytest.raises(LookupError, match="no stored fill"):
        await ledger.record_attempt(an_attempt(replace(recorded, id=uuid4())))

    assert await ledger.open_attempts() == ()


async def test_a_decided_fill_is_decided(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    assert await ledger.undecided(limit=10) == (recorded,)

    await ledger.record_attempt(an_attempt(recorded, decision=Decision.SKIP, status=AttemptStatus.SKIPPED))

    assert await ledger.undecided(limit=10) == ()


async def test_an_order_is_submitted_once(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    attempt = an_attempt(recorded)
    await ledger.record_attempt(attempt)

    assert await ledger.submit_attempt(
        attempt.id, order_type=OrderType.FAK, order_hash="0x01", placed_at_ms=NOW_MS + 150
    )
    assert not await ledger.submit_attempt(attempt.id, order_hash="0x02", placed_at_ms=NOW_MS + 151)
    stored = await ledger.attempt(attempt.id)
    assert stored == replace(
        attempt,
        status=AttemptStatus.SUBMITTED,
        order_type=OrderType.FAK,
        order_hash="0x01",
        placed_at_ms=NOW_MS + 150,
    )


async def test_nothing_unknown_is_submitted_closed_or_found(ledger: Ledger) -> None:
    nobody = uuid4()

    assert not await ledger.submit_attempt(nobody, order_hash="0x", placed_at_ms=NOW_MS)
    assert await ledger.close_attempt(nobody, status=AttemptStatus.FAILED, reason=None, at_ms=NOW_MS) is None
    assert await ledger.attempt(nobody) is None
    assert await ledger.fill(nobody) is None


async def test_a_skip_never_becomes_an_order(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    skip = an_attempt(recorded, decision=Decision.SKIP, status=AttemptStatus.SKIPPED, size_shares_target=0)
    await ledger.record_attempt(skip)

    assert not await ledger.submit_attempt(skip.id, order_hash="0x", placed_at_ms=NOW_MS)
    assert await ledger.close_attempt(skip.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS) is None
    assert await ledger.attempt(skip.id) == skip


async def test_open_attempts_are_listed_oldest_first(ledger: Ledger) -> None:
    later = await a_submitted(ledger, tx="01", created_at_ms=NOW_MS + 9)
    earlier = await a_submitted(ledger, tx="02", created_at_ms=NOW_MS + 5)
    over = await a_submitted(ledger, tx="03", created_at_ms=NOW_MS + 1)
    await ledger.close_attempt(over.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS)

    assert await ledger.open_attempts() == (earlier, later)


async def test_an_ending_adds_its_reason_and_keeps_the_fills(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    await ledger.book_execution(an_execution(attempt))

    closed = await ledger.close_attempt(
        attempt.id, status=AttemptStatus.CANCELED, reason=reason("EXPIRED", ttl_ms=5_000), at_ms=NOW_MS + 5_150
    )

    assert closed is not None
    assert closed.status is AttemptStatus.CANCELED
    assert closed.reasons == (*attempt.reasons, reason("EXPIRED", ttl_ms=5_000))
    assert (closed.done_at_ms, closed.filled_shares) == (NOW_MS + 5_150, micro("40"))
    assert await ledger.attempt(attempt.id) == closed


@pytest.mark.parametrize("end", [AttemptStatus.FILLED, AttemptStatus.CANCELED, AttemptStatus.FAILED])
async def test_an_attempt_ends_once(ledger: Ledger, end: AttemptStatus) -> None:
    attempt = await a_submitted(ledger)
    closed = await ledger.close_attempt(attempt.id, status=end, reason=None, at_ms=NOW_MS + 300)

    late = await ledger.close_attempt(attempt.id, status=AttemptStatus.FAILED, reason=reason("LATE"), at_ms=NOW_MS)

    assert late is None
    assert await ledger.attempt(attempt.id) == closed


@pytest.mark.parametrize("status", [AttemptStatus.PENDING, AttemptStatus.SUBMITTED, AttemptStatus.SKIPPED])
async def test_what_is_no_ending_ends_nothing(ledger: Ledger, status: AttemptStatus) -> None:
    attempt = await a_submitted(ledger)

    with pytest.raises(ValueError, match="does not end"):
        await ledger.close_attempt(attempt.id, status=status, reason=None, at_ms=NOW_MS)

    assert await ledger.attempt(attempt.id) == attempt


async def test_many_attempts_end_together_each_as_it_would_alone(ledger: Ledger) -> None:
    resting = await a_submitted(ledger, tx="01", created_at_ms=NOW_MS)
    over = await a_submitted(ledger, tx="02", created_at_ms=NOW_MS + 1)
    filling = await a_submitted(ledger, tx="03", created_at_ms=NOW_MS + 2)
    await ledger.close_attempt(over.id, status=AttemptStatus.FAILED, reason=None, at_ms=NOW_MS + 5)
    await ledger.book_execution(an_execution(filling))
    ends = [an_ending(one.id, at_ms=NOW_MS + 300) for one in (filling, over, resting, filling)]

    closed = await ledger.close_attempts([*ends, an_ending(uuid4(), at_ms=NOW_MS)])

    assert [one.id for one in closed] == [filling.id, resting.id]
    assert [(one.status, one.done_at_ms) for one in closed] == [(AttemptStatus.CANCELED, NOW_MS + 300)] * 2
    assert closed[0].filled_shares == micro("40")
    assert closed[1].reasons == (*resting.reasons, reason("INTERRUPTED"))
    assert [await ledger.attempt(one.id) for one in closed] == list(closed)
    assert await ledger.open_attempts() == ()


async def test_one_that_is_no_ending_among_many_ends_none(ledger: Ledger) -> None:
    first, second = [await a_submitted(ledger, tx=tx, created_at_ms=NOW_MS) for tx in ("01", "02")]
    ends = [an_ending(first.id, at_ms=NOW_MS), replace(an_ending(second.id, at_ms=NOW_MS), status="SUBMITTED")]

    with pytest.raises(ValueError, match="does not end"):
        await ledger.close_attempts(ends)

    assert {one.id for one in await ledger.open_attempts()} == {first.id, second.id}


def an_ending(attempt: UUID, *, at_ms: int) -> OrderDone:
    return OrderDone(attempt_id=attempt, status=AttemptStatus.CANCELED, reason=reason("INTERRUPTED"), at_ms=at_ms)


# Markets, tokens, notes


async def test_a_market_comes_back_as_it_was_saved(ledger: Ledger) -> None:
    plain = a_market(end_date_ms=NOW_MS + 86_400_000, title="Ünïcode ☂ 'quoted'", taker_delay_ms=1_000)
    resolved = a_market(condition_id="0x" + "c1" * 32, tokens=(), closed=True, payouts=(micro("0.5"), micro("0.5")))

    await ledger.save_markets([resolved, plain])

    assert await ledger.markets() == (plain, resolved)


async def test_a_market_is_updated_in_place_and_never_forgets_its_payouts(ledger: Ledger) -> None:
    resolved = a_market(closed=True, payouts=(micro("1"), 0))
    await ledger.save_markets([a_market(), resolved])

    await ledger.save_markets([a_market(title="Renamed", closed=True)])

    assert await ledger.markets() == (replace(resolved, title="Renamed"),)


async def test_no_markets_are_no_work(ledger: Ledger) -> None:
    await ledger.save_markets([])

    assert await ledger.markets() == ()


async def test_recent_tokens_are_those_traded_since_and_those_held(ledger: Ledger) -> None:
    held = await a_submitted(ledger, tx="01")
    await ledger.book_execution(an_execution(held))
    await a_stored_fill(ledger, tx_hash="0x" + "02" * 32, token_id="333", fill_ts_ms=NOW_MS + 60_000)
    await a_stored_fill(ledger, tx_hash="0x" + "03" * 32, token_id="333", fill_ts_ms=NOW_MS + 61_000)
    await a_stored_fill(ledger, tx_hash="0x" + "04" * 32, token_id="444", fill_ts_ms=NOW_MS - 90_000)

    assert sorted(await ledger.recent_tokens(since_ms=NOW_MS + 60_000)) == [YES, "333"]
    assert sorted(await ledger.recent_tokens(since_ms=NOW_MS + 60_001)) == [YES, "333"]
    assert sorted(await ledger.recent_tokens(since_ms=NOW_MS + 61_001)) == [YES]


async def test_a_note_takes_whatever_detail_there_is(ledger: Ledger) -> None:
    await ledger.note(
        "QUARANTINED", {"payload": '\x00\ud800 "x"', "source": Source.POLYGON, "id": uuid4()}, at_ms=NOW_MS
    )
