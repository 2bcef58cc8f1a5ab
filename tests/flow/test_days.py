"""The day of an account: its loss halts entries when it must and only then, and it is summed up when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import Decision
from copytrade.domain.fills import Side
from copytrade.domain.halts import BY_DRAWDOWN
from copytrade.domain.happenings import Noted
from copytrade.domain.risk import DAY_MS, LimitName, day_start_ms
from copytrade.domain.scopes import EVERYTHING
from copytrade.domain.units import format_micro
from tests.flow.stage import Stage, live
from tests.makers import NOW_MS, a_book, a_fill, a_leader, a_place, micro
from tests.virtual_time import run_virtual

LIMIT = {LimitName.DAILY_DRAWDOWN_USDC: micro("20")}
RESETS_IN_S = 120.0
BEGIN_MS = day_start_ms(NOW_MS, reset_hour=0) + DAY_MS - 120_000
"""Two minutes before a day ends, so that not much of one has to be played."""


def play(*scripts: Callable[[Stage], Any], limits: dict[LimitName, int] = LIMIT) -> MemoryLedger:
    """Run one life after the other on the same ledger, with the market as it was left unless it is shown anew."""

    async def main() -> MemoryLedger:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        for script in scripts:
            await live(Stage(ledger=ledger, limits=limits), script)
        return ledger

    return run_virtual(main, epoch_ms=BEGIN_MS)


class Market:
    """The market of one token, moved by the test."""

    def __init__(self, stage: Stage, *, first_log: int = 1) -> None:
        self._stage = stage
        self._revision = 0
        self._log = first_log

    async def at(self, bid: str, ask: str) -> None:
        """Move the market and give everybody a second to see it."""
        self._revision += 1
        now_ms = self._stage.clock.now_ms()
        await self._stage.books.show(
            a_book(bids=f"{bid}:1000", asks=f"{ask}:1000", revision=self._revision, at_ms=now_ms)
        )
        await asyncio.sleep(1)

    async def trade(self, size: str, price: str, side: Side = Side.BUY) -> Decision:
        """Let the leader trade and wait until we have followed."""
        self._log += 1
        fill = a_fill(
            size=size,
            price=price,
            side=side,
            tx_hash=f"0x{self._log:064x}",
            place=a_place(log_index=self._log),
            fill_ts_ms=self._stage.clock.now_ms(),
        )
        await self._stage.sees(fill)
        await asyncio.sleep(1)
        return (await self._stage.attempts())[-1].decision


async def is_halted(stage: Stage) -> bool:
    return any(halt.cause == BY_DRAWDOWN for halt in await stage.ledger.open_halts())


def test_a_marked_loss_at_the_limit_halts_entries_and_no_loss_below_it_does() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")  # 50 and a fee of 1.25.
        await market.at("0.32", "0.50")  # 18 down and the fee: 19.25.
        assert not await is_halted(stage)
        await market.at("0.31", "0.50")  # 20.25.
        assert await is_halted(stage)
        [halt] = await stage.ledger.open_halts()
        assert halt.why == "lost 20.25 USDC today, limit 20.00 (global)"
        assert await market.trade("20", "0.50") is Decision.SKIP
        assert await market.trade("20", "0.31", Side.SELL) is Decision.TRADE

    play(script)


def test_a_realised_loss_counts_the_same_and_stays_when_the_market_comes_back() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.35", "0.36")
        await market.trade("100", "0.35", Side.SELL)
        await market.at("0.69", "0.70")
        await market.trade("100", "0.70")
        await market.at("0.66", "0.67")
        assert await is_halted(stage)

    play(script)


def test_a_halt_for_the_loss_of_a_day_ends_with_the_day_and_not_with_the_loss() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.20", "0.21")
        assert await is_halted(stage)
        await market.at("0.60", "0.61")
        assert await is_halted(stage)
        await asyncio.sleep(RESETS_IN_S - 60)
        assert await is_halted(stage)
        await asyncio.sleep(61)
        assert not await is_halted(stage)
        await market.at("0.41", "0.61")  # 19 below where the day began.
        assert not await is_halted(stage)
        await market.at("0.40", "0.61")
        assert await is_halted(stage)

    play(script)


def test_the_halt_comes_back_while_the_loss_is_there() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.20", "0.21")
        await stage.ledger.resume(None, by="ann", at_ms=stage.clock.now_ms())
        await asyncio.sleep(1)
        assert await is_halted(stage)

    play(script)


def test_the_loss_of_the_day_goes_on_over_a_restart_in_whose_first_seconds_there_is_no_price() -> None:
    async def loses_twelve(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.39", "0.50")

    async def goes_on(stage: Stage) -> None:
        await asyncio.sleep(5)
        assert not await is_halted(stage)
        market = Market(stage, first_log=50)
        await market.at("0.32", "0.50")
        assert not await is_halted(stage)
        await market.at("0.31", "0.50")
        assert await is_halted(stage)

    play(loses_twelve, goes_on)


@pytest.mark.parametrize(("bid", "halts"), [("0.80", False), ("0.61", False), ("0.60", True)])
def test_what_is_held_from_the_day_before_counts_from_the_first_price_of_the_day(bid: str, halts: bool) -> None:
    async def buys(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")

    async def next_day(stage: Stage) -> None:
        await asyncio.sleep(RESETS_IN_S)

    async def starts_late_in_it(stage: Stage) -> None:
        await asyncio.sleep(30)
        market = Market(stage, first_log=50)
        await market.at("0.80", "0.81")
        await market.at(bid, "0.81")
        assert await is_halted(stage) == halts

    play(buys, next_day, starts_late_in_it)


def test_a_position_without_a_price_is_neither_a_loss_nor_forgotten() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.40", "0.50")
        stage.books.states.clear()
        await asyncio.sleep(10)
        assert not await is_halted(stage)
        gain, unmarked = stage.ledger.day_gains["copy", "paper"]
        assert (format_micro(gain), unmarked) == ("-11.25", 1)

    play(script)


def test_a_limit_lowered_below_the_loss_of_the_day_halts_at_once() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.45", "0.50")
        name, scope = LimitName.DAILY_DRAWDOWN_USDC, EVERYTHING
        await stage.ledger.set_limit(name, scope, micro("5"), start=None, by="ann", at_ms=stage.clock.now_ms())
        await asyncio.sleep(1)
        assert await is_halted(stage)

    play(script, limits={})


def summaries(told: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(noted.detail) for noted in told if isinstance(noted, Noted) and noted.code == "DAILY_SUMMARY"]


def test_a_day_is_summed_up_once_when_it_ends() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")
        await market.at("0.52", "0.53")
        await market.trade("40", "0.52", Side.SELL)
        await asyncio.sleep(RESETS_IN_S + 120)

        [day] = summaries(stage.notifier.told)
        assert day | {"day_began_ms": 0} == {
            "day_began_ms": 0,
            "strategy_id": "copy",
            "account_id": "paper",
            "fills": 2,
            "trades": 2,
            "skips": 0,
            "executions": 2,
            "bought_usdc": "50.00",
            "sold_usdc": "20.80",
            "fees_usdc": "1.7492",
            "realized_usdc": "0.80",
            "net_realized_usdc": "-0.9492",
            "gain_with_marks_usdc": "0.2508",
            "open_positions": 1,
            "at_stake_usdc": "30.00",
        }
        assert [event.code for event in stage.ledger.risk_events] == ["DAILY_SUMMARY"]

    play(script)


def test_a_day_that_ended_while_nothing_ran_is_summed_up_at_the_next_start() -> None:
    told: list[Any] = []

    async def trades(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        await market.trade("100", "0.50")

    async def nothing(stage: Stage) -> None:
        await asyncio.sleep(10)
        told.extend(stage.notifier.told)

    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        await live(Stage(ledger=ledger), trades)
        await asyncio.sleep(RESETS_IN_S + 3_600)
        await live(Stage(ledger=ledger), nothing)
        await live(Stage(ledger=ledger), nothing)

    run_virtual(main, epoch_ms=BEGIN_MS)
    [day] = summaries(told)
    assert (day["trades"], day["bought_usdc"]) == (1, "50.00")


def test_what_may_be_paid_in_a_day_begins_anew_with_it() -> None:
    async def script(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        assert await market.trade("100", "0.50") is Decision.TRADE
        assert await market.trade("100", "0.50") is Decision.SKIP
        await asyncio.sleep(RESETS_IN_S)
        assert await market.trade("100", "0.50") is Decision.TRADE

    play(script, limits={LimitName.MAX_USDC_PER_DAY: micro("52")})


def test_what_was_paid_today_counts_also_where_nobody_kept_that_the_day_began() -> None:
    limits = {LimitName.MAX_USDC_PER_DAY: micro("52")}

    async def trades(stage: Stage) -> None:
        market = Market(stage)
        await market.at("0.49", "0.50")
        assert await market.trade("100", "0.50") is Decision.TRADE
        stage.ledger.days.clear()

    async def goes_on(stage: Stage) -> None:
        market = Market(stage, first_log=50)
        await market.at("0.49", "0.50")
        assert await market.trade("100", "0.50") is Decision.SKIP

    play(trades, goes_on, limits=limits)
