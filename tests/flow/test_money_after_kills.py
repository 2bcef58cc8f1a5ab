"""Killed after any commit, the worker's money is that of its fills and settlements, then and after the next start."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, ExecutionFill
from copytrade.domain.fills import Side
from copytrade.domain.market import OutcomeToken
from copytrade.domain.positions import Position, cash_flow, fold
from copytrade.domain.settlement import PositionSettlement
from copytrade.domain.units import MICRO
from tests.fakes import FakeRegistry
from tests.flow.stage import START_MS, Stage, live
from tests.makers import LEADER, OTHER, a_book, a_fill, a_leader, a_market, a_place
from tests.virtual_time import run_virtual

MARKETS = [
    a_market(
        condition_id=f"0x{number:064x}",
        tokens=tuple(
            OutcomeToken(token_id=str(1_000 + 2 * number + index), outcome=name, outcome_index=index)
            for index, name in enumerate(("Yes", "No"))
        ),
    )
    for number in range(3)
]
TOKENS = [token.token_id for market in MARKETS for token in market.tokens]
PAYOUTS = ((MICRO, 0), (MICRO // 2, MICRO // 2), (0, MICRO))
EVERY_COMMIT = int(os.environ.get("MONEY_KILL_EVERY", "5"))
WRITES = (
    *("ingest", "record_attempt", "submit_attempt", "book_execution", "close_attempt", "close_attempts"),
    *("settle", "merge_sets", "fund_account", "add_equity_point"),
)


class OneLife:
    """A ledger as one life of a worker has it: its money is judged after each write, and some write is the last."""

    def __init__(self, ledger: MemoryLedger, *, last_write: int | None = None) -> None:
        self._ledger = ledger
        self._last_write = last_write
        self.writes: Counter[str] = Counter()
        self.breaches: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._ledger, name)

        async def call(*args: Any, **facts: Any) -> Any:
            await asyncio.sleep(0)
            await self._stay_dead()
            result = await method(*args, **facts)
            if name in WRITES:
                self.writes[name] += 1
                self.breaches += money_breaches(self._ledger)
            await self._stay_dead()
            await asyncio.sleep(0)
            return result

        return call

    async def _stay_dead(self) -> None:
        if self._last_write is not None and self.writes.total() >= self._last_write:
            await asyncio.Event().wait()


def money_breaches(ledger: MemoryLedger) -> list[str]:
    """Say which position is not the fold of what moved it, and whether cash is what came in and went out."""
    moved, found = 0, []
    for owner, entries in ledger.every_entry().items():
        strategy_id, account_id, token_id = owner
        empty = Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)
        moved += sum(cash_flow(one) if isinstance(one, ExecutionFill) else one.proceeds_usdc for one in entries)
        if ledger.every_position()[owner] != fold(empty, entries):
            found.append(f"{token_id} is not its fold")
    wrong = [one for one in ledger._balances.values() if one.cash_usdc != one.start_cash_usdc + moved]
    return [*found, *(f"cash is {one.cash_usdc}, and {one.start_cash_usdc} + {moved} is due" for one in wrong)]


async def trades(stage: Stage, first_log: int) -> None:
    """Let two leaders buy and sell both outcomes of each market, some orders staying open until they are cancelled."""
    log = first_log
    # Less of every other token, so that not all shares make complete sets.
    for side, price, size in ((Side.BUY, "0.51", "60.123457"), (Side.SELL, "0.49", "20.7"), (Side.BUY, "0.45", "30")):
        for token_id in TOKENS:
            for leader in (LEADER, OTHER):
                log += 1
                place = a_place(log_index=log, order_hash=f"0x{log:064x}")
                facts = {"leader": leader, "token_id": token_id, "fill_ts_ms": stage.clock.now_ms(), "place": place}
                await stage.sees(
                    a_fill(
                        size=size if int(token_id) % 2 else "11.9",
                        side=side,
                        price=price,
                        tx_hash=f"0x{log:064x}",
                        **facts,
                    )
                )
        await asyncio.sleep(1.5)


def a_short_day(first_log: int) -> Callable[[Stage], Any]:
    """Return a script of trades, and of markets that resolve one after the other while orders are open."""

    async def script(stage: Stage) -> None:
        for token_id in TOKENS:
            book = a_book(token_id=token_id, asks="0.50:20.123457 0.51:1000", bids="0.49:15.3 0.48:500")
            await stage.books.show(book)
        await trades(stage, first_log)
        await asyncio.sleep(12)
        await trades(stage, first_log + 100)
        for market, payouts in zip(MARKETS, PAYOUTS, strict=True):
            resolved = {"closed": True, "accepting_orders": False, "payouts": payouts}
            stage.registry.change(a_market(condition_id=market.condition_id, tokens=market.tokens, **resolved))
            await asyncio.sleep(0.4)
        await asyncio.sleep(40)

    return script


async def lived(ledger: MemoryLedger, *, first_log: int, last_write: int | None = None) -> OneLife:
    """Run a worker over a short day, until it is over or the ledger is."""
    life = OneLife(ledger, last_write=last_write)
    stage = Stage(ledger=cast("Any", life), registry=FakeRegistry(*MARKETS), order_ttl_ms=4_000)
    await live(stage, a_short_day(first_log))
    return life


async def a_ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    await ledger.add_leader(a_leader())
    await ledger.add_leader(a_leader(address=OTHER))
    await ledger.save_markets(MARKETS)
    return ledger


def test_the_money_is_right_after_every_commit_of_a_day_of_fills_cancels_and_settlements() -> None:
    async def main() -> None:
        ledger = await a_ledger()
        life = await lived(ledger, first_log=0)

        ends = Counter(attempt.status for attempt in ledger.every_attempt())
        assert life.breaches == []
        assert {name for name in WRITES if life.writes[name]} >= set(WRITES) - {"fund_account", "close_attempts"}
        assert min(ends[AttemptStatus.FILLED], ends[AttemptStatus.CANCELED]) >= 4
        assert not any(position.shares for position in ledger.every_position().values())

    run_virtual(main, epoch_ms=START_MS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_after_any_commit_the_money_is_right_then_and_all_is_settled_after_the_next_start() -> None:
    async def counted() -> int:
        return (await lived(await a_ledger(), first_log=0)).writes.total()

    async def killed(after: int) -> None:
        ledger = await a_ledger()
        first = await lived(ledger, first_log=0, last_write=after)
        assert first.writes.total() == after
        second = await lived(ledger, first_log=500)
        assert first.breaches + second.breaches == [], f"killed after commit {after}"
        held = [position.token_id for position in ledger.every_position().values() if position.shares]
        assert held == [], f"killed after commit {after}"

    commits = run_virtual(counted, epoch_ms=START_MS)
    assert commits > 80
    for after in range(1, commits, EVERY_COMMIT):
        run_virtual(partial(killed, after), epoch_ms=START_MS)


def test_money_that_is_lost_is_noticed() -> None:
    async def main() -> None:
        ledger = await a_ledger()
        await lived(ledger, first_log=0)
        owner, entries = next((owner, entries) for owner, entries in ledger.every_entry().items() if entries)
        assert any(isinstance(one, PositionSettlement) for one in entries)
        entries.pop()

        assert len(money_breaches(ledger)) >= 1, owner

    run_virtual(main, epoch_ms=START_MS)
