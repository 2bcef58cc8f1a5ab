"""How many tokens a book store keeps, on how many sockets, and what it leaves behind; on virtual time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from copytrade.adapters.clob.bookstore import BookSource
from tests.contract.test_book_store import EPOCH_MS, Story, seeded, tell, wait_ms
from tests.unit.clob.fake_venue import NO, YES, Desk, token


def tell_both(story: Story, **overrides: Any) -> None:
    tell(BookSource.WS_AND_SNAPSHOT, story, **overrides)


def test_tokens_are_spread_over_sockets_and_frames_within_the_venues_bounds() -> None:
    async def story(desk: Desk) -> None:
        for number in range(450):
            desk.venue.list(token(number), {"0.4": "1"}, {"0.6": "1"})
            desk.store.track(token(number))
        await wait_ms(5_000)

        assert sorted(len(connection.tokens) for connection in desk.venue.connections) == [50, 200, 200]
        frames = [json.loads(text) for one in desk.venue.connections for text in one.sent if text != "PING"]
        assert max(len(frame["assets_ids"]) for frame in frames) <= 100
        assert all(frame["custom_feature_enabled"] for frame in frames)
        firsts = [json.loads(connection.sent[0]) for connection in desk.venue.connections]
        assert all((one["type"], one["initial_dump"], one["level"]) == ("market", True, 2) for one in firsts)
        assert all(desk.store.view(token(number)) for number in range(450))
        assert max(len(asked) for asked in desk.venue.asked_tokens) <= 500

    tell_both(story)


def test_when_full_the_token_unseen_longest_makes_room_for_a_fill_but_not_for_a_wish() -> None:
    async def story(desk: Desk) -> None:
        for number in range(4):
            desk.venue.list(token(10 + number), {"0.4": "1"}, {"0.6": "1"})
        for number in (10, 11, 12):
            await seeded(desk, token(number))
        await wait_ms(30_000)
        desk.store.view(token(10))
        await wait_ms(31_000)
        desk.store.view(token(12))
        desk.store.track(token(13))
        refused = desk.store.tracked

        await seeded(desk, token(13))

        assert refused == (token(10), token(11), token(12))
        assert set(desk.store.tracked) == {token(10), token(12), token(13)}
        assert desk.codes().count("TOKENS_FULL") == 1
        assert desk.store.counters.evicted == 1

    tell_both(story, tokens_max=3)


def test_when_all_tokens_were_seen_lately_another_is_refused_loudly() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk, YES)

        assert await desk.store.first_view(NO, timeout_ms=1_000) is None
        assert "TOKENS_FULL" in desk.codes()

    tell_both(story, tokens_max=1)


def test_revisions_of_a_token_never_repeat_even_when_it_was_dropped() -> None:
    async def story(desk: Desk) -> None:
        before = await seeded(desk)
        desk.store.untrack(YES)
        after = await seeded(desk)

        assert after.book.revision > before.book.revision

    tell_both(story)


def test_waiters_leave_nothing_behind_when_they_give_up() -> None:
    async def story(desk: Desk) -> None:
        view = await seeded(desk)
        for _ in range(50):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(desk.store.changed(YES, view.book.revision), 0.01)

        assert desk.store._shelf.books[YES].waiters == []

    tell_both(story)


def test_a_token_without_a_book_is_asked_for_ever_more_rarely() -> None:
    async def story(desk: Desk) -> None:
        desk.store.track("404")
        await wait_ms(600_000)

        assert desk.venue.rest_requests.count("POST /books") < 25
        desk.venue.list("404", {"0.4": "1"}, {"0.6": "1"})
        await wait_ms(61_000)
        assert desk.store.view("404") is not None

    tell_both(story)


def test_a_book_seeded_before_its_subscription_began_is_compared_again_soon() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.dumps = False
        await seeded(desk)
        await seeded(desk, NO)
        desk.venue.feeds = False
        desk.venue.change(YES, "BUY", "0.51", "5")
        desk.venue.feeds = True
        for size in range(30):
            desk.venue.change(NO, "BUY", "0.47", str(size + 1))
            await wait_ms(100)

        view = desk.store.view(YES)
        assert view is not None
        assert view.book.best_bid == 510_000
        assert desk.venue.opened == 1

    tell_both(story)


def test_a_pinned_token_is_never_dropped_and_a_wish_for_one_makes_room() -> None:
    async def story(desk: Desk) -> None:
        pinned = [token(10)]
        desk.store.pin(lambda: pinned)
        for number in range(4):
            desk.venue.list(token(10 + number), {"0.4": "1"}, {"0.6": "1"})
        await seeded(desk, token(10))
        await wait_ms(400_000)
        await seeded(desk, token(11))
        await wait_ms(61_000)

        await seeded(desk, token(12))
        after_a_fill = desk.store.tracked
        pinned.append(token(13))
        await wait_ms(61_000)
        desk.store.track(token(13))
        after_a_wish = desk.store.tracked
        await wait_ms(61_000)
        refused = await desk.store.first_view(token(11), timeout_ms=1_000)

        assert after_a_fill == (token(10), token(12))
        assert after_a_wish == (token(10), token(13))
        assert refused is None

    tell_both(story, tokens_max=2)


def test_figures_are_noted_soon_and_then_every_minute() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.store.track("404")
        desk.store.pin(lambda: {YES, NO})
        await wait_ms(66_000)

        noted = [detail for code, detail in desk.notes if code == "FIGURES"]
        assert len(noted) == 2
        assert noted[0]["tracked"] == 2
        assert noted[-1]["tracked"] == 2
        assert noted[-1]["pinned"] == noted[-1]["fresh"] == noted[-1]["without_book"] == noted[-1]["sockets"] == 1
        assert {"resyncs", "reconnects", "quotes_refreshed", "mismatches", "unknown_messages"} <= noted[-1].keys()

    tell_both(story)


def test_trading_on_fresh_books_asks_for_none_and_only_refreshing_does() -> None:
    async def story(desk: Desk) -> None:
        view = await seeded(desk)
        await seeded(desk, NO)
        await wait_ms(3_000)
        for number in range(200):
            desk.venue.change(NO, "BUY", "0.48", str(number + 1))
            await wait_ms(10)
            asked = desk.store.requests
            assert await desk.store.first_view(YES, timeout_ms=1_000) is not None
            desk.store.view(YES)
            desk.store.states_after(YES, view.book.revision)
            desk.store.book_at(YES, EPOCH_MS + 1_000)
            assert desk.store.requests == asked
        quiet = desk.venue.rest_requests.count("GET /book")
        await desk.store.refresh(YES)

        assert quiet == 0
        assert desk.venue.rest_requests.count("GET /book") == desk.store.counters.quotes_refreshed == 1

    tell_both(story)
