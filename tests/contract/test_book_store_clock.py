"""Books on a machine whose clock is set, or that stood still: found by their instant, no older than they look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from copytrade.adapters.clob.bookstore import BookSource
from copytrade.adapters.clob.socket import ConnectGate, MarketSocket
from copytrade.adapters.clob.upkeep import UNPROVEN_MAX_MS, UNSEEDED_MAX_MS
from tests.contract.test_book_store import EPOCH_MS, SOURCES, WITH_SOCKETS, running, seeded, wait_ms
from tests.unit.clob.fake_venue import WS_URL, YES, Desk, FakeVenue, make_desk
from tests.unit.clocks import MovedClock
from tests.virtual_time import run_virtual

Story = Callable[[Desk, MovedClock], Awaitable[None]]


def tell(source: BookSource, story: Story) -> None:
    async def main() -> None:
        clock = MovedClock()
        async with running(make_desk(clock, source)) as desk:
            await story(desk, clock)

    run_virtual(main, epoch_ms=EPOCH_MS)


@pytest.mark.parametrize("source", SOURCES)
def test_a_clock_set_back_leaves_the_book_to_be_found_at_the_new_time(source: BookSource) -> None:
    async def story(desk: Desk, clock: MovedClock) -> None:
        before = await seeded(desk)
        clock.set_ms = -90_000
        await wait_ms(10)

        now_ms = clock.now_ms()
        found = desk.store.book_at(YES, now_ms)
        assert found is not None
        assert (found.bids, found.asks) == (before.book.bids, before.book.asks)
        assert found.revision > before.book.revision
        assert desk.store.book_at(YES, now_ms - 20) is None
        assert desk.store.states_after(YES, before.book.revision) == (found,)
        assert "CLOCK_SET_BACK" in desk.codes()

        desk.venue.change(YES, "BUY", "0.51", "5")
        await wait_ms(2_000)
        later = desk.store.book_at(YES, clock.now_ms())
        assert later is not None
        assert later.best_bid == 510_000
        assert later.revision > found.revision

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_clock_that_goes_back_a_little_keeps_the_past(source: BookSource) -> None:
    async def story(desk: Desk, clock: MovedClock) -> None:
        before = await seeded(desk)
        clock.set_ms = -1_000
        await wait_ms(2_000)

        assert desk.store.book_at(YES, before.book.at_ms) == before.book
        assert "CLOCK_SET_BACK" not in desk.codes()

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_what_waited_while_we_stood_still_makes_no_book_fresh(source: BookSource) -> None:
    async def story(desk: Desk, clock: MovedClock) -> None:
        await seeded(desk)
        desk.venue.change(YES, "BUY", "0.51", "5")
        desk.venue.feeds = False
        desk.venue.change(YES, "BUY", "0.51", "0")
        clock.stood_ms = 9_000
        await wait_ms(200)

        view = desk.store.view(YES)
        assert view is None or view.book.best_bid == 500_000
        reasons = [str(detail["reason"]) for code, detail in desk.notes if code == "RECONNECTED"]
        assert [reason[:14] for reason in reasons] == ["we stood still"]

        desk.venue.feeds = True
        await wait_ms(3_000)
        assert (await seeded(desk)).book.best_bid == 500_000
        assert desk.venue.opened == 2

    tell(source, story)


def test_nothing_is_taken_from_a_socket_that_was_given_up() -> None:
    async def main() -> None:
        clock, heard = MovedClock(), []
        venue = FakeVenue(clock)
        socket = MarketSocket(
            number=0,
            url=WS_URL,
            clock=clock,
            gate=ConnectGate(clock=clock),
            open_connection=venue.connect,
            on_frame=lambda _, frame: heard.append(frame),
            on_subscribed=lambda *_: None,
            on_lost=lambda *_: None,
        )
        socket.want(YES)
        running = asyncio.create_task(socket.run())
        await wait_ms(100)
        (connection,) = venue.connections
        heard.clear()
        connection.inbox.put_nowait("before")
        await wait_ms(1)

        socket.restart("in doubt")
        connection.inbox.put_nowait("after")
        await wait_ms(1)

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert heard == [b"before"]

    run_virtual(main, epoch_ms=EPOCH_MS)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_short_stop_costs_nothing(source: BookSource) -> None:
    async def story(desk: Desk, clock: MovedClock) -> None:
        await seeded(desk)
        clock.stood_ms = 1_500
        await wait_ms(2_000)

        assert desk.venue.opened == 1
        assert desk.store.counters.books_lost == 0

    tell(source, story)


def test_a_socket_that_brings_no_book_where_nothing_else_does_is_soon_replaced() -> None:
    async def story(desk: Desk, clock: MovedClock) -> None:
        desk.venue.feeds = desk.venue.dumps = False
        desk.store.track(YES)
        await wait_ms(UNSEEDED_MAX_MS - 1_000)
        assert desk.venue.opened == 1
        desk.venue.feeds = desk.venue.dumps = True
        assert desk.store.view(YES) is None

        await wait_ms(5_000)

        assert clock.monotonic_ms() < UNPROVEN_MAX_MS
        assert desk.venue.opened == 2
        assert desk.store.view(YES) is not None

    tell(BookSource.WS, story)
