"""The promises of the Ledger port about what leaders did: one fill each, whatever the sources say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from copytrade.domain.fills import LeaderRole, Source
from copytrade.domain.ids import leader_fill_id
from copytrade.ports.leader_fills import ChainConfirmed, Cursor, CursorScope, FillsConfirmed, FillsRemoved
from copytrade.ports.ledger import Ingested, Ledger
from tests.ledger_facts import (
    BLOCK_B,
    OTHER_ORDER,
    TX,
    a_log,
    a_row,
    an_attempt,
    removed,
    see,
    stored,
)
from tests.makers import EXCHANGE, LEADER, NOW_MS, OTHER, YES, a_leader, micro


@pytest.fixture(autouse=True)
async def _leader(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())


# One source


async def test_a_new_log_is_a_fill_under_the_key_of_its_place(ledger: Ledger) -> None:
    log = a_log(7, fee=micro("0.123456"), size="1000000000.000001")

    ingested = await see(ledger, log)

    (new,) = ingested.new
    assert ingested.joined == ()
    assert new.dedupe_key == f"{EXCHANGE}|100|{TX}|7"
    assert (new.id, new.leader_id, new.fill) == (leader_fill_id(new.dedupe_key), a_leader().id, log.fill)
    assert await ledger.fill(new.id) == new
    assert await stored(ledger) == [new]


async def test_a_redelivered_log_is_one_fill(ledger: Ledger) -> None:
    (new,) = (await see(ledger, a_log(7))).new

    late = a_log(7, detected_at_ms=NOW_MS + 9_000)
    again = await see(ledger, late, late)

    assert again == Ingested(new=(), joined=(new,), retold=frozenset({new.id}))
    assert await stored(ledger) == [new]


async def test_a_log_twice_in_one_batch_is_one_fill(ledger: Ledger) -> None:
    ingested = await see(ledger, a_log(7), a_log(7))

    assert len(ingested.new) == 1
    assert ingested.joined == ()


async def test_two_logs_of_one_order_in_one_transaction_are_two_fills(ledger: Ledger) -> None:
    (first,) = (await see(ledger, a_log(7))).new
    (second,) = (await see(ledger, a_log(9))).new

    assert first.id != second.id
    assert len(await stored(ledger)) == 2


async def test_fills_of_strangers_and_of_disabled_leaders_are_ignored(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(address=OTHER))
    await ledger.remove_leader(OTHER)

    cursor = Cursor(scope=CursorScope(), last_processed_block=100, proved_block=None)
    ingested = await see(ledger, a_log(7, leader=OTHER), a_log(8, leader="0x" + "99" * 20), cursor=cursor)

    assert ingested == Ingested(new=(), joined=(), retold=frozenset())
    assert await stored(ledger) == []
    assert await ledger.cursor(CursorScope()) == cursor


async def test_identical_rows_are_as_many_fills(ledger: Ledger) -> None:
    first = await see(ledger, a_row(0), a_row(1))
    again = await see(ledger, a_row(0), a_row(1), a_row(2))

    assert len(first.new) == 2
    assert (len(again.new), len(again.joined)) == (1, 2)
    assert {fill.dedupe_key for fill in first.new} == {f"data_api|{a_row(n).source_key}" for n in (0, 1)}


# Two sources


async def test_a_log_completes_the_row_that_came_first(ledger: Ledger) -> None:
    row = a_row(price="0.499999")
    (first,) = (await see(ledger, row)).new

    ingested = await see(ledger, a_log(7, fee=micro("0.5")))

    (joined,) = ingested.joined
    assert ingested.new == ()
    assert (joined.id, joined.dedupe_key) == (first.id, f"{EXCHANGE}|100|{TX}|7")
    assert (joined.fill.role, joined.fill.fee, joined.fill.price) == (LeaderRole.TAKER, micro("0.5"), micro("0.5"))
    assert joined.fill.place == a_log(7).fill.place
    assert (joined.fill.source, joined.fill.detected_at_ms) == (Source.DATA_API, NOW_MS + 4_000)
    assert await stored(ledger) == [joined]


async def test_a_row_joins_the_log_that_came_first(ledger: Ledger) -> None:
    (first,) = (await see(ledger, a_log(7))).new

    assert await see(ledger, a_row()) == Ingested(new=(), joined=(first,), retold=frozenset())
    assert await see(ledger, a_row()) == Ingested(new=(), joined=(first,), retold=frozenset({first.id}))
    assert await stored(ledger) == [first]


async def test_two_identical_rows_are_two_identical_fills_of_one_transaction(ledger: Ledger) -> None:
    await see(ledger, a_log(7), a_log(9, order=OTHER_ORDER))

    joined = (await see(ledger, a_row(0), a_row(1))).joined

    assert len({fill.id for fill in joined}) == 2
    assert len(await stored(ledger)) == 2
    assert len((await see(ledger, a_row(2))).new) == 1


async def test_each_api_counts_its_own_rows(ledger: Ledger) -> None:
    await see(ledger, a_row(0))
    await see(ledger, a_row(0, source=Source.RTDS), a_row(1, source=Source.RTDS))
    await see(ledger, a_row(1))
    await see(ledger, a_log(7), a_log(9))

    assert len(await stored(ledger)) == 2


@pytest.mark.parametrize("noise", ["99.999999", "100.000001"])
async def test_a_size_that_was_a_float_still_joins(ledger: Ledger, noise: str) -> None:
    await see(ledger, a_log(7))
    await see(ledger, a_row(size=noise))
    await see(ledger, a_row(size=noise, tx_hash="0x" + "01" * 32))
    await see(ledger, a_log(7, tx_hash="0x" + "01" * 32))

    assert [fill.fill.size for fill in await stored(ledger)] == [micro("100"), micro("100")]


@pytest.mark.parametrize(
    "change", [{"size": "99.999998"}, {"token_id": "222"}, {"side": "SELL"}, {"tx_hash": "0x" + "01" * 32}]
)
async def test_what_differs_in_more_is_another_fill(ledger: Ledger, change: dict[str, Any]) -> None:
    await see(ledger, a_log(7))

    assert len((await see(ledger, a_row(**change))).new) == 1


async def test_an_equal_size_goes_before_a_near_one(ledger: Ledger) -> None:
    near, equal = (await see(ledger, a_log(7, size="100.000001"), a_log(9, size="100"))).new

    assert (await see(ledger, a_row(size="100"))).joined == (equal,)
    assert (await see(ledger, a_row(size="100.000001"))).joined == (near,)


async def test_leaders_in_one_transaction_keep_their_own_fills(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(address=OTHER))
    await see(ledger, a_row(0), a_row(0, leader=OTHER))

    await see(ledger, a_log(9, order=OTHER_ORDER, leader=OTHER), a_log(7))

    assert {(fill.fill.leader, fill.fill.place and fill.fill.place.log_index) for fill in await stored(ledger)} == {
        (LEADER, 7),
        (OTHER, 9),
    }


# What waits for a decision


async def test_only_fills_since_the_leader_was_followed_wait_at_whole_seconds(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(address=OTHER, followed_since_ms=NOW_MS + 999))
    history = a_log(1, leader=OTHER, fill_ts_ms=NOW_MS - 1_000)
    same_second = a_log(2, leader=OTHER, fill_ts_ms=NOW_MS)

    ingested = await see(ledger, history, same_second)

    assert len(ingested.new) == 2
    assert [fill.fill.fill_ts_ms for fill in await stored(ledger)] == [NOW_MS]


async def test_a_fill_that_only_an_api_dated_before_he_was_followed_waits_for_its_decision(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader(address=OTHER, followed_since_ms=NOW_MS))
    await see(ledger, a_row(leader=OTHER, fill_ts_ms=NOW_MS - 1_000))
    assert await stored(ledger) == []

    await see(ledger, a_log(1, leader=OTHER, fill_ts_ms=NOW_MS))

    [waiting] = await stored(ledger)
    assert waiting.fill.fill_ts_ms == NOW_MS
    await ledger.record_attempt(an_attempt(waiting))
    await see(ledger, a_log(1, block=BLOCK_B, number=101, leader=OTHER, fill_ts_ms=NOW_MS + 2_000))
    assert await stored(ledger) == []


async def test_following_again_from_earlier_makes_history_wait(ledger: Ledger) -> None:
    later = a_leader(address=OTHER, followed_since_ms=NOW_MS)
    await ledger.add_leader(later)
    before, after = a_log(1, leader=OTHER, fill_ts_ms=NOW_MS - 2_000), a_log(2, leader=OTHER, fill_ts_ms=NOW_MS)
    _, decided = (await see(ledger, before, after)).new
    await ledger.record_attempt(an_attempt(decided))
    assert await stored(ledger) == []

    await ledger.remove_leader(OTHER)
    await ledger.add_leader(replace(later, followed_since_ms=NOW_MS - 2_000))

    assert [fill.fill.fill_ts_ms for fill in await stored(ledger)] == [NOW_MS - 2_000]


async def test_what_waits_comes_in_the_order_it_happened_up_to_the_limit(ledger: Ledger) -> None:
    await see(ledger, a_row(size="3", fill_ts_ms=NOW_MS))
    await see(ledger, a_log(9, number=101, size="2", fill_ts_ms=NOW_MS, tx_hash="0x01"))
    await see(ledger, a_log(30, number=100, order=OTHER_ORDER, size="1", fill_ts_ms=NOW_MS, tx_hash="0x02"))
    await see(ledger, a_log(8, number=99, size="4", fill_ts_ms=NOW_MS + 1_000, tx_hash="0x03"))

    sizes = [fill.fill.size for fill in await stored(ledger)]

    assert sizes == [micro("1"), micro("2"), micro("3"), micro("4")]
    assert [fill.fill.size for fill in await ledger.undecided(limit=2)] == sizes[:2]


# Confirmation


async def test_finality_confirms_every_fill_up_to_its_block_once(ledger: Ledger) -> None:
    await see(ledger, a_log(1, number=99, tx_hash="0x01"), a_log(2, number=100, tx_hash="0x02"))
    await see(ledger, a_log(3, number=101, tx_hash="0x03"), a_log(4, number=98, tx_hash="0x04"))
    await see(ledger, a_row(tx_hash="0x05"))
    await ledger.orphan(removed(a_log(4, number=98, tx_hash="0x04")), now_ms=NOW_MS)

    assert await ledger.confirm(ChainConfirmed(block_number=100, at_ms=NOW_MS)) == 2
    assert await ledger.confirm(ChainConfirmed(block_number=100, at_ms=NOW_MS)) == 0
    assert await ledger.confirm(ChainConfirmed(block_number=101, at_ms=NOW_MS)) == 1


async def test_a_row_that_is_still_there_confirms_its_fill_once(ledger: Ledger) -> None:
    await see(ledger, a_row(0), a_row(1))
    seen_again = FillsConfirmed(
        source=Source.DATA_API, source_keys=(a_row(0).source_key, a_row(0).source_key, "unknown"), at_ms=NOW_MS
    )

    assert await ledger.confirm(seen_again) == 1
    assert await ledger.confirm(seen_again) == 0
    assert await ledger.confirm(replace(seen_again, source=Source.RTDS, source_keys=(a_row(1).source_key,))) == 0
    assert await ledger.confirm(replace(seen_again, source_keys=())) == 0


# Cursors


async def test_a_cursor_that_never_moved_is_none(ledger: Ledger) -> None:
    assert await ledger.cursor(CursorScope()) is None


async def test_a_cursor_moves_only_forward(ledger: Ledger) -> None:
    for last, proved in ((100, None), (105, 99), (103, 101), (104, None), (105, 98)):
        await see(ledger, cursor=Cursor(scope=CursorScope(), last_processed_block=last, proved_block=proved))

    assert await ledger.cursor(CursorScope()) == Cursor(scope=CursorScope(), last_processed_block=105, proved_block=101)


async def test_scopes_have_cursors_of_their_own(ledger: Ledger) -> None:
    one = Cursor(scope=CursorScope(leader_address=LEADER), last_processed_block=5, proved_block=5)
    everything = Cursor(scope=CursorScope(), last_processed_block=9, proved_block=None)
    await see(ledger, cursor=one)
    await see(ledger, cursor=everything)

    assert await ledger.cursor(one.scope) == one
    assert await ledger.cursor(everything.scope) == everything


@pytest.mark.parametrize(
    ("rewind_to", "expected"), [(None, (100, 90)), (100, (100, 90)), (95, (95, 90)), (80, (80, 80)), (120, (100, 90))]
)
async def test_a_reorg_moves_the_global_cursor_back(
    ledger: Ledger, rewind_to: int | None, expected: tuple[int, int]
) -> None:
    own = Cursor(scope=CursorScope(exchange_address=EXCHANGE), last_processed_block=100, proved_block=90)
    await see(ledger, cursor=own)
    await see(ledger, cursor=Cursor(scope=CursorScope(), last_processed_block=100, proved_block=90))

    await ledger.orphan(FillsRemoved(logs=(), rewind_to=rewind_to), now_ms=NOW_MS)

    cursor = await ledger.cursor(CursorScope())
    assert cursor is not None
    assert (cursor.last_processed_block, cursor.proved_block) == expected
    assert await ledger.cursor(own.scope) == own


async def test_a_rewind_before_anything_was_read_is_nothing(ledger: Ledger) -> None:
    await ledger.orphan(FillsRemoved(logs=(), rewind_to=5), now_ms=NOW_MS)

    assert await ledger.cursor(CursorScope()) is None


async def test_a_token_is_recent_whatever_reported_it(ledger: Ledger) -> None:
    await see(ledger, a_row())

    assert list(await ledger.recent_tokens(since_ms=NOW_MS - 1_000)) == [YES]
