"""What every book store promises, over the three ways to get books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from copytrade.adapters.clob.bookstore import BookSource
from copytrade.domain.book import BookView, QuoteTier
from tests.unit.clob.fake_venue import NO, YES, Desk, make_desk
from tests.virtual_time import VirtualClock, run_virtual

EPOCH_MS = 1_790_000_000_000
SOURCES = list(BookSource)
WITH_SOCKETS = [BookSource.WS, BookSource.WS_AND_SNAPSHOT]
Story = Callable[[Desk], Awaitable[None]]


@contextlib.asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[Desk]:
    desk.venue.list(YES, {"0.50": "100", "0.49": "200"}, {"0.52": "80", "0.53": "90"})
    desk.venue.list(NO, {"0.48": "80", "0.47": "90"}, {"0.50": "100", "0.51": "200"})
    task = asyncio.create_task(desk.store.run())
    try:
        yield desk
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def tell(source: BookSource, story: Story, **overrides: Any) -> None:
    async def main() -> None:
        async with running(make_desk(VirtualClock(), source, **overrides)) as desk:
            await story(desk)

    run_virtual(main, epoch_ms=EPOCH_MS)


async def wait_ms(duration_ms: int) -> None:
    await VirtualClock().sleep_ms(duration_ms)


async def seeded(desk: Desk, token_id: str = YES) -> BookView:
    view = await desk.store.first_view(token_id, timeout_ms=5_000)
    assert view is not None
    return view


@pytest.mark.parametrize("source", SOURCES)
def test_the_first_view_is_the_venues_book_and_fresh(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        view = await seeded(desk)

        assert [level.price for level in view.book.bids] == [500_000, 490_000]
        assert [level.size for level in view.book.asks] == [80_000_000, 90_000_000]
        assert view.tier is QuoteTier.FRESH

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_token_that_is_not_tracked_has_nothing(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await wait_ms(1_000)

        assert desk.store.view(YES) is None
        assert desk.store.book_at(YES, EPOCH_MS) is None
        assert desk.store.states_after(YES, 0) == ()
        await desk.store.changed(YES, 0)
        assert desk.venue.rest_requests == []

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_waiting_for_the_book_of_a_token_without_one_ends_at_the_timeout(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        started = VirtualClock().monotonic_ms()

        view = await desk.store.first_view("404", timeout_ms=3_000)

        assert view is None
        assert VirtualClock().monotonic_ms() - started == pytest.approx(3_000, abs=2)

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_changes_arrive_wake_the_waiter_and_stay_in_the_past(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        before = await seeded(desk)
        at_before = VirtualClock().now_ms()
        waiter = asyncio.create_task(desk.store.changed(YES, before.book.revision))
        await wait_ms(500)
        assert not waiter.done()

        desk.venue.change(YES, "BUY", "0.51", "30")
        await asyncio.wait_for(waiter, 2)

        after = desk.store.view(YES)
        assert after is not None
        assert after.book.best_bid == 510_000
        assert after.book.revision > before.book.revision
        assert desk.store.states_after(YES, before.book.revision) == (after.book,)
        assert desk.store.book_at(YES, at_before) == before.book
        assert desk.store.book_at(YES, EPOCH_MS - 1) is None
        assert desk.store.book_at(YES, VirtualClock().now_ms()) == after.book

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_looking_never_asks_the_venue(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        view = await seeded(desk)
        asked = len(desk.venue.rest_requests)

        for _ in range(100):
            desk.store.view(YES)
            desk.store.book_at(YES, VirtualClock().now_ms())
            desk.store.states_after(YES, view.book.revision - 1)
            desk.store.track(YES)

        assert len(desk.venue.rest_requests) == asked

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_refresh_asks_once_is_counted_and_makes_the_book_known_true(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        asked = desk.venue.rest_requests.count("GET /book")

        view = await desk.store.refresh(YES)

        assert view is not None
        assert view.age_ms <= 25
        assert desk.venue.rest_requests.count("GET /book") == asked + 1
        assert desk.store.counters.quotes_refreshed == 1

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_refresh_that_is_not_answered_is_nothing(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.answers_rest = False

        assert await desk.store.refresh(YES) is None

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_quiet_market_stays_fresh(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)

        for _ in range(60):
            await wait_ms(1_000)
            view = desk.store.view(YES)
            assert view is not None
            assert view.tier is QuoteTier.FRESH

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_book_ages_through_the_tiers_when_nothing_is_heard(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await wait_ms(1_500)
        desk.venue.answers_rest = desk.venue.feeds = False
        await wait_ms(3_500)
        soft = desk.store.view(YES)
        await wait_ms(3_500)
        hard = desk.store.view(YES)

        assert soft is not None
        assert soft.tier is QuoteTier.SOFT_STALE
        assert hard is not None
        assert hard.tier is QuoteTier.HARD_STALE

    tell(source, story)


@pytest.mark.parametrize("source", SOURCES)
def test_another_tokens_data_proves_the_connection_for_all(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk, YES)
        await seeded(desk, NO)
        desk.venue.answers_rest = source is BookSource.REST

        for size in range(20):
            await wait_ms(1_000)
            desk.venue.change(NO, "BUY", "0.48", str(size + 1))
        await wait_ms(100)

        view = desk.store.view(YES)
        assert view is not None
        assert view.tier is QuoteTier.FRESH

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_frozen_socket_goes_stale_in_spite_of_pongs_and_heals(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.change(YES, "BUY", "0.50", "101")
        await wait_ms(100)
        desk.venue.feeds = desk.venue.answers_rest = False
        desk.venue.change(YES, "SELL", "0.52", "0")
        await wait_ms(15_000)
        frozen = desk.store.view(YES)
        assert frozen is not None
        assert frozen.tier is QuoteTier.HARD_STALE
        assert "PING" in desk.venue.connections[0].sent

        desk.venue.feeds = desk.venue.answers_rest = True
        await wait_ms(5_000)

        healed = desk.store.view(YES)
        assert healed is not None
        assert healed.tier is QuoteTier.FRESH
        assert healed.book.best_ask == 530_000
        assert desk.venue.opened == 2
        assert "BOOK_MISMATCH" in desk.codes()

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_frozen_socket_is_found_within_seconds_while_rest_answers(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await wait_ms(3_000)
        frozen = desk.venue.connections[0]
        frozen.tokens.clear()
        desk.venue.change(YES, "SELL", "0.52", "0")
        wrong_and_fresh_ms = 0
        for _ in range(100):
            await wait_ms(100)
            view = desk.store.view(YES)
            if view is not None and view.tier is QuoteTier.FRESH and view.book.best_ask == 520_000:
                wrong_and_fresh_ms += 100

        view = desk.store.view(YES)
        assert view is not None
        assert view.book.best_ask == 530_000
        assert wrong_and_fresh_ms <= 2_000

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_dropped_connection_leaves_no_book_until_it_is_seeded_again(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        before = await seeded(desk)
        waiter = asyncio.create_task(desk.store.changed(YES, before.book.revision))
        await wait_ms(10)
        at_before = VirtualClock().now_ms()
        await wait_ms(90)

        desk.venue.connections[0].drop()
        await wait_ms(20)
        assert desk.store.view(YES) is None
        assert waiter.done()
        desk.venue.books[YES].bids["0.51"] = "7"
        desk.venue.books[YES].timestamp += 1

        await wait_ms(5_000)
        after = desk.store.view(YES)
        assert after is not None
        assert after.book.best_bid == 510_000
        assert after.book.revision > before.book.revision
        assert desk.store.book_at(YES, at_before) == before.book
        assert "RECONNECTED" in desk.codes()

    tell(source, story)


def test_with_snapshots_a_book_comes_even_if_the_socket_never_sends_one() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.dumps = False
        await seeded(desk)
        desk.venue.change(YES, "BUY", "0.51", "5")
        await wait_ms(10)

        view = desk.store.view(YES)
        assert view is not None
        assert view.book.best_bid == 510_000

    tell(BookSource.WS_AND_SNAPSHOT, story)


def test_with_the_socket_alone_no_book_is_asked_for() -> None:
    async def story(desk: Desk) -> None:
        for number in range(30):
            if number == 1:
                await seeded(desk)
            if number:
                desk.venue.change(YES, "BUY", "0.50", str(number))
            await wait_ms(500)

        assert desk.venue.rest_requests == []

    tell(BookSource.WS, story)


def test_with_rest_alone_no_socket_is_opened() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await wait_ms(10_000)

        assert desk.venue.opened == 0

    tell(BookSource.REST, story)


@pytest.mark.parametrize("source", SOURCES)
def test_the_history_ends_where_configured(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await wait_ms(61_000)

        assert desk.store.book_at(YES, VirtualClock().now_ms() - 60_001) is None
        assert desk.store.book_at(YES, VirtualClock().now_ms() - 59_999) is not None

    tell(source, story)
