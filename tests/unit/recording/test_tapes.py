"""What a venue prints and announces is written once, and told again at its instants."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from copytrade.adapters.recording.books import RecordedBooks
from copytrade.domain.fills import Side
from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from copytrade.domain.tape import Told, TradePrint
from copytrade.engine import tape_recording
from copytrade.engine.session import Printed, Resolved, TickChanged
from copytrade.engine.tape_recording import TapeRecorder
from tests.makers import NOW_MS, YES, micro
from tests.recordings import MemoryChronicle
from tests.virtual_time import VirtualClock, run_virtual

MARKET = "0xc0"


def a_print(size: str) -> TradePrint:
    return TradePrint(token_id=YES, side=Side.BUY, price=micro("0.5"), size=micro(size))


TICK = TickSizeChanged(condition_id=MARKET, token_id=YES, tick_size=micro("0.001"))
END = MarketResolved(condition_id=MARKET, token_ids=(YES,), winning_token_id=YES)


def recorded(*story: tuple[int, Told], followed_ms: int = 0) -> MemoryChronicle:
    """Follow a market from an instant on, and have things told of it at others (ms after NOW_MS, in order)."""

    async def main() -> MemoryChronicle:
        clock, chronicle = VirtualClock(), MemoryChronicle()
        books = RecordedBooks(clock, fresh_ms=2_000, stale_ms=5_000, ages={})
        recorder = TapeRecorder(books, chronicle, clock)
        running = asyncio.create_task(recorder.run())
        for after_ms, told in sorted([*story, (followed_ms, END)], key=lambda one: (one[0], one[1] is END)):
            await clock.until(NOW_MS + after_ms)
            if told is END and after_ms == followed_ms:
                recorder.follow(MARKET)
            else:
                books.tell(MARKET, told, at_ms=clock.now_ms())
        await clock.sleep_ms(5)
        recorder.catch_up()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return chronicle

    return run_virtual(main, epoch_ms=NOW_MS)


def test_each_thing_is_written_once_as_what_it_is() -> None:
    chronicle = recorded((5, a_print("1")), (5, a_print("2")), (9, TICK), (12, END))

    told = [(type(entry), entry.at_ms - NOW_MS) for entry in chronicle.read()]
    assert told == [(Printed, 5), (Printed, 5), (TickChanged, 9), (Resolved, 12)]
    assert [entry.told for entry in chronicle.read() if isinstance(entry, Printed)] == [a_print("1"), a_print("2")]


def test_what_was_told_before_the_market_was_followed_is_left_out() -> None:
    chronicle = recorded((1, a_print("1")), (7, a_print("2")), (8, a_print("3")), followed_ms=7)

    assert [entry.told for entry in chronicle.read() if isinstance(entry, Printed)] == [a_print("2"), a_print("3")]


def test_what_is_told_later_in_the_same_millisecond_is_not_lost() -> None:
    async def main() -> MemoryChronicle:
        clock, chronicle = VirtualClock(), MemoryChronicle()
        books = RecordedBooks(clock, fresh_ms=2_000, stale_ms=5_000, ages={})
        recorder = TapeRecorder(books, chronicle, clock)
        running = asyncio.create_task(recorder.run())
        recorder.follow(MARKET)
        for size in ("1", "2", "3"):
            books.tell(MARKET, a_print(size), at_ms=clock.now_ms())
            await clock.settled()
        await clock.sleep_ms(20)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return chronicle

    assert len(run_virtual(main, epoch_ms=NOW_MS).read()) == 3


def test_a_market_is_followed_for_a_while_and_no_more_of_them_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape_recording, "FOLLOWED_FOR_MS", 10)

    assert len(recorded((5, a_print("1")), (50, a_print("2"))).read()) == 1

    monkeypatch.setattr(tape_recording, "MARKETS_MAX", 0)
    assert recorded((5, a_print("1"))).read() == []
