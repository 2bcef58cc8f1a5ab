"""The promises of the Ledger port hold for a batch of a thousand as for one: large ones take a way of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.domain.fills import Sighting, Source
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsSeen
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_log, a_row, see, stored
from tests.ledgers import rows, sql_database
from tests.makers import NOW_MS, a_leader, micro

COUNT = 300
ODD = '{"a": "tab \\t line \\n quote \\" slash \\\\ N \\\\N é"}'


@pytest.fixture(autouse=True)
async def _leader(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())


def logs(first: int, last: int) -> list[Sighting]:
    return [a_log(7, number=100 + n, tx_hash=f"0x{n:064x}", size=f"{n + 1}.000001") for n in range(first, last)]


async def test_a_large_batch_is_stored_with_its_cursor(ledger: Ledger) -> None:
    cursor = Cursor(scope=CursorScope(), last_processed_block=900, proved_block=800)

    ingested = await see(ledger, *logs(0, COUNT), cursor=cursor)

    assert [fill.fill for fill in ingested.new] == [log.fill for log in logs(0, COUNT)]
    assert {fill.id: fill for fill in await stored(ledger)} == {fill.id: fill for fill in ingested.new}
    assert await ledger.cursor(CursorScope()) == cursor


async def test_a_large_batch_that_was_stored_in_part_adds_the_rest(ledger: Ledger) -> None:
    await see(ledger, *logs(0, COUNT))

    again = await see(ledger, *logs(100, 100 + COUNT))

    assert (len(again.new), len(again.joined)) == (100, COUNT - 100)
    assert len(await stored(ledger)) == COUNT + 100


async def test_a_large_batch_may_repeat_itself_and_hold_several_fills_of_a_transaction(ledger: Ledger) -> None:
    twins = [a_second_log(log) for log in logs(0, 60)]

    ingested = await see(ledger, *logs(0, 60), *twins, *logs(0, 60))

    assert len(ingested.new) == len(await stored(ledger)) == 120


async def test_a_large_batch_of_rows_without_a_place_is_completed_by_one_of_logs(ledger: Ledger) -> None:
    api_rows = [a_row(tx_hash=log.fill.tx_hash, size=f"{n + 1}.000001") for n, log in enumerate(logs(0, 80))]
    first = await see(ledger, *api_rows)

    completed = await see(ledger, *logs(0, 80))

    assert (len(first.new), len(completed.new), len(completed.joined)) == (80, 0, 80)
    assert all(fill.fill.place is not None and fill.fill.fee == micro("0") for fill in await stored(ledger))


async def test_what_a_source_sent_is_kept_letter_by_letter(migrated_url: str) -> None:
    async with sql_database(migrated_url) as database:
        ledger = SqlLedger(database)
        await ledger.add_leader(a_leader())
        sent = tuple(replace(log, payload=ODD, source_key=f"{log.source_key}|\\|\t") for log in logs(0, 80))

        await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=sent), now_ms=NOW_MS)

        def kept(connection: Connection) -> set[tuple[object, object]]:
            query = "SELECT CAST(payload AS text) AS payload, source_key FROM leader_fill_raw"
            return {(row["payload"], row["source_key"]) for row in rows(connection, query)}

        assert await database.read(kept) == {(ODD, one.source_key) for one in sent}


def a_second_log(log: Sighting) -> Sighting:
    """Return another fill of the same transaction."""
    place = log.fill.place
    assert place is not None
    other = replace(place, log_index=9, order_hash="0x" + "0e" * 32)
    return Sighting(
        fill=replace(log.fill, place=other), source_key=f"{place.block_hash}|{log.fill.tx_hash}|9", payload="{}"
    )
