"""The venue's hash as a sampled proof that nothing was missed: tolerant, and final only when it fails again."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.clob.bookstore import BookSource
from copytrade.adapters.clob.hashes import Terms, hashes
from copytrade.domain.book import QuoteTier
from tests.contract.test_book_store import Story, seeded, tell, wait_ms
from tests.unit.clob.fake_venue import MARKET, YES, Desk

NEW_TICK = {"old_tick_size": "0.01", "new_tick_size": "0.001"}
TERMS = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False, "last_trade_price": "0.510"}


def tell_both(story: Story) -> None:
    tell(BookSource.WS_AND_SNAPSHOT, story)


def add_terms(desk: Desk, **terms: Any) -> None:
    """Have the venue say over REST what goes into its hash."""
    book = desk.venue.books[YES]
    plain = book.as_json
    vars(book)["as_json"] = lambda token_id: plain(token_id) | TERMS | terms


def change(desk: Desk, size: str, *, told: str | None = None, last_trade_price: str = "0.510") -> None:
    """Change the best bid to `size` and tell it with the right hash; `told` is another size that is told instead."""
    book = desk.venue.books[YES]
    book.bids["0.5"] = size
    book.timestamp += 1
    message = desk.venue.change_message(YES, "BUY", "0.5", told or size)
    summary = {
        "market": MARKET,
        "asset_id": YES,
        "timestamp": message["timestamp"],
        "hash": "",
        "bids": [{"price": price, "size": book.bids[price]} for price in sorted(book.bids)],
        "asks": [{"price": price, "size": book.asks[price]} for price in sorted(book.asks, reverse=True)],
        **TERMS,
        "last_trade_price": last_trade_price,
    }
    digest = hashlib.sha1(json.dumps(summary, separators=(",", ":")).encode()).hexdigest()
    message["price_changes"][0]["hash"] = digest
    desk.venue.tell(YES, message)


async def changes(desk: Desk, *sizes: str, **options: Any) -> None:
    for size in sizes:
        change(desk, size, **options)
        await wait_ms(1_200)


def list_plainly(desk: Desk) -> None:
    desk.venue.list(YES, {"0.49": "200"}, {"0.53": "90", "0.52": "80"})


def verdicts(desk: Desk) -> tuple[int, int, int]:
    counters = desk.store.counters
    return counters.hash_ok, counters.hash_unknown, counters.hash_failed


def test_every_change_after_which_a_book_rests_is_hashed_once() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        for number in range(50):
            change(desk, str(100 + number))
            await wait_ms(200)
            desk.store.view(YES)

        assert verdicts(desk) == (50, 0, 0)

    tell_both(story)


def test_a_book_that_never_rests_is_hashed_every_few_seconds() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        for number in range(600):
            change(desk, str(100 + number))
            await wait_ms(20)

        ok, unknown, failed = verdicts(desk)
        assert 2 <= ok <= 3
        assert (unknown, failed) == (0, 0)

    tell_both(story)


def test_who_looks_after_a_change_was_lost_is_told_by_the_hash_of_the_next_and_a_refresh_heals() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        await changes(desk, "101")
        fresh = desk.store.view(YES)
        desk.venue.feeds = False
        desk.venue.books[YES].bids["0.49"] = "201"
        desk.venue.feeds = True
        change(desk, "102")
        await wait_ms(1)
        doubted = desk.store.view(YES)
        healed = await desk.store.refresh(YES)

        assert fresh is not None
        assert doubted is not None
        assert healed is not None
        assert (fresh.tier, doubted.tier, healed.tier) == (QuoteTier.FRESH, QuoteTier.SOFT_STALE, QuoteTier.FRESH)
        assert [level.size for level in healed.book.bids if level.price == 490_000] == [201_000_000]

    tell_both(story)


def test_a_recipe_that_fails_for_a_book_that_is_right_says_nothing_any_more() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        await changes(desk, "101")
        add_terms(desk, tick_size="0.001")
        desk.venue.tell(YES, {"event_type": "tick_size_change", "market": MARKET, "asset_id": YES} | NEW_TICK)
        await changes(desk, *map(str, range(200, 220)))
        view = desk.store.view(YES)

        assert view is not None
        assert view.tier is QuoteTier.FRESH
        assert desk.store.counters.books_lost == 0
        assert desk.store.counters.hash_failed <= 1

    tell_both(story)


@pytest.mark.parametrize("missing", ["min_order_size", "tick_size", "neg_risk", "last_trade_price"])
def test_a_hash_of_what_the_feed_omits_is_unknown_and_costs_nothing(missing: str) -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk, **{missing: None})
        await seeded(desk)
        await wait_ms(100)
        await changes(desk, "101", "102", "103", "104")

        assert verdicts(desk) == (0, 4, 0)
        assert desk.store.counters.books_lost == 0

    tell_both(story)


def test_a_hash_by_another_recipe_says_nothing() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk, neg_risk=True)
        await seeded(desk)
        await wait_ms(100)
        await changes(desk, "101", "102", "103")

        assert verdicts(desk) == (0, 3, 0)

    tell_both(story)


def test_a_failed_hash_has_a_snapshot_say_which_is_wrong() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        await changes(desk, "101")
        await changes(desk, "102", told="777")
        view = desk.store.view(YES)

        assert verdicts(desk) == (1, 0, 1)
        assert ("BOOK_MISMATCH", {"token_id": YES, "what": "snapshot"}) in desk.notes
        assert view is not None
        assert [level.size for level in view.book.bids] == [102_000_000, 200_000_000]

    tell_both(story)


def test_without_a_snapshot_one_failure_is_forgiven_and_a_second_costs_the_book() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        await changes(desk, "101")
        desk.venue.answers_rest = False
        await changes(desk, "102", told="777")
        await changes(desk, "103")
        forgiven = verdicts(desk), "BOOK_MISMATCH" in desk.codes()
        desk.venue.books[YES].bids["0.49"] = "201"
        await changes(desk, "104", "105")
        lost = desk.store.view(YES)
        desk.venue.answers_rest = True
        await wait_ms(5_000)

        assert forgiven == ((2, 0, 1), False)
        assert verdicts(desk) == (2, 0, 3)
        assert ("BOOK_MISMATCH", {"token_id": YES, "what": "hash"}) in desk.notes
        assert lost is None
        view = desk.store.view(YES)
        assert view is not None
        assert [level.size for level in view.book.bids] == [105_000_000, 201_000_000]

    tell_both(story)


def test_the_price_of_a_new_trade_is_part_of_the_hash() -> None:
    async def story(desk: Desk) -> None:
        list_plainly(desk)
        add_terms(desk)
        await seeded(desk)
        await wait_ms(100)
        trade = {"event_type": "last_trade_price", "market": MARKET, "asset_id": YES, "price": "0.5", "size": "1"}
        desk.venue.tell(YES, trade)
        await changes(desk, "101", last_trade_price="0.500")

        assert verdicts(desk) == (1, 0, 0)

    tell_both(story)


@pytest.mark.parametrize("price", ["x", "1e999999", "NaN"])
def test_a_trade_price_that_is_none_does_no_harm(price: str) -> None:
    terms = Terms(tick_size="0.01", min_order_size="5", neg_risk=False)
    terms.note_trade("0.5")
    [expected] = hashes({}, terms, market=MARKET, token_id=YES, timestamp="1")

    terms.note_trade(price)

    assert expected in list(hashes({}, terms, market=MARKET, token_id=YES, timestamp="1"))


@given(st.integers(0, 10**16))
def test_a_hash_writes_numbers_as_the_venue_does(micro: int) -> None:
    levels = {500_000: micro}
    terms = Terms(tick_size="0.01", min_order_size="5", neg_risk=False, trade_prices=("0.5",))
    plain = f"{Decimal(micro) / 1_000_000:f}"
    size = plain.rstrip("0").rstrip(".") if "." in plain else plain
    summary = {
        "market": MARKET,
        "asset_id": YES,
        "timestamp": "1",
        "hash": "",
        "bids": [{"price": "0.5", "size": size}],
        "asks": [],
        **TERMS,
        "last_trade_price": "0.500",
    }

    [found] = hashes(levels, terms, market=MARKET, token_id=YES, timestamp="1")

    assert found == hashlib.sha1(json.dumps(summary, separators=(",", ":")).encode()).hexdigest()
