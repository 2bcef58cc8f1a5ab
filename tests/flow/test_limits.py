"""Limits through the whole worker: set while it runs, held by decisions at the same time, over deaths at any commit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt
from copytrade.domain.fills import Side
from copytrade.domain.happenings import Noted
from copytrade.domain.market import Market, OutcomeToken
from copytrade.domain.risk import Limit, LimitName
from copytrade.domain.scopes import EVERYTHING, Scope
from copytrade.engine.portfolio import Portfolio
from tests.fakes import FakeRegistry
from tests.flow.stage import START_MS, Stage, live, play
from tests.makers import LEADER, OTHER, a_book, a_fill, a_leader, a_market, a_place, micro
from tests.reference.stakes import breaches, stakes_of
from tests.virtual_time import run_virtual

MARKETS = [
    a_market(
        condition_id=f"0x{number:064x}",
        event_slug=f"event-{number // 2}",
        category=f"category-{number // 3}",
        tokens=(OutcomeToken(token_id=str(1_000 + number), outcome="Yes", outcome_index=0),),
    )
    for number in range(6)
]
BY_TOKEN: dict[str, Market] = {market.tokens[0].token_id: market for market in MARKETS}


def a_trade(log: int, *, size: str = "100", price: str = "0.51", **changes: Any) -> Any:
    return a_fill(size=size, price=price, tx_hash=f"0x{log:064x}", place=a_place(log_index=log), **changes)


async def decided(stage: Stage, log: int, **changes: Any) -> ExecutionAttempt:
    await stage.sees(a_trade(log, fill_ts_ms=stage.clock.now_ms(), **changes))
    await asyncio.sleep(0.1)
    return (await stage.attempts())[-1]


async def set_limit(stage: Stage, name: LimitName, value: int | None, scope: Scope = EVERYTHING) -> None:
    """Set a limit as another process does."""
    await stage.ledger.set_limit(name, scope, value, start=None, by="ann", at_ms=stage.clock.now_ms())


def test_an_order_is_cut_to_what_a_limit_leaves_and_both_rules_and_numbers_are_kept() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        attempt = await decided(stage, 1)

        assert attempt.decision is Decision.TRADE
        assert [one.code for one in attempt.reasons] == ["MARKETABLE", "CUT_BY_RISK_MAX_OPEN_USDC"]
        assert attempt.size_shares_target < micro("40")
        await asyncio.sleep(1)
        refused = await decided(stage, 2)
        assert [one.code for one in refused.reasons] == ["RISK_MAX_OPEN_USDC"]
        kinds = [event.code for event in stage.ledger.risk_events]
        assert kinds == ["CUT", "REFUSED"]

    play(script, limits={LimitName.MAX_OPEN_USDC: micro("20")})


def test_a_limit_set_by_another_process_holds_within_a_second_and_can_be_lifted() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await set_limit(stage, LimitName.MAX_OPEN_POSITIONS, 0)
        await asyncio.sleep(1)
        assert [one.code for one in (await decided(stage, 1)).reasons] == ["RISK_MAX_OPEN_POSITIONS"]
        await set_limit(stage, LimitName.MAX_OPEN_POSITIONS, None)
        await asyncio.sleep(1)
        assert (await decided(stage, 2)).decision is Decision.TRADE
        told = [noted.detail["new"] for noted in stage.notifier.of(Noted) if noted.code == "LIMIT_SET"]
        assert told == ["0", "none"]

    play(script)


def test_what_people_set_goes_before_the_settings_also_after_a_restart() -> None:
    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        strict = {LimitName.MAX_OPEN_POSITIONS: 0}

        async def lifts(stage: Stage) -> None:
            await stage.books.show(a_book())
            assert (await decided(stage, 1)).decision is Decision.SKIP
            await set_limit(stage, LimitName.MAX_OPEN_POSITIONS, None)

        async def trades(stage: Stage) -> None:
            await stage.books.show(a_book())
            assert (await decided(stage, 2)).decision is Decision.TRADE

        await live(Stage(ledger=ledger, limits=strict), lifts)
        await live(Stage(ledger=ledger, limits=strict), trades)

    run_virtual(main, epoch_ms=START_MS)


def test_a_limit_of_one_leader_leaves_the_others_alone() -> None:
    async def script(stage: Stage) -> None:
        await stage.ledger.add_leader(a_leader(address=OTHER))
        await stage.books.show(a_book())
        await set_limit(stage, LimitName.MAX_OPEN_USDC, 0, Scope(leader=LEADER))
        await asyncio.sleep(2)
        assert (await decided(stage, 1)).decision is Decision.SKIP
        assert (await decided(stage, 2, leader=OTHER)).decision is Decision.TRADE

    play(script)


def test_exits_pass_every_limit() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        assert (await decided(stage, 1)).decision is Decision.TRADE
        await asyncio.sleep(1)
        for name in LimitName:
            if name not in {LimitName.DAILY_DRAWDOWN_USDC, LimitName.LOSS_STREAK_COOLDOWN_MS}:
                await set_limit(stage, name, 0)
        await asyncio.sleep(1)
        assert (await decided(stage, 2)).decision is Decision.SKIP
        exit_ = await decided(stage, 3, side=Side.SELL, price="0.49")
        assert exit_.decision is Decision.TRADE
        assert exit_.size_shares_target == micro("100")

    play(script)


def test_losing_exits_in_a_row_rest_the_entries_also_after_a_restart() -> None:
    limits = {LimitName.LOSS_STREAK_MAX: 2, LimitName.LOSS_STREAK_COOLDOWN_MS: 600_000}

    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())

        async def loses_twice(stage: Stage) -> None:
            await stage.books.show(a_book())
            await decided(stage, 1)
            await asyncio.sleep(1)
            for log in (2, 3):
                await decided(stage, log, side=Side.SELL, price="0.49", size="50")
                await asyncio.sleep(1)
            assert [one.code for one in (await decided(stage, 4)).reasons] == ["RISK_LOSS_STREAK_MAX"]

        async def rests_on(stage: Stage) -> None:
            await stage.books.show(a_book())
            assert [one.code for one in (await decided(stage, 5)).reasons] == ["RISK_LOSS_STREAK_MAX"]
            await asyncio.sleep(600)
            assert (await decided(stage, 6)).decision is Decision.TRADE

        await live(Stage(ledger=ledger, limits=limits), loses_twice)
        await live(Stage(ledger=ledger, limits=limits), rests_on)

    run_virtual(main, epoch_ms=START_MS)


STRICT = {
    LimitName.MAX_USDC_PER_TRADE: micro("30"),
    LimitName.MAX_USDC_PER_MARKET: micro("50"),
    LimitName.MAX_USDC_PER_EVENT: micro("70"),
    LimitName.MAX_USDC_PER_CATEGORY: micro("120"),
    LimitName.MAX_USDC_PER_LEADER: micro("150"),
    LimitName.MAX_USDC_PER_DAY: micro("300"),
    LimitName.MAX_OPEN_USDC: micro("180"),
    LimitName.MAX_OPEN_POSITIONS: 5,
}


EVERY_COMMIT = int(os.environ.get("RISK_KILL_EVERY", "1"))
WRITES = {
    *("ingest", "record_attempt", "submit_attempt", "book_execution", "close_attempt", "close_attempts"),
    "save_day_start",
}


class OneLife:
    """A ledger as one life of a worker has it: every limit is judged after each write, and some write is the last."""

    def __init__(self, ledger: MemoryLedger, *, last_write: int | None = None) -> None:
        self._ledger = ledger
        self._last_write = last_write
        self.writes = 0
        self.breaches: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._ledger, name)

        async def call(*args: Any, **facts: Any) -> Any:
            await asyncio.sleep(0)
            await self._stay_dead()
            result = await method(*args, **facts)
            if name in WRITES:
                self.writes += 1
                self._judge()
            await self._stay_dead()
            await asyncio.sleep(0)
            return result

        return call

    async def _stay_dead(self) -> None:
        if self._last_write is not None and self.writes >= self._last_write:
            await asyncio.Event().wait()

    def _judge(self) -> None:
        found = stakes_of(self._ledger, BY_TOKEN.__getitem__)
        self.breaches += breaches(found, (Limit(name, EVERYTHING, value) for name, value in STRICT.items()))


def a_busy_time(*, bursts: int, first_log: int) -> Callable[[Stage], Any]:
    """Return a script of two leaders who buy and sell six tokens at the same time, in bursts."""

    async def script(stage: Stage) -> None:
        for token_id in BY_TOKEN:
            await stage.books.show(a_book(token_id=token_id, asks="0.50:20.123457 0.51:30.7 0.53:1000"))
        log = first_log
        for burst in range(bursts):
            for token_id in BY_TOKEN:
                for leader in (LEADER, OTHER):
                    log += 1
                    side = Side.SELL if (log + burst) % 4 == 0 else Side.BUY
                    price = "0.49" if side is Side.SELL else "0.51"
                    when = {"fill_ts_ms": stage.clock.now_ms(), "leader": leader, "token_id": token_id}
                    await stage.sees(a_trade(log, size="60", side=side, price=price, **when))
            await asyncio.sleep(1.5)

    return script


async def lived(ledger: MemoryLedger, *, bursts: int, last_write: int | None = None, first_log: int = 0) -> OneLife:
    """Run a worker until the time is over or the ledger is."""
    life = OneLife(ledger, last_write=last_write)
    stage = Stage(ledger=cast("Any", life), registry=FakeRegistry(*MARKETS), limits=STRICT, order_ttl_ms=1_000)
    await live(stage, a_busy_time(bursts=bursts, first_log=first_log))
    return life


async def a_ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    await ledger.add_leader(a_leader())
    await ledger.add_leader(a_leader(address=OTHER))
    await ledger.save_markets(MARKETS)
    return ledger


def test_decisions_at_the_same_time_never_pass_a_limit_together() -> None:
    async def main() -> None:
        ledger = await a_ledger()
        life = await lived(ledger, bursts=5)

        decided_ = list(ledger._attempts.values())
        codes = {one.code for attempt in decided_ for one in attempt.reasons}
        assert life.breaches == []
        assert {f"RISK_{name}" for name in STRICT} & codes
        assert any(code.startswith("CUT_BY_RISK_") for code in codes)
        assert sum(attempt.status is AttemptStatus.FILLED for attempt in decided_) >= 4

    run_virtual(main, epoch_ms=START_MS)


def test_killed_after_any_commit_no_limit_is_passed_then_or_later() -> None:
    async def counted() -> int:
        return (await lived(await a_ledger(), bursts=1)).writes

    async def killed(after: int) -> None:
        ledger = await a_ledger()
        first = await lived(ledger, bursts=1, last_write=after)
        second = await lived(ledger, bursts=1, first_log=100)
        assert first.writes == after
        assert first.breaches + second.breaches == [], f"killed after commit {after}"

    commits = run_virtual(counted, epoch_ms=START_MS)
    assert commits > 40
    for after in range(1, commits, EVERY_COMMIT):
        run_virtual(partial(killed, after), epoch_ms=START_MS)


def test_without_the_reservation_the_same_time_does_pass_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Portfolio, "reserve", lambda *args, **facts: None)

    async def main() -> None:
        life = await lived(await a_ledger(), bursts=5)
        assert any(breach.startswith(LimitName.MAX_OPEN_USDC) for breach in life.breaches)

    run_virtual(main, epoch_ms=START_MS)


def test_what_was_reserved_for_an_attempt_that_is_not_stored_is_free_again() -> None:
    class Full(MemoryLedger):
        """Says of the first attempt that there is one already."""

        said = False

        async def record_attempt(self, attempt: ExecutionAttempt, **facts: Any) -> bool:
            if not self.said:
                self.said = True
                return False
            return await super().record_attempt(attempt, **facts)

    async def main() -> None:
        ledger = Full()
        await ledger.add_leader(a_leader())

        async def script(stage: Stage) -> None:
            await stage.books.show(a_book())
            await stage.sees(a_trade(1))
            await asyncio.sleep(0.1)
            assert stage.worker.portfolio.open_attempts() == ()
            assert (await decided(stage, 2)).size_shares_target == micro("100")

        await live(Stage(ledger=ledger, limits={LimitName.MAX_OPEN_USDC: micro("60")}), script)

    run_virtual(main, epoch_ms=START_MS)
