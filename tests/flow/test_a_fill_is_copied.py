"""A leader's fill becomes an attempt, executions, a position and a PnL line."""

from __future__ import annotations

import asyncio

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.fills import LeaderRole, Side, Source
from copytrade.domain.happenings import Decided, FillDetected, FillJoined, OrderFilled
from copytrade.domain.units import format_micro
from copytrade.ports.leader_fills import FillsRemoved, FillsSeen, LogRef
from tests.fakes import FakeRegistry
from tests.flow.stage import START_MS, Stage, live, play
from tests.makers import NO, a_book, a_fill, a_leader, a_market, a_place, a_sighting, micro
from tests.virtual_time import run_virtual


def test_a_buy_sweeps_the_book_and_becomes_a_position() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(asks="0.50:30 0.51:500"))
        await stage.sees(a_fill(size="100", price="0.5"))
        await asyncio.sleep(1)

        [attempt] = await stage.attempts()
        [position] = await stage.ledger.positions()
        assert attempt.status is AttemptStatus.FILLED
        assert attempt.placed_at_ms == attempt.decided_at_ms + 150
        assert position.shares == micro("100")
        assert position.cost_usdc == micro("50.7")
        assert position.fees_usdc == micro("1.24975")

    play(script)


def test_a_sell_realises_what_the_buy_cost() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(bids="0.60:500", asks="0.61:500"))
        await stage.sees(a_fill(size="50", price="0.61"))
        await asyncio.sleep(1)
        sold = a_fill(size="50", price="0.60", side=Side.SELL, tx_hash="0x" + "5e" * 32, place=a_place(log_index=9))
        await stage.sees(sold)
        await asyncio.sleep(1)

        [position] = await stage.ledger.positions()
        assert position.shares == 0
        assert position.cost_usdc == 0
        assert format_micro(position.realized_pnl_usdc) == "-0.50"

    play(script)


def test_both_sources_make_one_fill_and_one_attempt() -> None:
    on_chain = a_fill(role=LeaderRole.MAKER)
    in_api = a_fill(source=Source.DATA_API, role=LeaderRole.UNKNOWN, fee=None, place=None)

    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(in_api, source=stage.api)
        await asyncio.sleep(0.5)
        await stage.sees(on_chain)
        await asyncio.sleep(1)
        # As after a restart, when each source reads again what it had read.
        await stage.sees(in_api, source=stage.api)
        await stage.sees(on_chain)
        await asyncio.sleep(1)

        assert len(stage.notifier.of(FillDetected)) == 1
        assert [joined.by for joined in stage.notifier.of(FillJoined)] == [Source.POLYGON]
        [attempt] = await stage.attempts()
        stored = await stage.ledger.fill(attempt.leader_fill_id)
        assert stored is not None
        assert stored.fill.role is LeaderRole.MAKER
        assert stored.fill.place == on_chain.place

    play(script)


def test_an_unknown_token_is_fetched_once_while_its_decision_waits() -> None:
    async def main() -> None:
        stage = Stage(registry=FakeRegistry(late=(a_market(),), fetch_s=2.0))
        await stage.ledger.add_leader(a_leader())

        async def script(stage: Stage) -> None:
            await stage.books.show(a_book())
            await stage.sees(a_fill())
            await asyncio.sleep(4)
            [attempt] = await stage.attempts()
            assert attempt.decision is Decision.TRADE
            assert stage.registry.fetched == ["111"]

        await live(stage, script)

    run_virtual(main, epoch_ms=START_MS)


def test_a_market_listed_while_its_decision_waits_is_traded() -> None:
    async def main() -> None:
        stage = Stage(registry=FakeRegistry())
        await stage.ledger.add_leader(a_leader())

        async def script(stage: Stage) -> None:
            await stage.books.show(a_book())
            await stage.sees(a_fill())
            await asyncio.sleep(3)
            stage.registry.known["111"] = a_market()
            await asyncio.sleep(1)
            [attempt] = await stage.attempts()
            assert attempt.decision is Decision.TRADE

        await live(stage, script)

    run_virtual(main, epoch_ms=START_MS)


def test_a_token_nobody_knows_is_skipped_as_unmapped_after_the_wait() -> None:
    async def main() -> None:
        stage = Stage(registry=FakeRegistry(fetch_s=60.0))
        await stage.ledger.add_leader(a_leader())

        async def script(stage: Stage) -> None:
            await stage.sees(a_fill())
            await asyncio.sleep(6)
            [attempt] = await stage.attempts()
            assert [one.code for one in attempt.reasons] == ["UNMAPPED"]
            assert attempt.decided_at_ms == START_MS + 5_000

        await live(stage, script)

    run_virtual(main, epoch_ms=START_MS)


