"""A leader who leaves otherwise than by selling is followed in proportion, where an operator wants that."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.fills import Side, Source
from copytrade.domain.leader_events import CHAIN_KEY
from copytrade.domain.leader_events import LeaderEventKind as Kind
from copytrade.domain.sizing import ExitMode
from copytrade.ports.leader_fills import Cursor, CursorScope
from copytrade.ports.leader_transfers import SharesMoved
from tests.flow.stage import Stage, live
from tests.flow.test_exits_by_fraction import BOOK, codes, sales, trade, why
from tests.makers import NO, NOW_MS, YES, a_book, a_leader, micro
from tests.unit.test_leader_events import an_event
from tests.virtual_time import run_virtual

SCOPE = CursorScope(exchange_address="0x01")
MIRROR = "MERGE=mirror,REDEEM=mirror,CONVERSION=mirror,WITHDRAWAL=mirror"


def played(script: Any, *, policies: str = MIRROR, ledger: MemoryLedger | None = None) -> Stage:
    async def main() -> Stage:
        stage = Stage(ledger=ledger, policies=policies, exit_mode=ExitMode.FRACTION)
        await stage.ledger.add_leader(a_leader(followed_since_ms=NOW_MS, created_at_ms=NOW_MS))
        await live(stage, script)
        return stage

    return run_virtual(main, epoch_ms=NOW_MS)


async def buys(stage: Stage, size: str = "100") -> None:
    """Let the leader's wallet be listed, and him buy: we hold as much."""
    await asyncio.sleep(60)
    await trade(stage, size, Side.BUY, log=1)


async def does(stage: Stage, kind: Kind, shares: str, **changes: Any) -> None:
    """Let it happen, be told 5 s later at the earliest, and be followed."""
    await stage.books.show(BOOK)
    now_ms = stage.clock.now_ms()
    event = an_event(kind, shares, at_ms=now_ms, **({"detected_at_ms": now_ms + 31_000} | changes))
    stage.activity.happened = [*stage.activity.happened, event]
    for _ in range(8):
        await asyncio.sleep(5)
        await stage.books.show(BOOK)


def test_a_merge_of_a_part_sells_the_same_part_of_ours_at_the_bid():
    async def script(stage: Stage) -> None:
        await buys(stage)
        await does(stage, Kind.MERGE, "40")

    stage = played(script)

    (sale,) = sales(stage)
    assert (sale.size_shares_target, sale.status) == (micro("40"), AttemptStatus.FILLED)
    assert sale.limit_price == micro("0.58"), "the bid of 0.59 less 3%, on the tick"
    code, numbers = why(sale)
    assert (code, numbers["leader_sold"], numbers["leader_held"]) == ("EXIT_BY_FRACTION", "40.00", "100.00")
    assert "LEADER_MERGED" in codes(stage)


def test_what_is_mirrored_is_no_trade_of_his():
    async def script(stage: Stage) -> None:
        await buys(stage)
        await does(stage, Kind.MERGE, "40")
        await trade(stage, "30", Side.SELL, log=2)

    stage = played(script)

    assert [why(sale)[1]["leader_held"] for sale in sales(stage)] == ["100.00", "60.00"]
    assert [sale.size_shares_target for sale in sales(stage)] == [micro("40"), micro("30")]
    fills = run_virtual(lambda: stage.ledger.all_fills_of(a_leader().address, since_ms=0), epoch_ms=NOW_MS)
    assert Source.LEADER_EVENT not in {one.fill.source for one in fills}


def test_each_event_has_one_attempt_also_over_a_restart():
    ledger = MemoryLedger()

    async def first(stage: Stage) -> None:
        await buys(stage)
        await does(stage, Kind.MERGE, "40")
        happened.extend(stage.activity.happened)

    async def second(stage: Stage) -> None:
        stage.activity.happened = happened
        await asyncio.sleep(120)

    happened: list[Any] = []
    played(first, ledger=ledger)
    ledger.leader_events.clear()  # as if the process had died between the sale and the event
    played(second, ledger=ledger)

    mirrored = [one for one in ledger.stored.values() if one.recorded.fill.source is Source.LEADER_EVENT]
    assert len(mirrored) == 1
    positions = run_virtual(ledger.positions, epoch_ms=NOW_MS)
    assert [position.shares for position in positions] == [micro("60")]


