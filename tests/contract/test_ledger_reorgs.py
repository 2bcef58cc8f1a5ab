"""The promises of the Ledger port when the chain changes its mind."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from copytrade.domain.attempts import AttemptStatus, Decision, reason
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import ChainConfirmed, FillsConfirmed
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import (
    BLOCK_B,
    OTHER_ORDER,
    TX,
    a_log,
    a_row,
    an_attempt,
    an_execution,
    removed,
    see,
    stored,
)
from tests.makers import EXCHANGE, NOW_MS, a_leader, micro


@pytest.fixture(autouse=True)
async def _leader(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())


async def test_a_transaction_in_another_block_is_the_same_fills(ledger: Ledger) -> None:
    before = (await see(ledger, a_log(7), a_log(9, size="20"), a_log(11, order=OTHER_ORDER))).new
    await ledger.orphan(removed(a_log(7), a_log(9, size="20"), a_log(11, order=OTHER_ORDER)), now_ms=NOW_MS)
    assert await stored(ledger) == []

    moved = {"block": BLOCK_B, "number": 101}
    after = await see(ledger, a_log(17, **moved), a_log(19, size="20", **moved), a_log(21, order=OTHER_ORDER, **moved))

    assert after.new == ()
    assert [fill.id for fill in after.joined] == [fill.id for fill in before]
    assert [fill.dedupe_key for fill in after.joined] == [f"{EXCHANGE}|101|{TX}|{log}" for log in (17, 19, 21)]
    assert [fill.fill.size for fill in after.joined] == [fill.fill.size for fill in before]
    assert await stored(ledger) == list(after.joined)


async def test_a_moved_log_is_the_same_fill_before_its_removal_is_told(ledger: Ledger) -> None:
    (before,) = (await see(ledger, a_log(7))).new

    (after,) = (await see(ledger, a_log(17, block=BLOCK_B, number=101))).joined
    orphaned = await ledger.orphan(removed(a_log(7)), now_ms=NOW_MS)

    assert after.id == before.id
    assert orphaned.fills == ()
    assert await stored(ledger) == [after]


async def test_moved_logs_are_paired_one_by_one_as_they_come(ledger: Ledger) -> None:
    small, large = (await see(ledger, a_log(7, size="10"), a_log(9, size="20"))).new

    (first,) = (await see(ledger, a_log(19, size="20", block=BLOCK_B, number=101))).joined
    (second,) = (await see(ledger, a_log(17, size="10", block=BLOCK_B, number=101))).joined

    assert (first.id, second.id) == (large.id, small.id)


async def test_a_log_not_seen_before_the_reorg_is_new(ledger: Ledger) -> None:
    (small,) = (await see(ledger, a_log(7, size="10"))).new

    ingested = await see(
        ledger, a_log(17, size="10", block=BLOCK_B, number=101), a_log(19, size="20", block=BLOCK_B, number=101)
    )

    assert [fill.id for fill in ingested.joined] == [small.id]
    assert [fill.fill.size for fill in ingested.new] == [micro("20")]


async def test_another_log_of_the_same_block_is_another_fill_even_if_the_first_is_orphaned(ledger: Ledger) -> None:
    await see(ledger, a_log(7))
    await ledger.orphan(removed(a_log(7)), now_ms=NOW_MS)

    assert len((await see(ledger, a_log(9))).new) == 1
    assert len((await see(ledger, a_log(7))).joined) == 1
    assert len(await stored(ledger)) == 2


async def test_amounts_that_changed_with_the_block_are_taken_over(ledger: Ledger) -> None:
    (before,) = (await see(ledger, a_log(7, size="10"))).new

    (after,) = (await see(ledger, a_log(17, size="11", block=BLOCK_B, number=101))).joined

    assert (after.id, after.fill.size) == (before.id, micro("11"))


async def test_amounts_that_an_api_confirmed_are_not_given_up_for_another_logs(ledger: Ledger) -> None:
    (small,) = (await see(ledger, a_log(7, size="10"))).new
    await see(ledger, a_row(size="10"))

    (large,) = (await see(ledger, a_log(19, size="20", block=BLOCK_B, number=101))).new
    (again,) = (await see(ledger, a_log(17, size="10", block=BLOCK_B, number=101))).joined
    await see(ledger, a_row(size="20"))

    assert again.id == small.id
    assert {fill.id for fill in await stored(ledger)} == {small.id, large.id}


async def test_a_log_that_moves_within_its_height_takes_the_key_of_the_one_before(ledger: Ledger) -> None:
    first, second = (await see(ledger, a_log(5, size="10"), a_log(7, order=OTHER_ORDER, size="20"))).new

    (moved,) = (await see(ledger, a_log(7, block=BLOCK_B, size="10"))).joined
    assert (moved.id, moved.dedupe_key) == (first.id, f"{EXCHANGE}|100|{TX}|7")
    after = await see(ledger, a_log(9, block=BLOCK_B, order=OTHER_ORDER, size="20"))

    assert [(fill.id, fill.dedupe_key) for fill in after.joined] == [(second.id, f"{EXCHANGE}|100|{TX}|9")]
    assert len(await stored(ledger)) == 2


async def test_logs_that_change_places_in_one_batch_change_keys(ledger: Ledger) -> None:
    first, second = (await see(ledger, a_log(5, size="10"), a_log(7, order=OTHER_ORDER, size="20"))).new

    await see(ledger, a_log(7, block=BLOCK_B, size="10"), a_log(5, block=BLOCK_B, order=OTHER_ORDER, size="20"))

    keys = {fill.id: fill.dedupe_key for fill in await stored(ledger)}
    assert keys == {first.id: f"{EXCHANGE}|100|{TX}|7", second.id: f"{EXCHANGE}|100|{TX}|5"}


async def test_a_log_where_another_fill_was_first_stored_gets_its_own_id(ledger: Ledger) -> None:
    (first,) = (await see(ledger, a_log(7))).new
    await see(ledger, a_log(9, block=BLOCK_B))

    (new,) = (await see(ledger, a_log(7, block=BLOCK_B, order=OTHER_ORDER))).new

    assert (new.dedupe_key, new.id == first.id) == (first.dedupe_key, False)


async def test_a_block_that_becomes_canonical_again_takes_its_logs_back(ledger: Ledger) -> None:
    (before,) = (await see(ledger, a_log(7))).new
    await see(ledger, a_log(17, block=BLOCK_B, number=101))
    await ledger.orphan(removed(a_log(17, block=BLOCK_B)), now_ms=NOW_MS)

    assert (await see(ledger, a_log(7))).joined == (before,)
    assert await stored(ledger) == [before]


async def test_a_row_joins_an_orphaned_fill_without_reviving_it(ledger: Ledger) -> None:
    (before,) = (await see(ledger, a_log(7))).new
    await ledger.orphan(removed(a_log(7)), now_ms=NOW_MS)

    assert (await see(ledger, a_row())).joined == (before,)
    assert await stored(ledger) == []


async def test_a_reorg_ends_what_was_not_sent_and_names_what_was(ledger: Ledger) -> None:
    logs = [a_log(index, order=f"0x{index:064x}") for index in (1, 2, 3, 4)]
    pending, sent, filled, skipped = [an_attempt(fill) for fill in (await see(ledger, *logs)).new]
    skipped = replace(skipped, decision=Decision.SKIP, status=AttemptStatus.SKIPPED)
    for attempt in (pending, sent, filled, skipped):
        await ledger.record_attempt(attempt)
    for attempt in (sent, filled):
        await ledger.submit_attempt(attempt.id, order_hash="0x", placed_at_ms=NOW_MS)
    await ledger.book_execution(an_execution(filled, shares="100"))

    orphaned = await ledger.orphan(removed(*logs), now_ms=NOW_MS + 5)

    assert len(orphaned.fills) == 4
    assert [(gone.id, gone.status, gone.done_at_ms) for gone in orphaned.cancelled] == [
        (pending.id, AttemptStatus.CANCELED, NOW_MS + 5)
    ]
    assert orphaned.cancelled[0].reasons[-1] == reason("ORPHANED")
    assert {(kept.id, kept.status) for kept in orphaned.already_sent} == {
        (sent.id, AttemptStatus.SUBMITTED),
        (filled.id, AttemptStatus.FILLED),
    }
    assert await ledger.attempt(pending.id) == orphaned.cancelled[0]
    assert await ledger.orphan(removed(*logs), now_ms=NOW_MS + 6) == type(orphaned)(
        fills=(), cancelled=(), already_sent=()
    )


async def test_an_attempt_decided_while_its_fill_was_orphaned_is_not_sent(ledger: Ledger) -> None:
    (fill,) = (await see(ledger, a_log(7))).new
    await ledger.orphan(removed(a_log(7)), now_ms=NOW_MS)
    attempt = an_attempt(fill)
    await ledger.record_attempt(attempt)

    assert not await ledger.submit_attempt(attempt.id, order_hash="0x", placed_at_ms=NOW_MS)
    closed = await ledger.attempt(attempt.id)
    assert closed is not None
    assert (closed.status, closed.reasons[-1]) == (AttemptStatus.CANCELED, reason("ORPHANED"))


async def test_a_re_included_fill_keeps_its_one_attempt(ledger: Ledger) -> None:
    (fill,) = (await see(ledger, a_log(7))).new
    await ledger.record_attempt(an_attempt(fill))
    await ledger.orphan(removed(a_log(7)), now_ms=NOW_MS)

    await see(ledger, a_log(17, block=BLOCK_B, number=101))

    assert await stored(ledger) == []


async def test_a_fill_that_no_log_was_ever_seen_of_can_be_refuted(ledger: Ledger) -> None:
    (row,) = (await see(ledger, a_row())).new
    (log,) = (await see(ledger, a_log(7, tx_hash="0x09"))).new
    confirmed = FillsConfirmed(source=Source.DATA_API, source_keys=(a_row().source_key,), at_ms=NOW_MS)
    assert await ledger.confirm(confirmed) == 1
    await ledger.record_attempt(an_attempt(row))
    await ledger.record_attempt(an_attempt(row, account_id="live"))
    sent = an_attempt(row, account_id="live").id
    await ledger.submit_attempt(sent, order_hash="0x01", placed_at_ms=NOW_MS)

    refuted = await ledger.refute([row.id, log.id, uuid4()], now_ms=NOW_MS + 5)

    assert refuted.fills == (row,)
    assert [(gone.id, gone.status) for gone in refuted.cancelled] == [(an_attempt(row).id, AttemptStatus.CANCELED)]
    assert [kept.id for kept in refuted.already_sent] == [sent]
    assert (await ledger.refute([row.id], now_ms=NOW_MS + 6)).fills == ()
    # What is orphaned is confirmed by nothing but its log.
    assert await ledger.confirm(confirmed) == 0
    joined = await see(ledger, a_log(7))
    assert [found.id for found in joined.joined] == [row.id]
    assert await ledger.confirm(ChainConfirmed(block_number=10_000, at_ms=NOW_MS + 9)) == 2
