"""What the ledger in memory lets tests read, beyond the port."""

from __future__ import annotations

from copytrade.adapters.memory import Event, MemoryLedger
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import ChainConfirmed, FillsRemoved, FillsSeen, LogRef
from tests.makers import NOW_MS, a_fill, a_leader, a_place, a_sighting


async def test_every_payload_is_kept_with_its_fill() -> None:
    ledger = MemoryLedger()
    await ledger.add_leader(a_leader())
    log, row = a_sighting(), a_sighting(a_fill(source=Source.DATA_API, place=None))

    for sighting in (log, row, log):
        await ledger.ingest(FillsSeen(source=sighting.fill.source, sightings=(sighting,)), now_ms=NOW_MS)

    (stored,) = ledger.stored.values()
    reports = {(Source.POLYGON, log.source_key), (Source.DATA_API, row.source_key)}
    assert stored.reports == set(ledger.payloads) == reports


async def test_marks_on_a_fill_can_be_read() -> None:
    ledger = MemoryLedger()
    await ledger.add_leader(a_leader())
    await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=(a_sighting(),)), now_ms=NOW_MS)
    await ledger.confirm(ChainConfirmed(block_number=100, at_ms=NOW_MS + 1))
    ref = LogRef(block_hash=a_place().block_hash, tx_hash=a_fill().tx_hash, log_index=a_place().log_index)
    await ledger.orphan(FillsRemoved(logs=(ref,)), now_ms=NOW_MS + 2)

    (stored,) = ledger.stored.values()
    assert (stored.confirmed_at_ms, stored.orphaned_at_ms) == (None, NOW_MS + 2)


async def test_notes_are_kept_in_order() -> None:
    ledger = MemoryLedger()

    await ledger.note("STARTED", {"leaders": 1}, at_ms=NOW_MS)
    await ledger.note("REORG", {}, at_ms=NOW_MS + 1)

    assert ledger.events == [
        Event(code="STARTED", detail={"leaders": 1}, at_ms=NOW_MS),
        Event(code="REORG", detail={}, at_ms=NOW_MS + 1),
    ]
