"""The tape: what the venue prints and announces beside its books, kept as long as past books are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from copytrade.adapters.clob import tape as tape_module
from copytrade.adapters.clob.bookstore import BookSource
from copytrade.adapters.clob.tape import Tape
from copytrade.domain.fills import Side
from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from copytrade.domain.tape import TapeEntry, TradePrint
from tests.contract.test_book_store import EPOCH_MS, WITH_SOCKETS, seeded, tell, wait_ms
from tests.unit.clob.fake_venue import MARKET, NO, YES, Desk
from tests.virtual_time import VirtualClock, run_virtual

A_TRADE = TradePrint(token_id=NO, side=Side.BUY, price=480_000, size=7_555_554)


def a_print(**changes: Any) -> dict[str, Any]:
    facts = {"asset_id": NO, "side": "BUY", "price": "0.48", "size": "7.555554", "timestamp": str(EPOCH_MS)}
    return {"event_type": "last_trade_price", "market": MARKET, "fee_rate_bps": "0", **facts, **changes}


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_trade_of_either_outcome_is_printed_with_its_instant_and_wakes_who_waits(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        since_ms = VirtualClock().now_ms()
        waiter = asyncio.create_task(desk.store.printed(MARKET, since_ms))
        await wait_ms(500)
        assert not waiter.done()

        desk.venue.tell(YES, a_print())
        await asyncio.wait_for(waiter, 2)

        (entry,) = desk.store.tape_after(MARKET, since_ms)
        assert (entry.told, entry.at_ms) == (A_TRADE, since_ms + 500)
        assert desk.store.tape_after(MARKET, entry.at_ms) == ()
        await desk.store.printed(MARKET, since_ms)

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_announcements_are_on_the_tape_of_their_market_in_order(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        for message in (
            a_print(),
            {"event_type": "tick_size_change", "market": MARKET, "asset_id": YES, "new_tick_size": "0.001"},
            {"event_type": "market_resolved", "market": MARKET, "assets_ids": [YES, NO], "winning_asset_id": NO},
        ):
            desk.venue.tell(YES, message)
        await wait_ms(100)

        entries = desk.store.tape_after(MARKET, 0)
        assert [entry.told for entry in entries] == [
            A_TRADE,
            TickSizeChanged(condition_id=MARKET, token_id=YES, tick_size=1_000),
            MarketResolved(condition_id=MARKET, token_ids=(YES, NO), winning_token_id=NO),
        ]
        assert [entry.number for entry in entries] == sorted({entry.number for entry in entries})

    tell(source, story)


@pytest.mark.parametrize("changes", [{"side": ""}, {"side": "HOLD"}, {"price": "1.2"}, {"size": "many"}])
def test_a_print_that_cannot_be_read_is_quarantined_and_costs_no_book(changes: Any) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.tell(YES, a_print(**changes))
        await wait_ms(100)

        assert desk.store.tape_after(MARKET, 0) == ()
        assert desk.store.counters.malformed == 1
        assert desk.store.view(YES) is not None

    tell(BookSource.WS, story)


@pytest.mark.parametrize("source", list(BookSource))
def test_a_market_whose_books_are_not_kept_has_no_tape(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        if source is not BookSource.REST:
            await seeded(desk)
            desk.venue.tell(YES, a_print(market="0x" + "cd" * 32))
        await wait_ms(100)

        assert desk.store.tape_after("0x" + "cd" * 32, 0) == ()

    tell(source, story)


def entries_at(tape: Tape) -> list[int]:
    return [entry.at_ms for entry in tape.after("m", -1)]


def test_a_tape_is_as_long_as_the_history_and_twice_that_at_most() -> None:
    tape = Tape(history_ms=1_000)
    for at_ms in range(0, 10_000, 100):
        tape.note("m", A_TRADE, at_ms)
        kept = entries_at(tape)
        assert kept[-1] == at_ms
        assert set(range(max(0, at_ms - 900), at_ms + 1, 100)) <= set(kept)
        assert kept[0] >= at_ms - 2_000


def test_a_busy_market_and_many_markets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_module, "ENTRIES_MAX", 10)
    monkeypatch.setattr(tape_module, "MARKETS_MAX", 3)
    tape = Tape(history_ms=1_000)

    for number in range(100):
        tape.note("m", A_TRADE, number)
        assert len(entries_at(tape)) <= 10
    for market in ("a", "b", "m", "c"):
        tape.note(market, A_TRADE, 200)

    assert [bool(tape.after(market, 100)) for market in ("a", "b", "m", "c")] == [False, True, True, True]
    assert entries_at(tape)[-1] == 200


def test_who_stops_waiting_leaves_nothing_behind() -> None:
    async def main() -> dict[str, Any]:
        tape = Tape(history_ms=1_000)
        waiters = [asyncio.create_task(tape.printed("m", 0)) for _ in range(2)]
        await asyncio.sleep(0)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        tape.note("m", A_TRADE, 5)
        await tape.printed("m", 0)
        assert tape.after("m", 4) == (TapeEntry(number=1, at_ms=5, told=A_TRADE),)
        return dict(tape._waiters)

    assert run_virtual(main, epoch_ms=EPOCH_MS) == {}
