"""The kill-switch: from another process or by a file, within a second, over restarts, with every order it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt
from copytrade.domain.fills import Side
from copytrade.domain.halts import BY_FILE, BY_OPERATOR, HaltLevel, new_halt
from copytrade.domain.happenings import Noted
from copytrade.domain.scopes import EVERYTHING
from tests.flow.stage import START_MS, Stage, live, play
from tests.makers import NO, a_book, a_fill, a_leader, a_place, micro
from tests.virtual_time import run_virtual

SECOND = 1.0


def a_trade(log: int, *, size: str = "20", price: str = "0.51", **changes: Any) -> Any:
    return a_fill(size=size, price=price, tx_hash=f"0x{log:064x}", place=a_place(log_index=log), **changes)


async def halt(stage: Stage, level: HaltLevel = HaltLevel.ENTRIES, why: str = "looks odd") -> None:
    """Halt as another process does: by a row."""
    await stage.ledger.halt(new_halt(BY_OPERATOR, level=level, why=why, by="ann@desk", now_ms=stage.clock.now_ms()))


async def last(stage: Stage) -> ExecutionAttempt:
    return (await stage.attempts())[-1]


def test_a_halt_from_another_process_stops_entries_within_a_second_and_says_why() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await halt(stage)
        await asyncio.sleep(SECOND)
        await stage.sees(a_trade(1))
        await asyncio.sleep(0.1)

        attempt = await last(stage)
        assert attempt.decision is Decision.SKIP
        assert [one.as_json() for one in attempt.reasons] == [
            {"code": "HALTED", "level": "entries", "cause": "operator", "why": "looks odd"}
        ]
        [told] = [noted for noted in stage.notifier.of(Noted) if noted.code == "HALTED"]
        assert told.detail["by"] == "ann@desk"

    play(script)


def test_a_resume_from_another_process_lets_entries_through_within_a_second() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await halt(stage)
        await asyncio.sleep(SECOND)
        await stage.ledger.resume(None, by="bob@desk", at_ms=stage.clock.now_ms())
        await asyncio.sleep(SECOND)
        await stage.sees(a_trade(1))
        await asyncio.sleep(0.1)

        assert (await last(stage)).decision is Decision.TRADE
        assert [noted.code for noted in stage.notifier.of(Noted)][-2:] == ["HALTED", "RESUMED"]

    play(script)


def test_exits_pass_a_halt_of_entries_and_not_one_of_everything() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(a_trade(1))
        await asyncio.sleep(SECOND)
        await halt(stage)
        await asyncio.sleep(SECOND)
        await stage.sees(a_trade(2, side=Side.SELL, price="0.49", size="10"))
        await asyncio.sleep(SECOND)
        assert (await last(stage)).status is AttemptStatus.FILLED

        await halt(stage, HaltLevel.ALL)
        await asyncio.sleep(SECOND)
        assert "RESUMED" not in [noted.code for noted in stage.notifier.of(Noted)]
        await stage.sees(a_trade(3, side=Side.SELL, price="0.49", size="10"))
        await asyncio.sleep(0.1)
        assert [one.code for one in (await last(stage)).reasons] == ["HALTED"]

    play(script)


async def a_resting_order_each(stage: Stage) -> None:
    """Leave a buy of one token and a sell of another resting, far from the market."""
    await stage.books.show(a_book())
    await stage.books.show(a_book(token_id=NO))
    await stage.sees(a_trade(1, token_id=NO))
    await asyncio.sleep(SECOND)
    await stage.sees(a_trade(2, price="0.40"))
    await stage.sees(a_trade(3, token_id=NO, side=Side.SELL, price="0.60"))
    await asyncio.sleep(SECOND)


@pytest.mark.parametrize(
    ("level", "cancelled"), [(HaltLevel.ENTRIES, {Side.BUY}), (HaltLevel.ALL, {Side.BUY, Side.SELL})]
)
def test_a_halt_cancels_the_resting_orders_it_stops(level: HaltLevel, cancelled: set[Side]) -> None:
    async def script(stage: Stage) -> None:
        await a_resting_order_each(stage)
        await halt(stage, level)
        await asyncio.sleep(SECOND)

        resting = {one.side: one for one in (await stage.attempts())[1:]}
        assert {side for side, one in resting.items() if one.status is AttemptStatus.CANCELED} == cancelled
        for side in cancelled:
            assert resting[side].reasons[-1].code == "CANCELED_BY_US"
        assert stage.worker.portfolio.at_stake.exposure.in_flight(EVERYTHING) == 0

    play(script, order_ttl_ms=60_000)


def test_a_halt_survives_a_restart_and_so_does_its_end() -> None:
    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        first = Stage(ledger=ledger)

        async def halted(stage: Stage) -> None:
            await halt(stage)
            await asyncio.sleep(SECOND)

        await live(first, halted)
        await live(Stage(ledger=ledger), _decides(Decision.SKIP, log=1))
        await ledger.resume(None, by="bob", at_ms=START_MS)
        await live(Stage(ledger=ledger), _decides(Decision.TRADE, log=2))

    run_virtual(main, epoch_ms=START_MS)


def _decides(decision: Decision, *, log: int) -> Callable[[Stage], Awaitable[None]]:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(a_trade(log))
        await asyncio.sleep(0.1)
        assert (await last(stage)).decision is decision

    return script


@pytest.mark.parametrize(
    ("text", "level", "why"),
    [
        ("power is\n going out \n", HaltLevel.ENTRIES, "power is going out"),
        ("", HaltLevel.ENTRIES, "no reason given"),
        ("all", HaltLevel.ALL, "all"),
        ("ALL: the venue is burning", HaltLevel.ALL, "ALL: the venue is burning"),
        ("allow me", HaltLevel.ENTRIES, "allow me"),
    ],
)
def test_a_file_halts_and_its_text_is_the_reason(text: str, level: HaltLevel, why: str) -> None:
    async def script(stage: Stage) -> None:
        stage.guard.switch.throw(text)
        await asyncio.sleep(SECOND)
        [stored] = await stage.ledger.open_halts()
        assert (stored.cause, stored.level, stored.why) == (BY_FILE, level, why)

        stage.guard.switch.text = None
        await asyncio.sleep(SECOND)
        assert await stage.ledger.open_halts() == ()

    play(script)


def test_a_file_halts_while_the_database_does_not_answer() -> None:
    class Hung(MemoryLedger):
        """Reads of the halts never come back."""

        async def open_halts(self) -> Any:
            if self.risk_events:
                await asyncio.Event().wait()
            return await super().open_halts()

    async def main() -> None:
        ledger = Hung()
        await ledger.add_leader(a_leader())

        async def script(stage: Stage) -> None:
            await a_resting_order_each(stage)
            await ledger.note_risk("X", {}, at_ms=0)
            await asyncio.sleep(SECOND)
            stage.guard.switch.throw("the disk is gone")
            await asyncio.sleep(SECOND)
            await stage.sees(a_trade(9))
            await asyncio.sleep(0.1)
            assert (await last(stage)).reasons[0].code == "HALTED"
            assert (await stage.attempts())[1].status is AttemptStatus.CANCELED

        await live(Stage(ledger=ledger, order_ttl_ms=60_000), script)

    run_virtual(main, epoch_ms=START_MS)


def test_a_file_that_is_there_at_the_start_halts_from_the_first_decision_on() -> None:
    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        stage = Stage(ledger=ledger)
        stage.guard.switch.throw("not today")
        await live(stage, _decides(Decision.SKIP, log=1))

    run_virtual(main, epoch_ms=START_MS)


@pytest.mark.parametrize("moment", ["before it is written down", "while it is written down"])
def test_an_order_that_is_halted_on_its_way_is_never_sent(moment: str) -> None:
    class Slow(MemoryLedger):
        """Lets a halt come in around the commit of an order."""

        stage: Stage

        async def record_attempt(self, attempt: ExecutionAttempt, **facts: Any) -> bool:
            recorded = await super().record_attempt(attempt, **facts)
            if moment == "before it is written down":
                await self.stage.worker.risk.halts.halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="now")
            return recorded

        async def submit_attempt(self, attempt_id: Any, **facts: Any) -> bool:
            submitted = await super().submit_attempt(attempt_id, **facts)
            if moment == "while it is written down":
                await self.stage.worker.risk.halts.halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="now")
            return submitted

    async def main() -> None:
        ledger = Slow()
        await ledger.add_leader(a_leader())
        ledger.stage = Stage(ledger=ledger)

        async def script(stage: Stage) -> None:
            await stage.books.show(a_book())
            await stage.sees(a_trade(1))
            await asyncio.sleep(SECOND)
            attempt = await last(stage)
            assert (attempt.status, attempt.filled_shares) == (AttemptStatus.CANCELED, 0)
            assert attempt.reasons[-1].code == "HALTED"
            assert (attempt.order_hash is None) == (moment == "before it is written down")
            assert stage.worker.executor._open == {}
            assert stage.worker.portfolio.open_attempts() == ()

        await live(ledger.stage, script)

    run_virtual(main, epoch_ms=START_MS)


def test_several_halts_hold_until_the_last_is_over() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await halt(stage)
        stage.guard.switch.throw("and a file")
        await asyncio.sleep(SECOND)
        await stage.ledger.resume(None, by="bob", at_ms=stage.clock.now_ms())
        await asyncio.sleep(SECOND)
        await stage.sees(a_trade(1))
        await asyncio.sleep(0.1)

        assert [dict(one.numbers)["cause"] for one in (await last(stage)).reasons] == [BY_FILE]
        assert [one.cause for one in await stage.ledger.open_halts()] == [BY_FILE]

    play(script)


def test_an_order_that_stays_open_is_asked_to_be_cancelled_again_and_not_all_the_time() -> None:
    async def script(stage: Stage) -> None:
        await a_resting_order_each(stage)
        asked: list[float] = []

        async def cancel(attempt_id: Any) -> None:
            asked.append(asyncio.get_running_loop().time())

        stage.worker.executor.cancel = cancel
        await halt(stage)
        await asyncio.sleep(12)

        assert [round(later - earlier, 1) for earlier, later in pairwise(asked)] == [5.0, 5.0]
        assert stage.worker.portfolio.sellable("111") == micro("0")

    play(script, order_ttl_ms=60_000)


def test_nothing_is_decided_before_the_halts_are_known() -> None:
    class Slow(MemoryLedger):
        """Takes two seconds to tell what is halted."""

        async def open_halts(self) -> Any:
            await asyncio.sleep(2)
            return await super().open_halts()

    async def main() -> None:
        ledger = Slow()
        await ledger.add_leader(a_leader())
        await ledger.halt(new_halt(BY_OPERATOR, level=HaltLevel.ENTRIES, why="x", by="ann", now_ms=START_MS))

        async def script(stage: Stage) -> None:
            await stage.books.show(a_book())
            await stage.sees(a_trade(1))
            await asyncio.sleep(5)
            assert [one.code for one in (await last(stage)).reasons] == ["HALTED"]

        await live(Stage(ledger=ledger), script)

    run_virtual(main, epoch_ms=START_MS)
