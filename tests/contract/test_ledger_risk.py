"""The promises of the ledger about limits, halts, gates and days, on every implementation."""

from __future__ import annotations

from copytrade.domain.attempts import AttemptStatus, Decision, Settlement
from copytrade.domain.drawdown import DayStart
from copytrade.domain.fills import Side
from copytrade.domain.gates import GateName, GateState, Reading
from copytrade.domain.halts import BY_DRAWDOWN, BY_OPERATOR, HaltLevel, new_halt
from copytrade.domain.risk import LimitName
from copytrade.domain.scopes import EVERYTHING, Scope
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from copytrade.ports.ledger import Ledger
from copytrade.ports.risk import CopiedExecution, DayFigures
from tests.ledger_facts import a_stored_fill, a_submitted, an_attempt, an_execution
from tests.makers import LEADER, NO, NOW_MS, YES, a_market, micro

OWNER = ("copy", "paper")
HIS = Scope(leader=LEADER)


async def test_a_limit_keeps_who_set_it_when_and_what_it_was(ledger: Ledger) -> None:
    first = await ledger.set_limit(
        LimitName.MAX_OPEN_USDC, EVERYTHING, micro("250.5"), start=micro("100"), by="ann", at_ms=NOW_MS
    )
    second = await ledger.set_limit(
        LimitName.MAX_OPEN_USDC, EVERYTHING, None, start=micro("100"), by="bob", at_ms=NOW_MS + 1
    )
    counted = await ledger.set_limit(LimitName.MAX_OPEN_POSITIONS, HIS, 7, start=None, by="ann", at_ms=NOW_MS + 2)

    changes = await ledger.limit_changes(after=0)
    assert changes == (first, second, counted)
    assert [(change.old, change.new) for change in changes] == [
        (micro("100"), micro("250.5")),
        (micro("250.5"), None),
        (None, 7),
    ]
    assert (first.changed_by, first.changed_at_ms, counted.scope) == ("ann", NOW_MS, HIS)
    assert await ledger.limit_changes(after=first.revision) == (second, counted)
    assert await ledger.limit_changes(after=counted.revision) == ()


async def test_the_same_limit_in_another_scope_is_another_limit(ledger: Ledger) -> None:
    for scope, value in ((EVERYTHING, 1), (Scope(*OWNER), 2), (HIS, 3)):
        await ledger.set_limit(LimitName.MAX_OPEN_POSITIONS, scope, value, start=9, by="ann", at_ms=NOW_MS)

    changes = await ledger.limit_changes(after=0)

    assert {change.scope: (change.old, change.new) for change in changes} == {
        EVERYTHING: (9, 1),
        Scope(*OWNER): (9, 2),
        HIS: (9, 3),
    }


async def test_a_halt_is_open_until_it_is_resumed(ledger: Ledger) -> None:
    halt = new_halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="looks odd", by="ann", now_ms=NOW_MS)

    assert await ledger.halt(halt)
    assert await ledger.open_halts() == (halt,)

    [ended] = await ledger.resume(BY_OPERATOR, by="bob", at_ms=NOW_MS + 5)
    assert (ended.id, ended.ended_by, ended.ended_at_ms) == (halt.id, "bob", NOW_MS + 5)
    assert await ledger.open_halts() == ()
    assert await ledger.resume(BY_OPERATOR, by="bob", at_ms=NOW_MS + 6) == ()


async def test_a_cause_has_one_open_halt_and_a_new_one_ends_it(ledger: Ledger) -> None:
    entries = new_halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="odd", by="ann", now_ms=NOW_MS)
    again = new_halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="odd", by="bob", now_ms=NOW_MS + 1)
    everything = new_halt(BY_OPERATOR, level=HaltLevel.ALL, why="odd", by="bob", now_ms=NOW_MS + 2)

    assert await ledger.halt(entries)
    assert not await ledger.halt(again)
    assert await ledger.halt(everything)

    assert await ledger.open_halts() == (everything,)


async def test_resume_without_a_cause_ends_every_halt(ledger: Ledger) -> None:
    for number, cause in enumerate((BY_DRAWDOWN, BY_OPERATOR)):
        await ledger.halt(new_halt(cause, level=HaltLevel.ALL, why="x", by="ann", now_ms=NOW_MS + number))

    ended = await ledger.resume(None, by="ann", at_ms=NOW_MS + 9)

    assert [halt.cause for halt in ended] == [BY_DRAWDOWN, BY_OPERATOR]
    assert await ledger.open_halts() == ()


async def test_the_latest_day_is_found_again_with_what_each_token_would_have_gained(ledger: Ledger) -> None:
    def day(start_ms: int, **unrealized: int | None) -> DayStart:
        return DayStart(
            strategy_id="copy",
            account_id="paper",
            started_at_ms=start_ms,
            realized_usdc=micro("-3.25"),
            unrealized_usdc=unrealized,
        )

    assert await ledger.day_start(*OWNER) is None
    await ledger.save_day_start(day(NOW_MS, a=None), at_ms=NOW_MS)
    await ledger.save_day_start(day(NOW_MS, a=micro("1.5"), b=None), at_ms=NOW_MS + 1)
    assert await ledger.day_start(*OWNER) == day(NOW_MS, a=micro("1.5"), b=None)

    await ledger.save_day_start(day(NOW_MS + 86_400_000), at_ms=NOW_MS)
    await ledger.save_day_gain(day(NOW_MS + 86_400_000), gain_usdc=micro("-1"), unmarked=2, at_ms=NOW_MS)
    assert await ledger.day_start(*OWNER) == day(NOW_MS + 86_400_000)
    assert await ledger.day_start("copy", "live") is None
    assert await ledger.day_gain(*OWNER, started_at_ms=NOW_MS + 86_400_000) == micro("-1")
    assert await ledger.day_gain(*OWNER, started_at_ms=NOW_MS + 1) is None


