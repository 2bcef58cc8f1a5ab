"""A leader's own rules go first, take effect while the worker runs, and what waits or is spent outlives a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import Decision, ExecutionAttempt
from copytrade.domain.copy_rules import own_rules
from copytrade.domain.fills import LeaderFill, LeaderRole, Side
from copytrade.domain.happenings import Noted
from copytrade.domain.sizing import SizingMode
from copytrade.ports.wallet_values import ValueUnavailableError
from copytrade.strategies.copy import CopyFacts
from tests.copying import codes, numbers, waiting_by_reasons
from tests.flow.stage import START_MS, Stage, live, play
from tests.makers import LEADER, a_book, a_fill, a_leader, a_place, micro
from tests.virtual_time import run_virtual

ROOMY = {"carry_max_age_ms": 600_000, "order_window_ms": 60_000}
BANKROLL = {"sizing_mode": SizingMode.BANKROLL, "bankroll_usdc": micro("1000")}


def an_event(stage: Stage, number: int, size: str, *, order: int | None = None, **changes: Any) -> LeaderFill:
    """Return a fill of this very second, of an order of its own unless one is named."""
    now_ms = stage.clock.now_ms()
    place = a_place(log_index=number, order_hash=f"0x{number if order is None else 10_000 + order:064x}")
    made = {"place": place, "tx_hash": f"0x{number:064x}", "fill_ts_ms": now_ms, "detected_at_ms": now_ms}
    return a_fill(size=size, **(made | changes))


async def fills(stage: Stage, number: int, size: str, **changes: Any) -> ExecutionAttempt:
    """Let the leader fill once and return what became of it."""
    await stage.books.show(a_book(bids="0.49:5000", asks="0.51:5000"))
    await stage.sees(an_event(stage, number, size, **changes))
    await asyncio.sleep(1)
    return (await stage.attempts())[-1]


def lives(*scripts: Any, ledger: MemoryLedger | None = None, **rules: Any) -> MemoryLedger:
    """Run one life after the other on one ledger."""
    kept = ledger or MemoryLedger()

    async def main() -> None:
        await kept.add_leader(a_leader())
        for script in scripts:
            await live(Stage(ledger=kept, **(ROOMY | rules)), script)

    run_virtual(main, epoch_ms=START_MS)
    return kept


@pytest.mark.parametrize(
    ("rules", "fill", "size", "limit", "ttl_ms"),
    [
        ({"slippage_bps_max": 600}, {}, "60", "0.53", 5_000),
        ({"slippage_ticks_max": 0}, {}, "60", "0.50", 5_000),
        ({"order_ttl_ms": 9_000}, {}, "60", "0.51", 9_000),
        ({"maker_leader_ratio": micro("0.5")}, {"role": LeaderRole.MAKER}, "30", "0.51", 5_000),
        ({"sizing_mode": SizingMode.FIXED_USDC, "fixed_usdc": micro("10.2")}, {}, "20", "0.51", 5_000),
    ],
    ids=["slippage in bps", "slippage in ticks", "time to live", "maker ratio", "fixed amount"],
)
def test_each_of_his_own_rules_goes_before_the_general_one(
    rules: dict[str, Any], fill: dict[str, Any], size: str, limit: str, ttl_ms: int
) -> None:
    async def script(stage: Stage) -> None:
        await stage.ledger.change_leader(a_leader(rules=own_rules(rules.items())))
        await asyncio.sleep(1.1)
        attempt = await fills(stage, 1, "60", **fill)

        assert (attempt.size_shares_target, attempt.limit_price) == (micro(size), micro(limit))
        assert attempt.ttl_ms == ttl_ms

    play(script)


def test_a_change_takes_effect_within_a_second_and_back_again() -> None:
    async def script(stage: Stage) -> None:
        said = []
        for number, changes in enumerate([{}, {"paused": True}, {"exit_only": True}, {"copy_ratio": micro("0.5")}]):
            await stage.ledger.change_leader(a_leader(**changes))
            await asyncio.sleep(1)
            attempt = await fills(stage, number, "60")
            said.append((codes(attempt)[0], attempt.size_shares_target))

        assert said == [
            ("MARKETABLE", micro("60")),
            ("LEADER_PAUSED", 0),
            ("LEADER_EXIT_ONLY", 0),
            ("MARKETABLE", micro("30")),
        ]

    play(script)


def test_a_change_of_rules_keeps_what_is_known_of_his_positions() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(65)
        listed, asked = stage.activity.listed, len(stage.activity.asked)
        await stage.ledger.change_leader(a_leader(copy_ratio=micro("0.5")))
        await asyncio.sleep(2)

        assert (stage.activity.listed, len(stage.activity.asked)) == (listed, asked)

    play(script)


def test_what_waits_outlives_a_restart_and_is_released_once() -> None:
    async def first(stage: Stage) -> None:
        await fills(stage, 1, "2")

    async def second(stage: Stage) -> None:
        attempt = await fills(stage, 2, "4")
        assert attempt.size_shares_target == micro("6")
        assert numbers(attempt, "RELEASED")["size"] == "2.00"

    async def third(stage: Stage) -> None:
        assert codes(await fills(stage, 3, "3")) == ["CARRIED"]

    ledger = lives(first, second, third)

    [carry] = [one for one in ledger.carried.values() if one.shares]
    assert carry.shares == micro("3")
    assert carry.shares == waiting_by_reasons(one.reasons for one in ledger._attempts.values())


def test_what_an_order_cost_outlives_a_restart() -> None:
    async def event(stage: Stage, number: int) -> ExecutionAttempt:
        return await fills(stage, number, "150", order=1)

    async def first(stage: Stage) -> None:
        assert (await event(stage, 1)).size_shares_target == micro("150")

    async def second(stage: Stage) -> None:
        attempt = await event(stage, 2)
        assert codes(attempt) == ["MARKETABLE", "CUT_BY_ORDER_CAP"]
        assert attempt.size_shares_target == micro("46.07")

    lives(first, second)


def test_the_cool_down_outlives_a_restart() -> None:
    async def first(stage: Stage) -> None:
        assert (await fills(stage, 1, "50")).decision is Decision.TRADE

    async def second(stage: Stage) -> None:
        assert codes(await fills(stage, 2, "50")) == ["LEADER_COOLDOWN"]
        await asyncio.sleep(10)
        assert (await fills(stage, 3, "50")).decision is Decision.TRADE

    lives(first, second, leader_cooldown_ms=10_000)


def test_a_size_by_bankroll_is_the_part_of_ours_that_he_spent_of_his() -> None:
    async def script(stage: Stage) -> None:
        stage.values.worth = {LEADER: micro("50000")}
        attempt = await fills(stage, 1, "3000")

        assert attempt.size_shares_target == micro("60")
        assert attempt.ratio == micro("0.02")
        assert numbers(attempt, "SIZED_BY_BANKROLL")["his"] == "50000.00"
        assert stage.values.asked == [LEADER]

    play(script, **BANKROLL)


def test_he_has_at_least_what_he_just_spent() -> None:
    async def script(stage: Stage) -> None:
        stage.values.worth = {LEADER: micro("1000")}
        attempt = await fills(stage, 1, "3000")

        assert numbers(attempt, "SIZED_BY_BANKROLL")["his"] == "1500.00"
        assert attempt.size_shares_target == micro("60")

    play(script, **BANKROLL | {"bankroll_usdc": micro("30")})


def test_what_he_spent_since_he_was_valued_counts_as_his_too() -> None:
    async def script(stage: Stage) -> None:
        stage.values.worth = {LEADER: micro("1000")}
        await asyncio.sleep(5)
        attempt = await fills(stage, 1, "3000")

        assert numbers(attempt, "SIZED_BY_BANKROLL")["his"] == "2500.00"
        assert attempt.size_shares_target == micro("36")

    play(script, **BANKROLL | {"bankroll_usdc": micro("30")})


def test_what_we_won_and_lost_is_part_of_our_bankroll() -> None:
    async def script(stage: Stage) -> None:
        stage.values.worth = {LEADER: micro("10000")}
        await fills(stage, 1, "1000")
        await fills(stage, 2, "1000", side=Side.SELL)
        [position] = await stage.ledger.positions()
        attempt = await fills(stage, 3, "1000")

        lost = position.fees_usdc - position.realized_pnl_usdc
        assert lost > 0
        assert micro(numbers(attempt, "SIZED_BY_BANKROLL")["ours"]) == micro("1000") - lost

    play(script, **BANKROLL)


def test_until_he_was_asked_about_once_a_decision_waits_a_little() -> None:
    async def script(stage: Stage) -> None:
        stage.values.worth, stage.values.takes_s = {LEADER: micro("50000")}, 1.5
        await stage.books.show(a_book(asks="0.51:5000"))
        await stage.sees(an_event(stage, 1, "3000"))
        await asyncio.sleep(2)

        [attempt] = await stage.attempts()
        assert attempt.size_shares_target == micro("60")
        assert attempt.decided_at_ms == START_MS + 1_500

    play(script, **BANKROLL)


@pytest.mark.parametrize("worth", [{}, {LEADER: 0}], ids=["not known", "only cash"])
def test_while_his_bankroll_is_unknown_nothing_is_entered_and_exits_go_by_the_ratio(worth: dict[str, int]) -> None:
    async def first(stage: Stage) -> None:
        await fills(stage, 1, "50")

    async def second(stage: Stage) -> None:
        await stage.ledger.change_leader(a_leader(rules=own_rules(BANKROLL.items())))
        stage.values.worth = worth
        await asyncio.sleep(2)
        assert codes(await fills(stage, 2, "50")) == ["BANKROLL_UNKNOWN"]
        sold = await fills(stage, 3, "20", side=Side.SELL)
        assert (sold.decision, sold.size_shares_target) == (Decision.TRADE, micro("20"))

    lives(first, second)


def test_the_last_value_is_used_for_an_hour_of_outage_which_is_told_once() -> None:
    async def script(stage: Stage) -> None:
        stage.values.worth = {LEADER: micro("50000")}
        await asyncio.sleep(1)
        stage.values.failure = ValueUnavailableError("HTTP 503")
        await asyncio.sleep(3_500)
        attempt = await fills(stage, 1, "3000")
        assert int(numbers(attempt, "SIZED_BY_BANKROLL")["his_age_ms"]) > 3_000_000
        await asyncio.sleep(200)
        assert codes(await fills(stage, 2, "3000")) == ["BANKROLL_UNKNOWN"]
        stage.values.failure = None
        await asyncio.sleep(61)
        assert (await fills(stage, 3, "3000")).decision is Decision.TRADE

        told = [noted.code for noted in stage.notifier.of(Noted) if isinstance(noted, Noted)]
        assert told == ["STARTED", "UNREACHABLE", "RECONNECTED"]

    play(script, **BANKROLL)


def test_nobody_is_asked_about_where_no_size_depends_on_it() -> None:
    async def script(stage: Stage) -> None:
        await asyncio.sleep(200)
        assert stage.values.asked == []
        await stage.ledger.change_leader(a_leader(rules=own_rules(BANKROLL.items())))
        await asyncio.sleep(122)
        assert len(stage.values.asked) == 3

    play(script)


def test_a_session_that_is_recorded_keeps_what_everybody_has_for_a_replay_and_decides_no_differently() -> None:
    known: list[CopyFacts] = []

    async def script(stage: Stage) -> None:
        stage.values.worth = {LEADER: micro("50000")}
        stage.worker.decide.on_facts = lambda _, facts: known.append(facts)
        stage.worker.leader_values.asks_about_all = True
        await asyncio.sleep(1)
        attempt = await fills(stage, 1, "60")

        assert attempt.size_shares_target == micro("60")
        assert codes(attempt) == ["MARKETABLE"]
        assert stage.values.asked == [LEADER]

    play(script)

    [facts] = known
    assert facts.bankroll is not None
    assert (facts.bankroll.his, facts.bankroll.ours) == (micro("50000"), micro("1000"))
