"""A book that something spoke against, on virtual time: it is not traded on before it is known again."""

from __future__ import annotations

import pytest

from copytrade.adapters.clob.bookstore import BookSource
from copytrade.domain.book import QuoteTier
from tests.contract.test_book_store import WITH_SOCKETS, seeded, tell, wait_ms
from tests.contract.test_book_store_faults import price_change, tell_both
from tests.unit.clob.fake_venue import YES, Desk


def test_a_book_that_was_spoken_against_is_not_fresh_until_it_is_known_again() -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        desk.venue.answers_rest = False
        price_change(desk, ("BUY", "0.49", "3"), timestamp=desk.venue.books[YES].timestamp + 1, best=("0.51", "0.52"))

        tiers = set()
        for _ in range(200):
            await wait_ms(10)
            view = desk.store.view(YES)
            tiers.add(view and view.tier)

        assert QuoteTier.FRESH not in tiers
        assert desk.store.counters.mismatches == 1

    tell_both(story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_level_that_one_instant_left_in_two_ways_is_not_traded_on_until_a_snapshot(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        stamp = desk.venue.books[YES].timestamp + 1
        # The venue took the bid away after it had come; the two messages changed places on the way.
        price_change(desk, ("BUY", "0.49", "0"), timestamp=stamp)
        price_change(desk, ("BUY", "0.49", "3"), timestamp=stamp)
        await wait_ms(10)
        view = desk.store.view(YES)
        assert view is not None
        assert view.tier is QuoteTier.SOFT_STALE

        price_change(desk, ("BUY", "0.48", "7"), timestamp=stamp + 1)
        await wait_ms(10)
        later = desk.store.view(YES)
        assert later is not None
        assert later.tier is QuoteTier.FRESH

    tell(source, story)


@pytest.mark.parametrize("source", WITH_SOCKETS)
def test_a_level_that_one_instant_told_twice_alike_is_as_good_as_any(source: BookSource) -> None:
    async def story(desk: Desk) -> None:
        await seeded(desk)
        stamp = desk.venue.books[YES].timestamp + 1
        for change in (("BUY", "0.49", "3"), ("BUY", "0.48", "0"), ("BUY", "0.49", "3")):
            price_change(desk, change, timestamp=stamp)
        await wait_ms(10)

        view = desk.store.view(YES)
        assert view is not None
        assert view.tier is QuoteTier.FRESH

    tell(source, story)