def test_a_combo_is_skipped_at_once_and_asked_of_nobody() -> None:
    async def script(stage: Stage) -> None:
        await stage.sees(a_fill(token_id=str(3 << 248 | 7 << 120)))
        await asyncio.sleep(1)

        [attempt] = await stage.attempts()
        assert [one.code for one in attempt.reasons] == ["COMBO"]
        assert attempt.decided_at_ms == START_MS
        assert stage.registry.fetched == []

    play(script)


def test_a_token_without_a_book_is_skipped_after_the_wait() -> None:
    async def script(stage: Stage) -> None:
        await stage.sees(a_fill())
        await asyncio.sleep(6)

        [attempt] = await stage.attempts()
        assert [one.code for one in attempt.reasons] == ["NO_BOOK"]
        assert stage.books.tracked == ["111"]

    play(script)


def test_a_waiting_fill_does_not_hold_up_the_fills_of_other_tokens() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(token_id=NO))
        await stage.sees(a_fill())
        await stage.sees(a_fill(token_id=NO, tx_hash="0x" + "77" * 32, place=a_place(log_index=8)))
        await asyncio.sleep(1)

        [decided] = stage.notifier.of(Decided)
        assert isinstance(decided, Decided)
        assert decided.attempt.token_id == NO

    play(script)


def test_fills_from_before_the_leader_was_followed_are_history() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(a_fill(fill_ts_ms=START_MS - 7_200_000))
        await asyncio.sleep(10)

        [detected] = stage.notifier.of(FillDetected)
        assert isinstance(detected, FillDetected)
        assert detected.is_history
        assert await stage.attempts() == []

    play(script)


def test_a_fill_found_late_is_skipped_as_too_old() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(a_fill(fill_ts_ms=START_MS - 31_000))
        await asyncio.sleep(1)

        [attempt] = await stage.attempts()
        assert [one.code for one in attempt.reasons] == ["TOO_OLD"]

    play(script)


def test_an_unfilled_rest_is_cancelled_after_its_time_to_live_and_keeps_its_fills() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(asks="0.50:30 0.60:500"))
        await stage.sees(a_fill(size="100", price="0.5"))
        await asyncio.sleep(7)

        [attempt] = await stage.attempts()
        assert attempt.status is AttemptStatus.CANCELED
        assert attempt.filled_shares == micro("30")
        assert attempt.done_at_ms == (attempt.placed_at_ms or 0) + 5_000
        assert attempt.reasons[-1].code == "TTL_EXPIRED"

    play(script)


def test_a_restart_interrupts_open_orders_and_decides_what_was_left() -> None:
    async def main() -> None:
        first = Stage()
        await first.ledger.add_leader(a_leader())

        async def order_rests(stage: Stage) -> None:
            await stage.books.show(a_book(asks="0.50:30 0.60:500"))
            await stage.sees(a_fill(size="100", price="0.5"))
            await asyncio.sleep(1)

        await live(first, order_rests)
        late = a_fill(size="10", price="0.5", tx_hash="0x" + "99" * 32, place=a_place(log_index=99))
        await first.worker.ingest.store(FillsSeen(source=Source.POLYGON, sightings=(a_sighting(late),)))
        second = Stage(ledger=first.ledger)

        async def after(stage: Stage) -> None:
            await stage.books.show(a_book(asks="0.50:500"))
            await asyncio.sleep(6)
            attempts = {attempt.size_shares_target: attempt for attempt in await stage.attempts()}
            interrupted, new = attempts[micro("100")], attempts[micro("10")]
            assert interrupted.status is AttemptStatus.CANCELED
            assert interrupted.reasons[-1].code == "INTERRUPTED"
            assert interrupted.filled_shares == micro("30")
            assert new.status is AttemptStatus.FILLED
            [position] = await stage.ledger.positions()
            assert position.shares == micro("40")

        await live(second, after)

    run_virtual(main, epoch_ms=START_MS)


def test_a_reorg_cancels_what_was_not_sent_and_flags_what_was() -> None:
    fill = a_fill()

    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(fill)
        await asyncio.sleep(1)
        assert fill.place is not None
        gone = LogRef(block_hash=fill.place.block_hash, tx_hash=fill.tx_hash, log_index=fill.place.log_index)
        await stage.chain.queue.put(FillsRemoved(logs=(gone,)))
        await asyncio.sleep(1)

        codes = [happening.code for happening in stage.notifier.told if hasattr(happening, "code")]
        assert codes == ["STARTED", "REORG", "REORG_UNDER_COPY"]
        assert len(stage.notifier.of(OrderFilled)) == 1

    play(script)
