"""The promises of the Ledger port about what a source proved and what it must look at again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.sql import proofs
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    Cursor,
    CursorScope,
    FillsRemoved,
    FillsSeen,
    LogRef,
    ProofMethod,
    ProvedRange,
    StoredLog,
)
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import BLOCK_A, BLOCK_B, OTHER_ORDER, TX, a_log, a_row, removed, see
from tests.ledgers import sql_database
from tests.makers import LEADER, NOW_MS, a_leader

BLOOM, SECOND = frozenset({ProofMethod.BLOOM}), frozenset({ProofMethod.SECOND_PROVIDER})
OF_LEADER = CursorScope(leader_address=LEADER)


@pytest.fixture(autouse=True)
async def _leader(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())


def proved(
    first: int,
    last: int,
    *,
    methods: frozenset[ProofMethod] = BLOOM,
    scope: CursorScope | None = None,
    single: bool = False,
) -> ProvedRange:
    return ProvedRange(
        scope=scope or CursorScope(), from_block=first, to_block=last, methods=methods, is_single_source=single
    )


async def store(ledger: Ledger, *ranges: ProvedRange, at: int = 1_000) -> None:
    cursor = Cursor(scope=CursorScope(), last_processed_block=at, proved_block=at)
    seen = FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor, proved=ranges, head_block=at)
    await ledger.ingest(seen, now_ms=NOW_MS)


async def ranges_of(ledger: Ledger) -> tuple[ProvedRange, ...]:
    if isinstance(ledger, MemoryLedger):
        return ledger.proved
    assert isinstance(ledger, SqlLedger)
    return await ledger._database.read(proofs.all_ranges)


async def test_ranges_that_touch_become_one_and_keep_how_each_was_proved(ledger: Ledger) -> None:
    await store(ledger, proved(1, 4), proved(9, 9))
    await store(ledger, proved(5, 5, methods=SECOND))
    assert await ranges_of(ledger) == (proved(1, 5, methods=BLOOM | SECOND), proved(9, 9))

    await store(ledger, proved(6, 8))
    await store(ledger, proved(3, 4))
    assert await ranges_of(ledger) == (proved(1, 9, methods=BLOOM | SECOND),)


async def test_ranges_of_other_scopes_or_of_one_source_stay_apart(ledger: Ledger) -> None:
    await store(ledger, proved(1, 4), proved(5, 6, single=True), proved(5, 8, scope=OF_LEADER))

    assert await ranges_of(ledger) == (
        proved(1, 4),
        proved(5, 6, single=True),
        proved(5, 8, scope=OF_LEADER),
    )


async def test_a_rewind_cuts_what_was_proved_above_it_for_everyone(ledger: Ledger) -> None:
    await store(ledger, proved(1, 4), proved(6, 9), proved(6, 9, scope=OF_LEADER))

    await ledger.orphan(FillsRemoved(logs=(), rewind_to=7), now_ms=NOW_MS)
    assert await ranges_of(ledger) == (proved(1, 4), proved(6, 7), proved(6, 9, scope=OF_LEADER))

    await ledger.orphan(FillsRemoved(logs=(), rewind_to=2), now_ms=NOW_MS)
    assert await ranges_of(ledger) == (proved(1, 2), proved(6, 9, scope=OF_LEADER))


async def test_logs_of_open_fills_are_told_until_they_are_final_or_gone(ledger: Ledger) -> None:
    await see(ledger, a_log(9, block=BLOCK_B, number=101, order=OTHER_ORDER), a_log(7), a_row(size="5"))

    first, second = (
        StoredLog(ref=LogRef(block_hash=block, tx_hash=TX, log_index=at), block_number=number, leader=LEADER)
        for block, number, at in ((BLOCK_A, 100, 7), (BLOCK_B, 101, 9))
    )
    assert await ledger.unconfirmed_logs() == (first, second)

    await ledger.confirm(ChainConfirmed(block_number=100, at_ms=NOW_MS))
    assert await ledger.unconfirmed_logs() == (second,)
    await ledger.orphan(removed(a_log(9, block=BLOCK_B)), now_ms=NOW_MS)
    assert await ledger.unconfirmed_logs() == ()


async def test_rows_the_chain_never_showed_are_found_once(ledger: Ledger) -> None:
    log, row = a_log(7, tx_hash="0x" + "77" * 32), a_row(size="5")
    await see(ledger, log)
    await see(ledger, a_row(size="100", tx_hash="0x" + "77" * 32), row)
    at_ms = row.fill.detected_at_ms

    async def found(first_ms: int, last_ms: int) -> list[int]:
        rows = await ledger.unmatched_rows(detected_from_ms=first_ms, detected_to_ms=last_ms, noted_as="DRIFT")
        return [recorded.fill.size for recorded in rows]

    assert await found(at_ms, at_ms) == [row.fill.size]
    assert await found(at_ms + 1, at_ms + 9) == await found(at_ms - 9, at_ms - 1) == []

    (recorded,) = await ledger.unmatched_rows(detected_from_ms=at_ms, detected_to_ms=at_ms, noted_as="DRIFT")
    await ledger.note("OTHER", {"fill": str(recorded.id)}, at_ms=at_ms + 1)
    assert await found(at_ms, at_ms) == [row.fill.size]
    await ledger.note("DRIFT", {"fill": str(recorded.id)}, at_ms=at_ms + 1)
    assert await found(at_ms, at_ms) == []


async def test_a_leader_followed_from_an_earlier_time_is_read_anew(ledger: Ledger) -> None:
    cursor = Cursor(scope=OF_LEADER, last_processed_block=50, proved_block=None)
    await see(ledger, cursor=cursor)
    since_ms = a_leader().followed_since_ms

    assert not await ledger.add_leader(a_leader(followed_since_ms=since_ms - 1_000))
    assert await ledger.cursor(OF_LEADER) == cursor
    await ledger.remove_leader(LEADER)
    await ledger.add_leader(replace(a_leader(), followed_since_ms=since_ms))
    assert await ledger.cursor(OF_LEADER) == cursor
    await ledger.remove_leader(LEADER)
    await ledger.add_leader(a_leader(followed_since_ms=since_ms - 1_000))
    assert await ledger.cursor(OF_LEADER) is None


async def test_the_newest_block_is_kept_beside_the_cursor(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        for block in (1_000, 1_002):
            await store(SqlLedger(database), at=block)
        heads = await database.read(lambda connection: connection.execute(text("SELECT * FROM chain_head")).all())

    assert [(head.chain, head.block_number) for head in heads] == [("polygon", 1_002)]
