"""A source under test: its events collected and its cursors kept, as the ledger would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from copytrade.adapters.polygon.source import PolygonSource
from copytrade.domain.leaders import Leader
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    Cursor,
    CursorReader,
    CursorScope,
    FillsRemoved,
    FillsSeen,
    LeaderRoll,
    LogRef,
    ProvedRange,
    SourceEvent,
    SourceNote,
    StoredLog,
    StoredLogs,
)
from tests.makers import a_leader
from tests.unit.polygon.fake_chain import CHAIN_ID, GENESIS_S, FakeChain
from tests.unit.polygon.raw_logs import BEFORE, LEADER, LIVE
from tests.virtual_time import VirtualClock, run_virtual

GLOBAL = CursorScope()
START_MS = (GENESIS_S + 2 * 20) * 1000


class Roll(LeaderRoll):
    """Leaders that a test may change."""

    def __init__(self, *leaders: Leader) -> None:
        self.current: Mapping[str, Leader] = {leader.address: leader for leader in leaders}
        self._changed = asyncio.Event()

    def leaders(self) -> Mapping[str, Leader]:
        return self.current

    async def changed(self) -> None:
        await self._changed.wait()

    def set(self, *leaders: Leader) -> None:
        self.current = {leader.address: leader for leader in leaders}
        self._changed.set()
        self._changed = asyncio.Event()


class Kept(CursorReader, StoredLogs):
    """What a ledger keeps of the events: cursors, and the fills that stand."""

    def __init__(self) -> None:
        self.cursors: dict[CursorScope, Cursor] = {}
        self.events: list[SourceEvent] = []
        self.standing: dict[LogRef, str] = {}
        self.logs: dict[LogRef, StoredLog] = {}
        self.proved: list[ProvedRange] = []
        self.final = -1

    async def cursor(self, scope: CursorScope) -> Cursor | None:
        return self.cursors.get(scope)

    async def unconfirmed_logs(self) -> tuple[StoredLog, ...]:
        open_logs = [log for log in self.logs.values() if log.block_number > self.final]
        return tuple(log for log in open_logs if log.ref in self.standing)

    def take(self, event: SourceEvent) -> None:
        self.events.append(event)
        if isinstance(event, FillsSeen):
            self.proved += event.proved
            for sighting in event.sightings:
                place = sighting.fill.place
                assert place is not None
                ref = LogRef(block_hash=place.block_hash, tx_hash=sighting.fill.tx_hash, log_index=place.log_index)
                self.standing[ref] = sighting.fill.tx_hash
                self.logs[ref] = StoredLog(ref=ref, block_number=place.block_number, leader=sighting.fill.leader)
            if event.cursor is not None:
                self._move(event.cursor)
        elif isinstance(event, FillsRemoved):
            for ref in event.logs:
                self.standing.pop(ref, None)
            if event.rewind_to is not None and GLOBAL in self.cursors:
                self.cursors[GLOBAL] = Cursor(scope=GLOBAL, last_processed_block=event.rewind_to, proved_block=None)
        elif isinstance(event, ChainConfirmed):
            self.final = max(self.final, event.block_number)

    def _move(self, cursor: Cursor) -> None:
        before = self.cursors.get(cursor.scope)
        assert before is None or cursor.last_processed_block >= before.last_processed_block
        assert cursor.proved_block is None or cursor.proved_block <= cursor.last_processed_block
        self.cursors[cursor.scope] = cursor

    def transactions(self) -> list[str]:
        return sorted(self.standing.values())

    def notes(self, code: str) -> list[SourceNote]:
        return [event for event in self.events if isinstance(event, SourceNote) and event.code == code]

    def at(self) -> int:
        return self.cursors[GLOBAL].last_processed_block


def since_block(number: int, **changes: Any) -> Leader:
    """Return a leader followed since the time of a block."""
    return a_leader(address=LEADER, followed_since_ms=(GENESIS_S + 2 * number) * 1000, **changes)


def source_of(chain: FakeChain, roll: LeaderRoll, kept: Kept, **changes: Any) -> PolygonSource:
    facts: dict[str, Any] = {
        "http_urls": ("https://node.test/key",),
        "ws_urls": ("wss://node.test/key",),
        "exchanges": LIVE,
        "exchanges_v1": BEFORE,
        "chain_id": CHAIN_ID,
        "poll_interval_ms": 1_000,
        "lag_max_ms": 15_000,
        "clock": VirtualClock(),
        "roll": roll,
        "cursors": kept,
        "stored": kept,
        "transport": chain.transport(),
        "connector": chain.connect,
    }
    return PolygonSource(**(facts | changes))


@asynccontextmanager
async def watching(chain: FakeChain, roll: LeaderRoll, kept: Kept, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a source, feeding `kept`, for a while; leaves no task behind."""
    before = asyncio.all_tasks()
    source = source_of(chain, roll, kept, **changes)

    async def feed() -> None:
        async for event in source.events():
            kept.take(event)

    task = asyncio.create_task(feed())
    try:
        yield task
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError), repr(outcome)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtual(test, epoch_ms=START_MS)


def a_chain(blocks: int = 20, **changes: Any) -> FakeChain:
    chain = FakeChain(**changes)
    chain.mine_empty(blocks)
    return chain


def seen(kept: Kept) -> list[FillsSeen]:
    return [event for event in kept.events if isinstance(event, FillsSeen) and event.sightings]
