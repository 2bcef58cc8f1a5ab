"""What one decision leaves for the next is kept with its attempt, on every implementation."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.carry import Carry
from copytrade.domain.fills import RecordedFill, Side
from copytrade.domain.ids import leader_id
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_stored_fill, an_attempt
from tests.makers import LEADER, NOW_MS, OTHER, YES, a_leader, micro

OURS = {"strategy_id": "copy", "account_id": "paper"}


def a_carry(**changes: object) -> Carry:
    facts = {
        "leader_id": leader_id(LEADER),
        "token_id": YES,
        "side": Side.BUY,
        "shares": micro("2.000001"),
        "usdc": micro("1.1"),
        "fills": 2,
        "since_ms": NOW_MS - 1,
    }
    return Carry(**(facts | changes))


async def a_fill_of(ledger: Ledger, number: int, leader: str = LEADER) -> RecordedFill:
    await ledger.add_leader(a_leader(address=leader))
    return await a_stored_fill(ledger, tx_hash=f"0x{number:064x}", leader=leader)


async def test_what_waits_comes_back_as_it_was_kept_until_it_is_empty(ledger: Ledger) -> None:
    first, second, third = [await a_fill_of(ledger, number) for number in (1, 2, 3)]
    await ledger.record_attempt(an_attempt(first), carry=a_carry())
    kept = await ledger.carries(**OURS)
    await ledger.record_attempt(an_attempt(second), carry=a_carry(side=Side.SELL, shares=micro("3")))
    turned = await ledger.carries(**OURS)
    await ledger.record_attempt(an_attempt(third), carry=a_carry().emptied())

    assert kept == (a_carry(),)
    assert turned == (a_carry(side=Side.SELL, shares=micro("3")),)
    assert await ledger.carries(**OURS) == ()


async def test_a_fill_decided_before_changes_nothing_of_what_waits(ledger: Ledger) -> None:
    recorded = await a_fill_of(ledger, 1)
    await ledger.record_attempt(an_attempt(recorded), carry=a_carry())

    again = replace(an_attempt(recorded), id=uuid4())
    assert not await ledger.record_attempt(again, carry=a_carry(shares=micro("4")))

    assert await ledger.carries(**OURS) == (a_carry(),)


async def test_an_attempt_that_says_nothing_of_what_waits_leaves_it(ledger: Ledger) -> None:
    first, second = [await a_fill_of(ledger, number) for number in (1, 2)]
    await ledger.record_attempt(an_attempt(first), carry=a_carry())

    await ledger.record_attempt(an_attempt(second))

    assert await ledger.carries(**OURS) == (a_carry(),)


async def test_leaders_tokens_and_accounts_wait_apart(ledger: Ledger) -> None:
    mine, others = await a_fill_of(ledger, 1), await a_fill_of(ledger, 2, OTHER)
    his = a_carry(leader_id=others.leader_id)
    await ledger.record_attempt(an_attempt(mine), carry=a_carry())
    await ledger.record_attempt(an_attempt(mine, account_id="live"), carry=a_carry(shares=micro("1")))
    await ledger.record_attempt(an_attempt(others), carry=his)

    assert set(await ledger.carries(**OURS)) == {a_carry(), his}
    assert await ledger.carries(strategy_id="copy", account_id="live") == (a_carry(shares=micro("1")),)


async def test_attempts_decided_since_come_with_their_fills_oldest_first(ledger: Ledger) -> None:
    old, late, early = [await a_fill_of(ledger, number) for number in (1, 2, 3)]
    at = {old.id: -1, late.id: 9, early.id: 0}
    made = {
        one.id: an_attempt(one, decided_at_ms=NOW_MS + at[one.id], created_at_ms=NOW_MS + at[one.id])
        for one in (old, late, early)
    }
    for attempt in made.values():
        await ledger.record_attempt(attempt)
    await ledger.record_attempt(an_attempt(early, account_id="live"))

    assert await ledger.decided_since(NOW_MS, **OURS) == ((early, made[early.id]), (late, made[late.id]))


async def test_the_last_entry_of_each_leader_is_his_latest_buy_that_was_a_trade(ledger: Ledger) -> None:
    fills = [await a_fill_of(ledger, number) for number in range(5)] + [await a_fill_of(ledger, 9, OTHER)]
    kinds = [
        {},
        {},
        {"side": Side.SELL},
        {"decision": Decision.SKIP, "status": AttemptStatus.SKIPPED},
        {"account_id": "live"},
        {},
    ]
    for at, (fill, kind) in enumerate(zip(fills, kinds, strict=True)):
        at_ms = NOW_MS + at
        await ledger.record_attempt(an_attempt(fill, decided_at_ms=at_ms, created_at_ms=at_ms, **kind))

    assert await ledger.last_entries(NOW_MS, **OURS) == {fills[0].leader_id: NOW_MS + 1, fills[5].leader_id: NOW_MS + 5}
    assert await ledger.last_entries(NOW_MS + 6, **OURS) == {}
