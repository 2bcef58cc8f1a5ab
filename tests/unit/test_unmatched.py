"""Trades the chain never showed are noted once, and only while the chain is read."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.fills import Source
from copytrade.engine.notes import Notes
from copytrade.engine.unmatched import CODE, Unmatched
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsSeen
from tests.ledger_facts import a_row, see
from tests.makers import NOW_MS, a_leader
from tests.virtual_time import VirtualClock, run_virtual


class Silent:
    def tell(self, happening: object) -> None:
        pass


def noted(*, minutes: int, chain_moves: bool, lives: int = 1) -> int:
    """Return how many notes one row that only an API has makes in that time."""
    ledger, clock = MemoryLedger(), VirtualClock()

    async def live(at: int) -> None:
        notes = Notes(ledger=ledger, notifier=Silent(), clock=clock)
        loops = [asyncio.create_task(Unmatched(ledger=ledger, notes=notes, clock=clock).run())]
        loops.append(asyncio.create_task(notes.run()))
        for minute in range(minutes):
            await asyncio.sleep(60)
            if chain_moves:
                block = 1_000 * at + minute
                cursor = Cursor(scope=CursorScope(), last_processed_block=block, proved_block=None)
                await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor), now_ms=NOW_MS)
        for loop in loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop

    async def story() -> None:
        await ledger.add_leader(a_leader())
        await see(ledger, a_row(detected_at_ms=NOW_MS))
        for at in range(1, lives + 1):
            await live(at)

    run_virtual(story, epoch_ms=NOW_MS)
    return sum(event.code == CODE for event in ledger.events)


def test_a_trade_without_a_log_is_noted_after_ten_minutes():
    assert noted(minutes=9, chain_moves=True) == 0
    assert noted(minutes=14, chain_moves=True) == 1


def test_it_is_noted_once_also_over_a_restart():
    assert noted(minutes=30, chain_moves=True, lives=2) == 1


def test_nothing_is_noted_while_the_chain_stands_still():
    assert noted(minutes=30, chain_moves=False) == 0
