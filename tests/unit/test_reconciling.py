"""The comparison on a schedule: when it is due, what it looks at, what is kept and noted of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.happenings import ROWS_COUNTED
from copytrade.domain.leaders import Leader
from copytrade.domain.reconciliation import Discrepancy, Kind, Reconciliation, Severity
from copytrade.engine.notes import Notes
from copytrade.engine.reconciling import DIFFERENCES, FAILED, FIRST_AFTER_MS, OVERLAP_MS, Reconciling
from copytrade.engine.verify import DAY_MS
from copytrade.ports.leader_fills import LeaderRoll
from copytrade.ports.witnesses import WitnessUnavailableError
from tests.makers import LEADER, NOW_MS, a_leader
from tests.virtual_time import VirtualClock, run_virtual

HOUR_MS = 3_600_000


class Silent:
    def tell(self, happening: object) -> None:
        pass


class Roll(LeaderRoll):
    def leaders(self) -> Mapping[str, Leader]:
        return {LEADER: a_leader()}

    async def changed(self) -> None:
        await asyncio.Event().wait()


class Comparisons:
    """Answers what it is told to, and remembers when it was asked for which time."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.found: tuple[Discrepancy, ...] = ()
        self.is_down = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        yield self

    async def run(self, leaders: list[Leader], *, from_ms: int) -> Reconciliation:
        now_ms = VirtualClock().now_ms()
        self.asked.append((now_ms - NOW_MS, now_ms - from_ms))
        assert [one.address for one in leaders] == [LEADER]
        if self.is_down:
            raise WitnessUnavailableError("polygon: down")
        return Reconciliation(from_ms=from_ms, to_ms=now_ms - 5_000, leaders=(), discrepancies=self.found)


class World:
    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.comparisons = Comparisons()

    async def live(self, *, hours: float) -> None:
        clock = VirtualClock()
        notes = Notes(ledger=self.ledger, notifier=Silent(), clock=clock)
        reconciling = Reconciling(
            open_reconcile=self.comparisons.open,
            ledger=self.ledger,
            roll=Roll(),
            notes=notes,
            clock=clock,
            interval_ms=HOUR_MS,
        )
        loops = [asyncio.create_task(reconciling.run()), asyncio.create_task(notes.run())]
        await asyncio.sleep(hours * 3_600)
        for loop in loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop

    def codes(self) -> list[str]:
        return [event.code for event in self.ledger.events]


def played(story: Callable[[World], Awaitable[None]]) -> None:
    run_virtual(lambda: story(World()), epoch_ms=NOW_MS)


def difference(severity: Severity) -> Discrepancy:
    return Discrepancy(kind=Kind.MISSING_FILL, leader=LEADER, tx_hash="0x1", where_missing="ledger", severity=severity)


def test_it_is_due_after_a_start_and_then_every_interval():
    async def story(world: World) -> None:
        await world.live(hours=2.5)

        assert [at for at, _ in world.comparisons.asked] == [
            FIRST_AFTER_MS,
            FIRST_AFTER_MS + HOUR_MS,
            FIRST_AFTER_MS + 2 * HOUR_MS,
        ]
        assert [looked_back for _, looked_back in world.comparisons.asked] == [
            DAY_MS,
            HOUR_MS + 5_000 + OVERLAP_MS,
            HOUR_MS + 5_000 + OVERLAP_MS,
        ]
        assert world.codes() == [ROWS_COUNTED] * 3
        assert len(await world.ledger.summaries(limit=9)) == 3

    played(story)


def test_a_start_again_does_not_compare_anew_what_was_compared_lately():
    async def story(world: World) -> None:
        await world.live(hours=0.5)
        await world.live(hours=0.5)
        assert len(world.comparisons.asked) == 1

        await world.live(hours=0.2)
        assert [at for at, _ in world.comparisons.asked] == [FIRST_AFTER_MS, FIRST_AFTER_MS + HOUR_MS]

    played(story)


def test_differences_are_kept_and_noted_and_what_is_pending_only_kept():
    async def story(world: World) -> None:
        world.comparisons.found = (difference(Severity.ERROR), difference(Severity.PENDING))
        await world.live(hours=0.5)

        (summary,) = await world.ledger.summaries(limit=9)
        assert (summary.errors, summary.pending) == (1, 1)
        assert [one["severity"] for one in summary.differences] == ["error", "pending"]
        (noted, _) = world.ledger.events
        assert noted.code == DIFFERENCES
        assert noted.detail["count"] == 1

        world.comparisons.found = (difference(Severity.PENDING),)
        await world.live(hours=1)
        assert world.codes() == [DIFFERENCES, ROWS_COUNTED, ROWS_COUNTED]

    played(story)


def test_a_comparison_that_fails_is_noted_and_made_again():
    async def story(world: World) -> None:
        world.comparisons.is_down = True
        await world.live(hours=0.5)
        assert world.codes() == [FAILED]
        assert await world.ledger.summaries(limit=9) == ()

        world.comparisons.is_down = False
        await world.live(hours=0.5)
        assert world.codes() == [FAILED, ROWS_COUNTED]

    played(story)
