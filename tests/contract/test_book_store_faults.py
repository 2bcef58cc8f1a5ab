"""Books under faults, on virtual time: never a wrong book that looks right."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from copytrade.adapters.clob.bookstore import BookSource
from copytrade.domain.book import QuoteTier
from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from tests.contract.test_book_store import WITH_SOCKETS, Story, seeded, tell, wait_ms
from tests.unit.clob.fake_venue import MARKET, NO, YES, Desk, token


def tell_both(story: Story, **overrides: Any) -> None:
    tell(BookSource.WS_AND_SNAPSHOT, story, **overrides)


def price_change(desk: Desk, *changes: tuple[str, str, str], timestamp: int, best: tuple[str, str] = ("", "")) -> None:
    """Send what the venue's book does not have to agree with."""
    listed = [
        {"asset_id": YES, "side": side, "price": price, "size": size, "best_bid": best[0], "best_ask": best[1]}
        for side, price, size in changes
    ]
    message = {"event_type": "price_change", "market": MARKET, "timestamp": str(timestamp), "price_changes": listed}
    desk.venue.tell(YES, message)


def best_of(desk: Desk, token_id: str = YES) -> tuple[int | None, int | None] | None:
    view = desk.store.view(token_id)
    return None if view is None else (view.book.best_bid, view.book.best_ask)


def test_changes_during_the_snapshot_request_are_applied_by_their_timestamps() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.dumps = False
        desk.venue.rest_delay_ms = 300
        desk.store.track(YES)
        while not desk.venue.rest_requests:
            await wait_ms(1)
        stamp = desk.venue.books[YES].timestamp
        price_change(desk, ("BUY", "0.50", "1"), timestamp=stamp - 5)
        desk.venue.change(YES, "BUY", "0.51", "33", timestamp=stamp + 5)

        view = await seeded(desk)

        assert view.book.best_bid == 510_000
        assert view.book.bids[1].size == 100_000_000
        assert view.book.venue_ts_ms == stamp + 5

    tell_both(story)


def test_a_snapshot_older_than_the_sockets_state_is_ignored() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        old = desk.venue.books[YES].as_json(YES)
        await wait_ms(10)
        desk.venue.change(YES, "BUY", "0.51", "5")
        await wait_ms(10)
        desk.venue.rewrite = lambda _: httpx.Response(200, json=old)

        await desk.store.refresh(YES)

        assert best_of(desk) == (510_000, 520_000)
        assert desk.store.counters.mismatches == 0

    tell_both(story)


def test_a_lost_message_is_healed_by_the_resync() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await seeded(desk, NO)
        connection = desk.venue.connections[0]
        connection.tokens.remove(YES)
        desk.venue.change(YES, "BUY", "0.51", "5")
        connection.tokens.append(YES)
        for number in range(100):
            desk.venue.change(NO, "BUY", "0.48", str(number + 1))
            await wait_ms(1_000)

        assert best_of(desk) == (510_000, 520_000)
        assert desk.store.counters.resyncs == 1
        assert desk.venue.opened == 1

    tell_both(story)


def test_carried_prices_that_are_not_ours_make_the_book_stale_at_once_and_cost_it() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        connection = desk.venue.connections[0]
        connection.tokens.clear()
        desk.venue.change(YES, "SELL", "0.52", "0")
        connection.tokens.append(YES)
        desk.venue.answers_rest = False
        desk.venue.change(YES, "BUY", "0.49", "3")
        await wait_ms(10)
        doubted = desk.store.view(YES)
        assert doubted is not None
        assert doubted.tier is QuoteTier.SOFT_STALE

        desk.venue.answers_rest = True
        await wait_ms(3_000)

        assert best_of(desk) == (500_000, 530_000)

    tell_both(story)


def test_carried_prices_that_are_never_right_do_not_cause_a_storm() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        asked = len(desk.venue.rest_requests)
        for number in range(300):
            book = desk.venue.books[YES]
            book.timestamp += 100
            book.bids["0.50"] = str(number + 1)
            price_change(desk, ("BUY", "0.50", str(number + 1)), timestamp=book.timestamp, best=("0.30", "0.31"))
            await wait_ms(100)

        assert len(desk.venue.rest_requests) - asked <= 30

    tell_both(story)


@pytest.mark.parametrize(
    "frame",
    [
        b'[{"event_type":"price_change","timestamp":"17900000',
        b"<html>bad gateway</html>",
        json.dumps({"event_type": "book", "asset_id": YES, "timestamp": 5}).encode(),
        json.dumps(
            {
                "event_type": "price_change",
                "timestamp": "x",
                "price_changes": [{"asset_id": YES, "price": "0.5", "size": "1", "side": "BUY"}],
            }
        ).encode(),
        json.dumps(
            {
                "event_type": "price_change",
                "timestamp": "1790000009000",
                "price_changes": [{"asset_id": YES, "price": "NaN", "size": "1", "side": "BUY"}],
            }
        ).encode(),
        json.dumps(
            {
                "event_type": "price_change",
                "timestamp": "1790000009000",
                "price_changes": [{"asset_id": YES, "price": "0.5", "size": "-1", "side": "BUY"}],
            }
        ).encode(),
        json.dumps(
            {
                "event_type": "price_change",
                "timestamp": "1790000009000",
                "price_changes": [{"asset_id": YES, "price": "0.5", "size": "1", "side": "HOLD"}],
            }
        ).encode(),
        json.dumps(
            {
                "event_type": "book",
                "asset_id": YES,
                "timestamp": "1790000009000",
                "bids": [{"price": "1.5", "size": "1"}],
            }
        ).encode(),
    ],
)
@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_an_unreadable_message_costs_the_book_until_it_is_got_anew(source: BookSource, frame: bytes) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.change(YES, "BUY", "0.51", "5")
        await wait_ms(10)

        desk.venue.connections[0].push_raw(frame)
        await wait_ms(1)
        assert best_of(desk) is None
        await wait_ms(3_000)

        assert best_of(desk) == (510_000, 520_000)
        assert desk.store.counters.malformed == 1
        assert "QUARANTINED" in desk.codes()

    tell(source, story)