async def test_executions_come_with_their_leader_and_settlements_after_them(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    bought = await a_submitted(ledger)
    buy = an_execution(bought, shares="100", price=micro("0.5"))
    await ledger.book_execution(buy)
    sold = await a_submitted(ledger, tx="5e", side=Side.SELL, size_shares_target=micro("40"))
    sell = an_execution(sold, trade="s1", shares="40", price=micro("0.4"), side=Side.SELL)
    await ledger.book_execution(sell)
    other = await a_submitted(ledger, tx="0f", token_id=NO, account_id="live")
    await ledger.book_execution(an_execution(other, trade="o1", token_id=NO, account_id="live"))
    bets = [CopiedExecution(fill=buy, leader=LEADER), CopiedExecution(fill=sell, leader=LEADER)]
    later_ms = NOW_MS + 86_400_000

    assert await ledger.copied_moves(*OWNER, since_ms=later_ms) == tuple(bets)

    settled = await ledger.settle(
        Resolution(
            condition_id=a_market().condition_id,
            payouts=(MICRO, 0),
            source=ResolutionSource.CHAIN,
            at_ms=NOW_MS + 9_000,
        )
    )
    [ours] = [closing.settlement for closing in settled.closings if closing.settlement.account_id == "paper"]
    assert await ledger.copied_moves(*OWNER, since_ms=NOW_MS + 9_000) == (*bets, ours)
    assert await ledger.copied_moves(*OWNER, since_ms=later_ms) == ()


async def test_executions_of_a_closed_position_come_while_one_of_them_is_recent(ledger: Ledger) -> None:
    bought = await a_submitted(ledger)
    await ledger.book_execution(an_execution(bought, shares="100"))
    sold = await a_submitted(ledger, tx="5e", side=Side.SELL)
    await ledger.book_execution(an_execution(sold, trade="s1", shares="100", side=Side.SELL, fill_at_ms=NOW_MS + 9_000))

    assert len(await ledger.copied_moves(*OWNER, since_ms=NOW_MS + 9_000)) == 2
    assert await ledger.copied_moves(*OWNER, since_ms=NOW_MS + 9_001) == ()


async def test_the_gates_say_when_they_were_kept_last(ledger: Ledger) -> None:
    reading = Reading(is_healthy=True, value="1 ms", limit="1000 ms")
    gate = GateState(name=GateName.DATABASE, reading=reading, since_ms=NOW_MS)

    assert await ledger.gates_saved_ms() is None
    await ledger.save_gates([gate], at_ms=NOW_MS + 1)
    await ledger.save_gates([gate], at_ms=NOW_MS + 7)
    assert await ledger.gates_saved_ms() == NOW_MS + 7


async def test_an_execution_that_failed_to_settle_counts_for_nothing(ledger: Ledger) -> None:
    attempt = await a_submitted(ledger)
    await ledger.book_execution(an_execution(attempt, settlement=Settlement.FAILED))

    assert await ledger.copied_moves(*OWNER, since_ms=0) == ()


async def test_open_attempts_and_recent_trades_come_with_their_leader(ledger: Ledger) -> None:
    is_open = await a_submitted(ledger, created_at_ms=NOW_MS - 90_000)
    ended = await a_submitted(ledger, tx="0e")
    closed = await ledger.close_attempt(ended.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 5)
    skipped = await a_stored_fill(ledger, tx_hash="0x" + "0d" * 32)
    await ledger.record_attempt(an_attempt(skipped, decision=Decision.SKIP, status=AttemptStatus.SKIPPED))

    recent = await ledger.copied_attempts(*OWNER, since_ms=NOW_MS + 1)
    assert [(one.attempt, one.leader) for one in recent] == [(is_open, LEADER), (closed, LEADER)]
    assert [one.attempt for one in await ledger.copied_attempts(*OWNER, since_ms=NOW_MS + 2)] == [is_open]


async def test_the_markets_of_tokens_are_found(ledger: Ledger) -> None:
    market = a_market()
    await ledger.save_markets([market])

    assert await ledger.markets_of([YES, NO, "333"]) == {YES: market, NO: market}
    assert await ledger.markets_of([]) == {}


async def test_a_day_is_counted_without_its_end(ledger: Ledger) -> None:
    bought = await a_submitted(ledger)
    await ledger.book_execution(an_execution(bought, shares="100", price=micro("0.5")))
    sold = await a_submitted(ledger, tx="5e", side=Side.SELL)
    await ledger.book_execution(
        an_execution(sold, trade="s1", shares="100", side=Side.SELL, price=micro("0.4"), fee_usdc=0)
    )
    skipped = await a_stored_fill(ledger, tx_hash="0x" + "0d" * 32)
    skip = an_attempt(skipped, decision=Decision.SKIP, status=AttemptStatus.SKIPPED, created_at_ms=NOW_MS + 500)
    await ledger.record_attempt(skip)

    assert await ledger.day_figures(*OWNER, from_ms=NOW_MS - 1_000, to_ms=NOW_MS + 500) == DayFigures(
        fills=3,
        trades=2,
        skips=0,
        executions=2,
        bought_usdc=micro("50"),
        sold_usdc=micro("40"),
        fees_usdc=micro("0.25"),
        realized_usdc=micro("-10"),
    )
    nothing = await ledger.day_figures(*OWNER, from_ms=NOW_MS + 900_000, to_ms=NOW_MS + 1_000_000)
    assert nothing == DayFigures(
        fills=0, trades=0, skips=0, executions=0, bought_usdc=0, sold_usdc=0, fees_usdc=0, realized_usdc=0
    )
