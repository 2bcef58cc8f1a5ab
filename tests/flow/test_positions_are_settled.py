"""What we hold of a resolved market is redeemed once, whoever tells first; complete sets become money."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.book import QuoteTier
from copytrade.domain.fills import Side
from copytrade.domain.happenings import Noted, PositionSettled
from copytrade.domain.leader_events import LeaderEvent, LeaderEventKind
from copytrade.domain.positions import Position
from copytrade.domain.settlement import Resolution, ResolutionSource, SettlementKind
from copytrade.domain.units import MICRO
from copytrade.ports.resolutions import ResolutionsUnavailableError
from tests.fakes import FakeRegistry
from tests.flow.stage import START_MS, Stage, live
from tests.makers import LEADER, NO, NOW_MS, YES, a_book, a_fill, a_leader, a_market, a_place, micro
from tests.virtual_time import run_virtual

Script = Callable[[Stage], Awaitable[None]]
RESOLVED = {"closed": True, "accepting_orders": False}


def play(script: Script, *, then: Script | None = None, **rules: Any) -> None:
    """Run a script on a worker, and another on the one that starts after it on the same ledger."""

    async def main() -> None:
        stage = Stage(**rules)
        await stage.ledger.add_leader(a_leader())
        await stage.ledger.save_markets([a_market()])
        await live(stage, script)
        if then is not None:
            await live(Stage(ledger=stage.ledger, registry=stage.registry, **rules), then)

    run_virtual(main, epoch_ms=START_MS)


async def buys(stage: Stage, *, token_id: str = YES, size: str = "50", price: str = "0.5", number: int = 1) -> None:
    await stage.books.show(a_book(token_id=token_id, asks=f"{price}:{500 * number}", bids="0.1:500", revision=number))
    fill = a_fill(
        size=size,
        price=price,
        token_id=token_id,
        tx_hash=f"0x{number:02}",
        place=a_place(log_index=number, order_hash=f"0x{number:064x}"),
        fill_ts_ms=stage.clock.now_ms(),
        detected_at_ms=stage.clock.now_ms(),
    )
    await stage.sees(fill)
    await asyncio.sleep(1)


async def position(stage: Stage, token_id: str = YES) -> Position:
    return next(one for one in await stage.ledger.positions() if one.token_id == token_id)


def notes(stage: Stage) -> list[str]:
    return [one.code for one in stage.notifier.of(Noted) if one.code not in {"STARTED", "REORG"}]


def on_chain(*payouts: int) -> Resolution:
    return Resolution(
        condition_id=a_market().condition_id, payouts=payouts, source=ResolutionSource.CHAIN, at_ms=NOW_MS
    )


@pytest.mark.parametrize("payouts", [(MICRO, 0), (0, MICRO), (MICRO // 2, MICRO // 2), (0, 0), (123_456, 876_544)])
def test_a_market_that_the_registry_says_is_resolved_is_redeemed_at_its_payouts(payouts: tuple[int, int]) -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        stage.registry.change(a_market(**RESOLVED, payouts=payouts))
        await asyncio.sleep(30)

        held = await position(stage)
        assert (held.shares, held.realized_pnl_usdc) == (0, 50 * payouts[0] - micro("25"))
        (told,) = stage.notifier.of(PositionSettled)
        assert (told.settlement.kind, told.settlement.source) == (SettlementKind.RESOLUTION, "registry")
        (balance,) = await stage.ledger.balances()
        assert balance.cash_usdc == micro("1000") + held.realized_pnl_usdc - held.fees_usdc

    play(script)


def test_the_chain_may_be_first_and_the_registry_learns_it() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        stage.resolutions.told = [on_chain(0, MICRO)]
        await asyncio.sleep(30)

        assert (await position(stage)).shares == 0
        assert [one.settlement.source for one in stage.notifier.of(PositionSettled)] == ["chain"]
        assert stage.registry.market_of(YES).payouts == (0, MICRO)

    play(script)


def test_a_contradiction_is_told_once_and_settles_nothing_again() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        stage.registry.change(a_market(**RESOLVED, payouts=(MICRO, 0)))
        await asyncio.sleep(10)
        stage.resolutions.told = [on_chain(0, MICRO)]
        await asyncio.sleep(30)
        stage.resolutions.told = [on_chain(0, MICRO), on_chain(MICRO, 0)]
        await asyncio.sleep(30)

        assert (await position(stage)).realized_pnl_usdc == micro("25")
        assert len(stage.notifier.of(PositionSettled)) == 1
        assert notes(stage) == ["RESOLUTION_CONFLICT"]

    play(script)


def test_what_stands_is_what_was_recorded_first_also_for_what_is_bought_later() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        stage.resolutions.told = [on_chain(0, MICRO)]
        await asyncio.sleep(30)
        stage.registry.change(a_market(payouts=(MICRO, 0)))
        await buys(stage, number=2)
        await asyncio.sleep(30)

        assert (await position(stage)).realized_pnl_usdc == micro("-50")
        assert notes(stage) == ["RESOLUTION_CONFLICT"]

    play(script)


def test_a_worker_that_starts_with_a_resolved_position_settles_it_and_runs() -> None:
    async def before(stage: Stage) -> None:
        await buys(stage)
        stage.registry.change(a_market(**RESOLVED, payouts=(MICRO, 0)))

    async def after(stage: Stage) -> None:
        await asyncio.sleep(10)
        assert (await position(stage)).shares == 0
        stage.registry.change(a_market(condition_id="0x" + "c1" * 32))
        await stage.ledger.save_markets([a_market(condition_id="0x" + "c1" * 32)])
        await buys(stage, number=2)
        assert (await position(stage)).shares == micro("50")

    play(before, then=after)


def test_orders_that_are_open_at_the_resolution_are_cancelled_and_their_shares_redeemed() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        sold = a_fill(
            size="50",
            price="0.7",
            side=Side.SELL,
            tx_hash="0x5e",
            place=a_place(log_index=9),
            fill_ts_ms=stage.clock.now_ms(),
        )
        await stage.sees(sold)
        await asyncio.sleep(1)
        stage.registry.change(a_market(**RESOLVED, payouts=(MICRO, 0)))
        await asyncio.sleep(10)

        _, sell = await stage.attempts()
        assert (sell.status, sell.filled_shares) == (AttemptStatus.CANCELED, 0)
        assert sell.done_at_ms is not None
        assert sell.done_at_ms - sell.decided_at_ms < 5_000
        assert (await position(stage)).realized_pnl_usdc == micro("25")

    play(script, order_ttl_ms=600_000)


def test_complete_sets_become_a_dollar_each() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage, size="50", price="0.5")
        await stage.books.show(a_book(token_id=YES, asks="0.9:500", bids="0.6:1000", revision=2))  # NO's mirror
        await buys(stage, token_id=NO, size="20", price="0.4", number=2)
        await asyncio.sleep(5)

        yes, no = await position(stage, YES), await position(stage, NO)
        assert (yes.shares, no.shares) == (micro("30"), 0)
        assert yes.realized_pnl_usdc + no.realized_pnl_usdc == micro("20") - micro("10") - micro("8")
        assert {one.settlement.kind for one in stage.notifier.of(PositionSettled)} == {SettlementKind.MERGE}

    play(script)


def test_a_renamed_token_goes_on_under_its_new_name() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        new = a_market(condition_id="0x" + "c1" * 32, version="v2", former_token_ids=(YES, NO))
        new = replace(new, tokens=tuple(replace(token, token_id="3" + token.token_id) for token in new.tokens))
        await stage.ledger.save_markets([new])
        stage.registry.change(new)
        stage.registry.successors = {YES: ("3" + YES, new)}
        await asyncio.sleep(5)

        old, renamed = await position(stage, YES), await position(stage, "3" + YES)
        assert (old.shares, old.cost_usdc, old.realized_pnl_usdc) == (0, 0, 0)
        assert (renamed.shares, renamed.cost_usdc) == (micro("50"), micro("25"))
        assert notes(stage) == ["POSITION_MIGRATED"]

    play(script)


def test_a_migration_whose_new_token_nobody_tells_is_flagged_once() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        migrated = LeaderEvent(
            leader=LEADER,
            kind=LeaderEventKind.MIGRATION,
            condition_id=a_market().condition_id,
            token_id=None,
            shares=micro("1"),
            usdc=0,
            tx_hash="0x01",
            event_ts_ms=NOW_MS,
            detected_at_ms=NOW_MS,
            dedupe_key="m",
            payload="{}",
        )
        await stage.ledger.keep_leader_events([migrated], now_ms=NOW_MS)
        await asyncio.sleep(200)

        assert notes(stage) == ["MIGRATION_UNMAPPED"]
        assert (await position(stage)).shares == micro("50")

    play(script)


def test_a_chain_that_cannot_be_read_keeps_nobody_else_from_settling() -> None:
    async def script(stage: Stage) -> None:
        stage.resolutions.failure = ResolutionsUnavailableError("polygon: down")
        await buys(stage)
        await asyncio.sleep(30)
        stage.registry.change(a_market(**RESOLVED, payouts=(MICRO, 0)))
        await asyncio.sleep(5)
        assert (await position(stage)).shares == 0

        stage.resolutions.failure = None
        await asyncio.sleep(15)
        assert stage.resolutions.asked[-1] == {a_market().condition_id}

    play(script)


def test_a_settlement_waits_for_the_decision_that_counts_on_the_shares() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        async with stage.worker.decide.turn(YES):
            stage.registry.change(a_market(**RESOLVED, payouts=(MICRO, 0)))
            await asyncio.sleep(10)
            assert (await position(stage)).shares == micro("50")
        await asyncio.sleep(5)
        assert (await position(stage)).shares == 0

    play(script)


def test_what_the_account_is_worth_is_stored_and_what_has_no_mark_is_told_apart() -> None:
    async def script(stage: Stage) -> None:
        await buys(stage)
        await asyncio.sleep(30)
        stage.books.tier = QuoteTier.HARD_STALE
        await asyncio.sleep(60)

        marked, unmarked = [one.valuation for one in await stage.ledger.equity_points("paper", since_ms=0)]
        assert (marked.marked_usdc, marked.unrealized_pnl_usdc, marked.unmarked) == (micro("5"), micro("-20"), 0)
        assert marked.cash_usdc == micro("975") - marked.fees_usdc
        assert (unmarked.marked_usdc, unmarked.unmarked, unmarked.unmarked_cost_usdc) == (0, 1, micro("25"))

    play(script)


def test_cash_below_zero_refuses_nothing_and_is_told_once() -> None:
    async def script(stage: Stage) -> None:
        for number in range(1, 25):
            await buys(stage, size="100", number=number)
        await asyncio.sleep(180)

        (balance,) = await stage.ledger.balances()
        assert balance.cash_usdc < 0
        assert notes(stage) == ["CASH_BELOW_ZERO"]

    play(script)


def test_the_stage_knows_its_market() -> None:
    registry = FakeRegistry(a_market())
    registry.learn_payouts(a_market().condition_id, (MICRO, 0))

    assert registry.market_of(NO).payouts == (MICRO, 0)
