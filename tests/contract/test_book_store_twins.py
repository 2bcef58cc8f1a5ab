"""The two outcomes of a market are read from one book: what is bid for one is asked for the other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.clob.bookstore import BookSource
from copytrade.domain.book import BookSnapshot, BookView, Level
from copytrade.domain.units import MICRO
from tests.contract.test_book_store import EPOCH_MS, SOURCES, WITH_SOCKETS, Story, seeded, tell, wait_ms
from tests.unit.clob.fake_venue import NO, YES, Desk, token
from tests.virtual_time import VirtualClock

TWINS = {YES: NO, NO: YES}
OTHER = {"BUY": "SELL", "SELL": "BUY"}


def tell_twins(source: BookSource, story: Story, **overrides: Any) -> None:
    tell(source, story, **({"twin_of": TWINS.get} | overrides))


def change(desk: Desk, side: str, price: str, size: str, *, of_twin: str) -> None:
    """Change a level of YES for real, and tell it for both outcomes, as the venue does."""
    desk.venue.feeds = False
    desk.venue.change(YES, side, price, size)
    desk.venue.change(NO, OTHER[side], of_twin, size)
    desk.venue.feeds = True
    message = desk.venue.change_message(YES, side, price, size)
    message["price_changes"] += desk.venue.change_message(NO, OTHER[side], of_twin, size)["price_changes"]
    for connection in desk.venue.connections:
        if {YES, NO} & set(connection.tokens):
            connection.push(message)


def sides(view: BookView | None) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    assert view is not None
    return list(map(tuple, view.book.bids)), list(map(tuple, view.book.asks))


@pytest.mark.parametrize("source", SOURCES)
def test_the_twin_of_a_kept_book_is_there_at_once_and_asks_for_nothing(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        asked, sent = desk.store.requests, [list(one.sent) for one in desk.venue.connections]

        view = await desk.store.first_view(NO, timeout_ms=0)

        assert sides(view) == (
            [(480_000, 80_000_000), (470_000, 90_000_000)],
            [(500_000, 100_000_000), (510_000, 200_000_000)],
        )
        assert view is not None
        assert view.book.token_id == NO
        assert desk.store.requests == asked
        assert [one.sent for one in desk.venue.connections] == sent
        assert desk.store.tracked == (YES,)

    tell_twins(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_change_moves_both_outcomes_and_wakes_who_waits_for_either(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        before = await seeded(desk, NO)
        waiting = [asyncio.create_task(desk.store.changed(one, before.book.revision)) for one in (YES, NO)]
        await wait_ms(100)
        change(desk, "BUY", "0.51", "7", of_twin="0.49")
        await asyncio.wait_for(asyncio.gather(*waiting), 1)

        assert sides(desk.store.view(YES))[0][0] == (510_000, 7_000_000)
        assert sides(desk.store.view(NO))[1][0] == (490_000, 7_000_000)
        assert desk.store.counters.mismatches == 0

    tell_twins(source, story)


def test_the_past_of_the_twin_is_the_mirrored_past() -> None:
    async def story(desk: Desk) -> None:
        first = await seeded(desk)
        for number in range(20):
            change(desk, "BUY", f"0.{20 + number}", str(number + 1), of_twin=f"0.{80 - number}")
            await wait_ms(50)
        now_ms = VirtualClock().now_ms()

        ours = desk.store.states_after(YES, first.book.revision)
        theirs = desk.store.states_after(NO, first.book.revision)

        assert len(ours) == 20
        assert [state.mirrored(NO) for state in ours] == list(theirs)
        for at_ms in range(EPOCH_MS, now_ms, 30):
            state = desk.store.book_at(YES, at_ms)
            assert desk.store.book_at(NO, at_ms) == (state and state.mirrored(NO))

    tell_twins(BookSource.WS_AND_SNAPSHOT, story)


@pytest.mark.parametrize("source", SOURCES)
def test_a_refresh_of_the_twin_asks_for_the_book_they_share(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)

        view = await desk.store.refresh(NO)

        assert sides(view)[0][0] == (480_000, 80_000_000)
        assert desk.venue.rest_requests[-1] == "GET /book"

    tell_twins(source, story)


def test_a_market_counts_once_and_stays_while_either_outcome_is_pinned() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.list(token(9), {"0.4": "1"}, {"0.6": "1"})
        desk.store.pin(lambda: {NO})
        await seeded(desk)
        await seeded(desk, NO)
        await wait_ms(400_000)

        assert await desk.store.first_view(token(9), timeout_ms=1_000) is None
        assert desk.store.figures()["tracked"] == desk.store.figures()["pinned"] == 1
        desk.store.pin(tuple)
        await seeded(desk, token(9))
        assert desk.store.tracked == (token(9),)
        assert desk.store.view(YES) is desk.store.view(NO) is None

    tell_twins(BookSource.WS_AND_SNAPSHOT, story, tokens_max=1)


def test_a_twin_that_becomes_known_later_joins_the_book_that_is_kept() -> None:
    known: dict[str, str] = {}

    async def story(desk: Desk) -> None:
        await seeded(desk)
        known.update(TWINS)

        view = await desk.store.first_view(NO, timeout_ms=0)

        assert sides(view)[0][0] == (480_000, 80_000_000)
        assert desk.store.tracked == (YES,)

    tell_twins(BookSource.WS_AND_SNAPSHOT, story, twin_of=known.get)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_both_outcomes_are_subscribed_on_one_socket_and_both_left_together(source: BookSource) -> None:
    """Either alone brings all changes; trades are told of the outcome that was traded."""

    async def story(desk: Desk) -> None:
        await seeded(desk)
        [connection] = desk.venue.connections
        subscribed = set(connection.tokens)
        desk.store.untrack(NO)
        desk.store.track(token(9))
        await wait_ms(100)

        assert subscribed == {YES, NO}
        assert connection.tokens == [token(9)]

    tell_twins(source, story)


def test_the_second_of_two_books_after_a_trade_is_not_read_again() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        for number in range(60):
            change(desk, "BUY", f"0.{100 + number}", "1", of_twin=f"0.{900 - number}")
        await wait_ms(10)
        before = desk.store.counters.messages
        for token_id in (YES, NO, YES):
            desk.venue.tell(token_id, {"event_type": "book", **desk.venue.books[token_id].as_json(token_id)})
        await wait_ms(10)

        assert desk.store.counters.messages - before == 2
        assert len(sides(desk.store.view(NO))[1]) == 62

    tell_twins(BookSource.WS, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_outcomes_that_prove_to_be_no_mirrors_get_a_book_each_and_are_right_again(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        change(desk, "BUY", "0.51", "7", of_twin="0.45")
        await wait_ms(1)
        assert desk.store.view(YES) is desk.store.view(NO) is None
        await wait_ms(8_000)

        assert sides(desk.store.view(YES))[0][0] == (510_000, 7_000_000)
        assert sides(desk.store.view(NO)) == (
            [(480_000, 80_000_000), (470_000, 90_000_000)],
            [(450_000, 7_000_000), (500_000, 100_000_000), (510_000, 200_000_000)],
        )
        assert set(desk.store.tracked) == {YES, NO}
        assert desk.codes().count("BOOK_MISMATCH") == 1

    tell_twins(source, story)


def test_a_token_is_moved_by_its_own_socket_alone() -> None:
    """Without its twin known, each of two sockets tells of both outcomes, at its own pace."""

    async def story(desk: Desk) -> None:
        await seeded(desk)
        for number in range(199):
            desk.venue.list(token(10 + number), {"0.4": "1"}, {"0.6": "1"})
            desk.store.track(token(10 + number))
        await seeded(desk, NO)
        first, second = desk.venue.connections
        old, new = (desk.venue.change_message(one, "BUY", "0.40", "7") for one in (YES, NO))
        both = old["price_changes"] + new["price_changes"]
        first.push(old | {"price_changes": both, "timestamp": str(EPOCH_MS + 1_000_000)})
        await wait_ms(1)
        second.push(old | {"price_changes": both, "timestamp": str(EPOCH_MS + 999_999)})
        await wait_ms(1)

        assert (YES in first.tokens, NO in second.tokens) == (True, True)
        assert sides(desk.store.view(YES))[0][-1] == sides(desk.store.view(NO))[0][-1] == (400_000, 7_000_000)
        assert desk.store.counters.late_messages == 0

    tell(BookSource.WS_AND_SNAPSHOT, story)


levels = st.dictionaries(st.integers(1, MICRO - 1), st.integers(1, 10**12), max_size=20)


@given(bids=levels, asks=levels)
def test_the_mirror_of_the_mirror_is_the_book(bids: dict[int, int], asks: dict[int, int]) -> None:
    book = BookSnapshot(
        token_id=YES,
        bids=tuple(Level(*level) for level in sorted(bids.items(), reverse=True)),
        asks=tuple(Level(*level) for level in sorted(asks.items())),
        revision=1,
        at_ms=2,
        venue_ts_ms=3,
    )

    mirror = book.mirrored(NO)

    assert mirror.mirrored(YES) == book
    assert list(mirror.bids) == sorted(mirror.bids, reverse=True)
    assert list(mirror.asks) == sorted(mirror.asks)
    assert mirror.is_crossed == book.is_crossed
