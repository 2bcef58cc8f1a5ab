"""The promises of the Ledger port about leaders, attempts, executions and markets, on every implementation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from copytrade.domain.attempts import (
    AttemptStatus,
    Decision,
    ExecutionAttempt,
    ExecutionFill,
    ExecutionMode,
    Liquidity,
    Settlement,
    reason,
)
from copytrade.domain.booking import ImpossibleExecutionError
from copytrade.domain.fills import RecordedFill, Side, Source
from copytrade.domain.ids import attempt_id, execution_fill_id
from copytrade.domain.positions import OversoldError, Position, fold
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import Ledger, UnknownLeaderError
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_fill, a_leader, a_market, a_sighting, micro


def an_attempt(recorded: RecordedFill, **changes: Any) -> ExecutionAttempt:
    facts: dict[str, Any] = {
        "id": attempt_id("copy", changes.get("account_id", "paper"), recorded.id),
        "strategy_id": "copy",
        "account_id": "paper",
        "leader_fill_id": recorded.id,
        "mode": ExecutionMode.PAPER,
        "decision": Decision.TRADE,
        "reasons": (reason("OK", slippage_bps=300, touch="0.51"),),
        "ratio": micro("1"),
        "token_id": recorded.fill.token_id,
        "side": recorded.fill.side,
        "size_shares_target": micro("100"),
        "limit_price": micro("0.51"),
        "ttl_ms": 5_000,
        "status": AttemptStatus.PENDING,
        "order_hash": None,
        "decided_at_ms": NOW_MS + 1,
        "placed_at_ms": None,
        "first_fill_at_ms": None,
        "done_at_ms": None,
        "created_at_ms": NOW_MS + 1,
    }
    return ExecutionAttempt(**(facts | changes))


def an_execution(attempt: ExecutionAttempt, *, trade: str = "t1", shares: str = "40", **changes: Any) -> ExecutionFill:
    facts: dict[str, Any] = {
        "id": execution_fill_id(attempt.account_id, trade),
        "attempt_id": attempt.id,
        "strategy_id": attempt.strategy_id,
        "account_id": attempt.account_id,
        "venue_trade_id": trade,
        "token_id": attempt.token_id,
        "side": attempt.side,
        "shares": micro(shares),
        "price": micro("0.505"),
        "fee_usdc": micro("0.25"),
        "liquidity": Liquidity.TAKER,
        "settlement": Settlement.CONFIRMED,
        "fill_at_ms": NOW_MS + 200,
    }
    return ExecutionFill(**(facts | changes))


async def a_stored_fill(ledger: Ledger, **changes: Any) -> RecordedFill:
    """Follow the leader and store one fill of his."""
    await ledger.add_leader(a_leader())
    seen = FillsSeen(source=Source.POLYGON, sightings=(a_sighting(a_fill(**changes)),))
    (stored,) = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    return stored


async def a_submitted(ledger: Ledger, *, tx: str = "7a", side: Side = Side.BUY, **changes: Any) -> ExecutionAttempt:
    recorded = await a_stored_fill(ledger, tx_hash="0x" + tx * 32, side=side)
    attempt = an_attempt(recorded, **changes)
    await ledger.record_attempt(attempt)
    await ledger.submit_attempt(attempt.id, order_hash=f"0x{tx}", placed_at_ms=NOW_MS + 150)
    stored = await ledger.attempt(attempt.id)
    assert stored is not None
    return stored


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


async def test_a_removed_leader_is_followed_again_with_the_new_values(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(label="first"))
    await ledger.remove_leader(LEADER)
    again = a_leader(label="second", followed_since_ms=NOW_MS, created_at_ms=NOW_MS)

    assert await ledger.add_leader(again)
    assert await ledger.leaders() == (again,)


async def test_removing_a_stranger_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(UnknownLeaderError, match=OTHER):
        await ledger.remove_leader(OTHER)


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

    assert await ledger.submit_attempt(attempt.id, order_hash="0x01", placed_at_ms=NOW_MS + 150)
    assert not await ledger.submit_attempt(attempt.id, order_hash="0x02", placed_at_ms=NOW_MS + 151)
    stored = await ledger.attempt(attempt.id)
    assert stored == replace(attempt, status=AttemptStatus.SUBMITTED, order_hash="0x01", placed_at_ms=NOW_MS + 150)


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


# Executions and positions


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
