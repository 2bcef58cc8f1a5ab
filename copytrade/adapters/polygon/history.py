"""What leaders did before we watched them: read back to the moment each was followed, beside the live path.

Each leader has a cursor row of his own that says how far everything of his has been read. It is written
while his history is read and now and then later, so that a restart knows what it may leave out; whoever
joined late, or was away, is read again from his row (or from the time he was followed) up to the cursor.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from copytrade.adapters.feeds.quarantine import Emit
from copytrade.adapters.feeds.retrying import jitter_ms
from copytrade.adapters.polygon.dating import Pruned, first_block_at
from copytrade.adapters.polygon.node import Node
from copytrade.adapters.polygon.progress import Progress
from copytrade.adapters.polygon.reading import LogReader, RangeRead
from copytrade.adapters.polygon.rpc import BadAnswer, RpcError, RpcPruned
from copytrade.domain.fills import Source
from copytrade.domain.leaders import Leader
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import (
    Cursor,
    CursorReader,
    CursorScope,
    FillsSeen,
    LeaderRoll,
    ProofMethod,
    ProvedRange,
    SourceNote,
)

V1_END_S: Final = int(datetime(2026, 4, 29, tzinfo=UTC).timestamp())
"""A day after the last trade on the exchanges of before (2026-04-28 about 11:00)."""
GROUP_MAX: Final = 250
GROUP_SPREAD_BLOCKS: Final = 2_000
CHECKPOINT_BLOCKS: Final = 600
"""A leader's row is at most about so many blocks behind: what a restart reads again."""
YOUNG_BLOCKS: Final = 64
"""So near the last final block a node may not have indexed all logs: blocks are read one by one and confirmed."""
FINALITY_WAIT_MS: Final = 1_000
RETRY_FIRST_MS: Final = 500
RETRY_MAX_MS: Final = 30_000

_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Job:
    """One leader's unread past: blocks `first` (unknown until looked up) to `last`.

    `is_anew` if his row does not count: he is followed from an earlier time than it was written for. `is_proved`
    while everything of his up to here is: a range that is proved after one that is not proves no row.
    """

    leader: Leader
    last: int
    is_anew: bool = False
    first: int | None = None
    attempts: int = 0
    is_proved: bool = True


