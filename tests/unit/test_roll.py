"""Changes of the leaders are noticed within a second, and nothing is read while there are none."""

from __future__ import annotations

import asyncio

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.leaders import Leader
from copytrade.engine.roll import ROLL_POLL_MS, LedgerRoll
from tests.makers import LEADER, NOW_MS, OTHER, a_leader
from tests.virtual_time import VirtualClock, run_virtual


class CountedLedger(MemoryLedger):
    """Counts how often all leaders are read."""

    reads = 0

    async def leaders(self) -> tuple[Leader, ...]:
        self.reads += 1
        return await super().leaders()


def test_the_table_is_read_only_after_a_change():
    async def story() -> None:
        ledger = CountedLedger()
        await ledger.add_leader(a_leader())
        roll = LedgerRoll(ledger, VirtualClock())
        running = asyncio.create_task(roll.run())
        await asyncio.sleep(60)
        assert (ledger.reads, list(roll.leaders())) == (1, [LEADER])

        await ledger.add_leader(a_leader(address=OTHER))
        async with asyncio.timeout(ROLL_POLL_MS / 1000):
            await roll.changed()
        assert (ledger.reads, sorted(roll.leaders())) == (2, sorted([LEADER, OTHER]))
        running.cancel()

    run_virtual(story, epoch_ms=NOW_MS)


def test_a_change_of_someone_who_is_not_followed_wakes_nobody():
    async def story() -> None:
        ledger = CountedLedger()
        for address in (LEADER, OTHER):
            await ledger.add_leader(a_leader(address=address))
        await ledger.remove_leader(OTHER)
        roll = LedgerRoll(ledger, VirtualClock())
        await roll.refresh()
        before = roll.leaders()
        await ledger.add_leader(a_leader(address=OTHER, label="again"))
        await ledger.remove_leader(OTHER)
        await roll.refresh()
        assert (roll.leaders() is before, ledger.reads) == (True, 2)

    run_virtual(story, epoch_ms=NOW_MS)