def test_a_snapshot_asked_for_before_changes_were_lost_is_not_believed() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.rest_delay_ms = 500
        desk.venue.dumps = False
        desk.store.track(YES)
        while not desk.venue.rest_requests:
            await wait_ms(1)
        connection = desk.venue.connections[0]
        desk.venue.feeds = False
        desk.venue.change(YES, "BUY", "0.51", "5")
        desk.venue.feeds = True
        connection.push_raw(b'{"event_type":"price_chan')

        seen = set()
        for _ in range(300):
            await wait_ms(10)
            seen.add(best_of(desk))

        assert seen == {None, (510_000, 520_000)}

    tell_both(story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_unknown_kinds_empty_frames_and_pongs_are_harmless_and_prove_nothing(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.answers_rest = False
        await wait_ms(6_000)
        for frame in (b"", b"PONG", b"[]", b'{"event_type":"weather","asset_id":"%s"}' % YES.encode(), b"null"):
            desk.venue.connections[0].push_raw(frame)
        await wait_ms(1)

        view = desk.store.view(YES)
        assert view is not None
        assert view.tier is QuoteTier.HARD_STALE
        assert desk.store.counters.unknown_messages == 2
        assert desk.store.counters.malformed == 0

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_duplicates_change_nothing(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.change(YES, "BUY", "0.51", "5")
        desk.venue.tell(YES, desk.venue.change_message(YES, "BUY", "0.51", "5"))
        await wait_ms(200)

        assert best_of(desk) == (510_000, 520_000)
        assert desk.store.counters.books_lost == 0

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_messages_out_of_order_cost_the_book_until_it_is_got_anew(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await wait_ms(10)
        desk.venue.change(YES, "BUY", "0.51", "5")
        stamp = desk.venue.books[YES].timestamp
        price_change(desk, ("BUY", "0.51", "9"), timestamp=stamp - 1)
        await wait_ms(3_000)

        view = desk.store.view(YES)
        assert view is not None
        assert view.book.bids[0].size == 5_000_000
        assert desk.store.counters.late_messages == 1

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_half_a_sweep_is_never_seen(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        before = await seeded(desk)
        stamp = desk.venue.books[YES].timestamp + 100
        price_change(desk, ("BUY", "0.53", "10"), timestamp=stamp)
        await wait_ms(10)
        price_change(desk, ("SELL", "0.52", "0"), timestamp=stamp)
        await wait_ms(10)
        half_way = desk.store.view(YES)
        price_change(desk, ("SELL", "0.53", "0"), timestamp=stamp)
        await wait_ms(10)

        assert half_way is not None
        assert half_way.book == before.book
        states = desk.store.states_after(YES, before.book.revision)
        assert [(state.best_bid, state.best_ask) for state in states] == [(530_000, None)]

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_book_that_stays_crossed_is_shown_crossed(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        price_change(desk, ("BUY", "0.53", "10"), timestamp=desk.venue.books[YES].timestamp + 100)
        await wait_ms(60)

        view = desk.store.view(YES)
        assert view is not None
        assert view.book.is_crossed

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_one_message_with_both_outcomes_changes_both_books(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await seeded(desk, NO)
        stamp = desk.venue.books[YES].timestamp + 100
        changes = [
            {"asset_id": YES, "side": "BUY", "price": "0.51", "size": "7"},
            {"asset_id": NO, "side": "SELL", "price": "0.49", "size": "7"},
            {"asset_id": YES, "side": "SELL", "price": "0.52", "size": "8"},
            {"asset_id": token(99), "side": "SELL", "price": "0.52", "size": "8"},
        ]
        message = {"event_type": "price_change", "timestamp": str(stamp), "price_changes": changes}
        revision = desk.store.view(YES).book.revision
        desk.venue.tell(YES, message)
        await wait_ms(10)

        assert best_of(desk) == (510_000, 520_000)
        assert best_of(desk, NO) == (480_000, 490_000)
        assert len(desk.store.states_after(YES, revision)) == 1

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_announcements_reach_the_registry_and_a_resolved_book_is_dropped(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        tick = {"event_type": "tick_size_change", "market": MARKET, "asset_id": YES, "new_tick_size": "0.0025"}
        desk.venue.tell(YES, tick)
        over = {"event_type": "market_resolved", "market": MARKET, "assets_ids": [YES, NO], "winning_asset_id": YES}
        desk.venue.tell(YES, over)
        await wait_ms(100)

        assert desk.events == [
            TickSizeChanged(condition_id=MARKET, token_id=YES, tick_size=2_500),
            MarketResolved(condition_id=MARKET, token_ids=(YES, NO), winning_token_id=YES),
        ]
        assert desk.store.view(YES) is None
        assert desk.store.tracked == ()

    tell(source, story)


def test_a_quiet_book_that_rest_keeps_showing_differently_is_got_anew() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        await wait_ms(3_000)
        desk.venue.books[YES].bids["0.505"] = "1"
        await wait_ms(8_000)

        assert best_of(desk) == (505_000, 520_000)
        assert "BOOK_MISMATCH" in desk.codes()

    tell_both(story)