class History:
    """Who is watched since when, and the reading of what came before."""

    def __init__(
        self,
        node: Node,
        reader: LogReader,
        *,
        emit: Emit,
        roll: LeaderRoll,
        cursors: CursorReader,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._node: Final = node
        self._reader: Final = reader
        self._emit: Final = emit
        self._roll: Final = roll
        self._cursors: Final = cursors
        self._clock: Final = clock
        self._rng: Final = rng
        self._known: Mapping[str, Leader] = {}
        self._jobs: Final[dict[str, _Job]] = {}
        self._covered: Final[dict[str, int]] = {}
        self._proved: Final[set[str]] = set()
        self._bell: Final = asyncio.Event()

    def watched_from(self, cursor: int) -> tuple[str, ...]:
        """Return the leaders to watch in blocks above `cursor`; what newcomers did up to it is scheduled."""
        leaders = self._roll.leaders()
        if leaders is not self._known:
            for address in [address for address in leaders if address not in self._known]:
                self._jobs[address] = _Job(leader=leaders[address], last=cursor)
                self._covered.pop(address, None)
            for address in [address for address in leaders if address in self._known]:
                if leaders[address].followed_since_ms < self._known[address].followed_since_ms:
                    self._jobs[address] = _Job(leader=leaders[address], last=cursor, is_anew=True)
                    self._covered.pop(address, None)
            for address in self._known.keys() - leaders.keys():
                self._jobs.pop(address, None)
                self._covered.pop(address, None)
            self._known = leaders
            self._bell.set()
        return tuple(leaders)

    def checkpoints(self, *, final: int, proved: int | None) -> list[Cursor]:
        """Return leaders' cursors that are due to move up to a final block that has been read, a few at a time."""
        share = -(-len(self._covered) // CHECKPOINT_BLOCKS)
        due = [address for address, covered in self._covered.items() if final - covered >= CHECKPOINT_BLOCKS][:share]
        for address in due:
            self._covered[address] = final
        known = None if proved is None else min(proved, final)
        return [
            Cursor(
                scope=CursorScope(leader_address=address),
                last_processed_block=final,
                proved_block=known if address in self._proved else None,
            )
            for address in due
        ]

    async def run(self) -> None:
        """Read whatever is scheduled, until cancelled."""
        failures = 0
        while True:
            await self._bell.wait()
            self._bell.clear()
            while self._jobs:
                try:
                    await self._work_once()
                    failures = 0
                except RpcError as error:
                    failures += 1
                    await self._tell_failure(error, failures)

    async def _work_once(self) -> None:
        """Take the jobs that start near each other and read them together."""
        group = await self._next_group()
        waiting = [job for job in group if job.first is not None and job.first <= job.last]
        if waiting:
            await self._read(waiting)
        for job in group:
            if self._jobs.get(job.leader.address) is job:
                del self._jobs[job.leader.address]
                self._covered[job.leader.address] = job.last
                (self._proved.add if job.is_proved else self._proved.discard)(job.leader.address)

    async def _next_group(self) -> list[_Job]:
        """Return jobs that start near each other, the least tried first."""
        jobs = sorted(self._jobs.values(), key=lambda job: job.attempts)[:GROUP_MAX]
        firsts: list[tuple[int, _Job]] = []
        failure: RpcError | None = None
        for job in jobs:
            job.attempts += 1
            try:
                firsts.append((await self._first_of(job), job))
            except RpcError as error:
                failure = error
        if failure is not None and not firsts:
            raise failure
        return [job for first, job in firsts if abs(first - firsts[0][0]) <= GROUP_SPREAD_BLOCKS]

    async def _first_of(self, job: _Job) -> int:
        if job.first is None:
            job.first = await self._first_unread(job)
        return job.first

    async def _first_unread(self, job: _Job) -> int:
        row = await self._cursors.cursor(CursorScope(leader_address=job.leader.address))
        if row is not None and not job.is_anew:
            job.is_proved = row.proved_block == row.last_processed_block
            return row.last_processed_block + 1
        try:
            return await first_block_at(self._node, job.leader.followed_since_ms)
        except Pruned as error:
            job.is_proved = False
            await self._note_lost(job.leader, error.oldest)
            return error.oldest

    async def _read(self, group: list[_Job]) -> None:
        at = min(job.first or 0 for job in group)
        last = max(job.last for job in group)
        progress = Progress(self._emit, self._clock, code="HISTORY_PROGRESS", first=at, last=last, leaders=len(group))
        while at <= last:
            final = await self._final_block()
            if at > final:
                await self._clock.sleep_ms(FINALITY_WAIT_MS)
                continue
            old = min(last, final - YOUNG_BLOCKS)
            limit = old if at <= old else min(last, final)
            try:
                read = await self._read_range(at, limit, group, is_young=at > old)
            except RpcPruned:
                at = await self._skip_lost(at, limit, group)
                continue
            at = read.last + 1
            await progress.tell(read.last, fills=len(read.sightings))
        await self._emit(SourceNote(source=Source.POLYGON, code="HISTORY_READ", detail=progress.summary()))

    async def _skip_lost(self, first: int, limit: int, group: list[_Job]) -> int:
        """Return the first block whose logs some node still keeps; those before it are given up."""
        wanted = self._reader.wanted([job.leader.address for job in group], history=True)
        lost, kept = first, limit + 1
        while kept - lost > 1:
            middle = (lost + kept) // 2
            try:
                await self._node.logs_in_range(middle, middle, wanted)
            except RpcPruned:
                lost = middle
            else:
                kept = middle
        for job in group:
            job.first, job.is_proved = max(job.first or 0, kept), False
            await self._note_lost(job.leader, kept)
        return kept

    async def _note_lost(self, leader: Leader, oldest: int) -> None:
        detail = {"leader": leader.address, "from_block": oldest}
        _log.warning("polygon.history_pruned", **detail)
        await self._emit(SourceNote(source=Source.POLYGON, code="HISTORY_PRUNED", detail=detail))

    async def _read_range(self, first: int, limit: int, group: list[_Job], *, is_young: bool) -> RangeRead:
        """Read one range and move each leader's cursor over it."""
        opening = await self._node.old_header(first)
        if opening is None:
            raise BadAnswer("(all nodes)", f"block {first} is not there any more")
        makers = [job.leader.address for job in group]
        wanted = self._reader.wanted(makers, history=opening.timestamp_s < V1_END_S)
        read = await (self._reader.blocks if is_young else self._reader.range)(first, limit, wanted)
        for job in group:
            address = job.leader.address
            unread, job.first = job.first or 0, max(job.first or 0, read.last + 1)
            job.is_proved = job.is_proved and read.agreed
            if self._jobs.get(address) is not job:
                continue
            cursor = self._cursor_of(job, read) if read.last >= unread else None
            own = tuple(sighting for sighting in read.sightings if sighting.fill.leader == address)
            if own or cursor is not None:
                proved = () if cursor is None or not read.agreed else (_proved(cursor, unread),)
                await self._emit(FillsSeen(source=Source.POLYGON, sightings=own, cursor=cursor, proved=proved))
        return read

    @staticmethod
    def _cursor_of(job: _Job, read: RangeRead) -> Cursor:
        done = min(read.last, job.last)
        return Cursor(
            scope=CursorScope(leader_address=job.leader.address),
            last_processed_block=done,
            proved_block=done if job.is_proved else None,
        )

    async def _final_block(self) -> int:
        header = await self._node.header("finalized")
        if header is None:
            raise BadAnswer("(all nodes)", "no finalized block")
        return header.number

    async def _tell_failure(self, error: RpcError, failures: int) -> None:
        delay_ms = jitter_ms(self._rng, failures, first_ms=RETRY_FIRST_MS, most_ms=RETRY_MAX_MS)
        _log.warning("polygon.history_failed", error=str(error), failures=failures, retry_in_ms=delay_ms)
        if failures == 1:
            detail = {"error": str(error), "leaders": len(self._jobs)}
            await self._emit(SourceNote(source=Source.POLYGON, code="HISTORY_FAILED", detail=detail))
        await self._clock.sleep_ms(delay_ms)


def _proved(cursor: Cursor, first: int) -> ProvedRange:
    return ProvedRange(
        scope=cursor.scope,
        from_block=first,
        to_block=cursor.last_processed_block,
        methods=frozenset({ProofMethod.SECOND_PROVIDER}),
        is_single_source=False,
    )
