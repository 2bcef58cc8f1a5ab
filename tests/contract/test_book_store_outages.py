"""Books while the venue is away, in part or whole, and when it is back; on virtual time."""

from __future__ import annotations

from copytrade.domain.book import QuoteTier
from tests.contract.test_book_store import seeded, wait_ms
from tests.contract.test_book_store_faults import best_of, tell_both
from tests.unit.clob.fake_venue import YES, Desk


def test_refused_connects_are_tried_again_ever_later_and_succeed() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.refuses_connects = True
        desk.store.track(YES)
        await wait_ms(60_000)
        assert best_of(desk) is None
        desk.venue.refuses_connects = False
        await wait_ms(31_000)

        assert best_of(desk) == (500_000, 520_000)

    tell_both(story)


def test_a_peer_that_does_not_even_pong_is_replaced() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.answers_pings = desk.venue.answers_rest = False
        await wait_ms(45_000)

        assert desk.venue.opened == 2

    tell_both(story)


def test_an_outage_of_rest_is_survived_by_live_books_and_ends() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.answers_rest = False
        for number in range(60):
            desk.venue.change(YES, "BUY", "0.50", str(number + 1))
            await wait_ms(1_000)
            view = desk.store.view(YES)
            assert view is not None
            assert view.tier is QuoteTier.FRESH
        requests = len(desk.venue.rest_requests)
        assert requests < 100

    tell_both(story)


def test_once_rest_answers_again_the_books_are_there_within_seconds_however_long_it_did_not() -> None:
    async def story(desk: Desk) -> None:
        desk.venue.dumps = desk.venue.answers_rest = False
        desk.store.track(YES)
        await wait_ms(100_000)
        assert best_of(desk) is None
        assert len(desk.venue.rest_requests) < 40
        desk.venue.answers_rest = True
        await wait_ms(6_000)

        assert best_of(desk) == (500_000, 520_000)

    tell_both(story)