def test_alert_and_ignore_sell_nothing():
    async def script(stage: Stage) -> None:
        await buys(stage)
        await does(stage, Kind.MERGE, "40")

    for policies, told in (("", 1), ("MERGE=ignore", 0)):
        stage = played(script, policies=policies)
        assert sales(stage) == []
        assert codes(stage).count("LEADER_MERGED") == told


def test_shares_moved_away_are_followed_and_those_of_another_token_are_not():
    async def script(stage: Stage) -> None:
        await buys(stage)
        await does(stage, Kind.WITHDRAWAL, "25", token_id=NO)
        await does(stage, Kind.WITHDRAWAL, "50", token_id=YES)

    assert [sale.size_shares_target for sale in sales(played(script))] == [micro("50")]


def test_a_conversion_takes_no_yes_shares():
    async def script(stage: Stage) -> None:
        await buys(stage)
        await does(stage, Kind.CONVERSION, "40")

    assert sales(played(script)) == []


def test_without_a_bid_nothing_is_placed_and_a_person_is_told():
    async def script(stage: Stage) -> None:
        await buys(stage)
        await stage.books.show(a_book(bids="", asks="0.61:5000"))
        now_ms = stage.clock.now_ms()
        stage.activity.happened = [an_event(Kind.MERGE, "40", at_ms=now_ms)]
        await asyncio.sleep(60)

    stage = played(script)

    assert sales(stage) == []
    assert codes(stage).count("MIRROR_WITHOUT_BID") == 1


def test_what_we_do_not_hold_is_not_sold():
    async def script(stage: Stage) -> None:
        await asyncio.sleep(60)
        await does(stage, Kind.MERGE, "40")

    stage = played(script)

    assert run_virtual(stage.attempts, epoch_ms=NOW_MS) == []
    assert "LEADER_MERGED" in codes(stage)


def test_an_exit_told_late_is_mirrored_all_the_same():
    async def script(stage: Stage) -> None:
        await buys(stage)
        now_ms = stage.clock.now_ms()
        await does(stage, Kind.MERGE, "40", event_ts_ms=now_ms - 50_000)

    (attempt,) = [one for one in run_virtual(played(script).attempts, epoch_ms=NOW_MS) if one.side is Side.SELL]
    assert attempt.decision is Decision.TRADE


def test_a_transfer_told_by_chain_and_api_is_one_event_whoever_comes_first():
    for chain_first in (True, False):

        async def script(stage: Stage, *, is_first: bool = chain_first) -> None:
            await buys(stage)
            now_ms = stage.clock.now_ms()
            told = an_event(Kind.WITHDRAWAL, "50", at_ms=now_ms, token_id=YES)
            seen = replace(told, dedupe_key=f"{CHAIN_KEY}{told.tx_hash}|7|0")
            moved = SharesMoved(events=(seen,), cursor=Cursor(scope=SCOPE, last_processed_block=9, proved_block=None))
            if is_first:
                await stage.transfers.queue.put(moved)
                await asyncio.sleep(1)
            stage.activity.happened = [told]
            await asyncio.sleep(60)
            if not is_first:
                await stage.transfers.queue.put(moved)
                await asyncio.sleep(1)
            assert await stage.ledger.cursor(SCOPE) == moved.cursor

        stage = played(script)

        (sale,) = sales(stage)
        assert (sale.size_shares_target, why(sale)[1]["leader_held"]) == (micro("50"), "100.00")
        assert codes(stage).count("LEADER_WITHDREW") == 1


def test_transfers_from_before_a_leader_was_added_are_his_own_affair():
    async def script(stage: Stage) -> None:
        early = an_event(Kind.WITHDRAWAL, "50", at_ms=NOW_MS - 60_000, token_id=YES)
        stranger = replace(early, leader="0x" + "99" * 20, event_ts_ms=NOW_MS + 60_000)
        cursor = Cursor(scope=SCOPE, last_processed_block=9, proved_block=9)
        await stage.transfers.queue.put(SharesMoved(events=(early, stranger), cursor=cursor))
        await asyncio.sleep(1)
        assert await stage.ledger.cursor(SCOPE) == cursor
        assert await stage.ledger.leader_events_of(early.leader) == ()

    played(script)
