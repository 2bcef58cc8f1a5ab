"""What leaders do other than trade: read regularly, stored, told; and what a leader held when he sold."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.domain.happenings import Noted
from copytrade.domain.leader_events import (
    NO_SNAPSHOT,
    SNAPSHOT_LAG_MS,
    SNAPSHOT_SPAN_MS,
    TRANSFERS,
    LeaderEventKind,
    LeaderHolding,
    alerts_of,
    holding,
    is_same_transfer,
    snapshots_of,
)
from copytrade.engine.streams import reading
from copytrade.ports.leader_events import ActivityTruncatedError, ActivityUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.leader_events import EventPolicy, LeaderEvent
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Shares
    from copytrade.engine.mirror import Mirror
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_events import LeaderActivity
    from copytrade.ports.leader_fills import Cursor, LeaderRoll
    from copytrade.ports.leader_transfers import LeaderTransfers, SharesMoved
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.notifier import Notifier

OVERLAP_MS: Final = 300_000
"""A row may appear so late without being missed; once in `DEEP_EVERY_MS`, so late as `DEEP_OVERLAP_MS`."""
DEEP_OVERLAP_MS: Final = 3_600_000
DEEP_EVERY_MS: Final = 600_000
READ_AGE_MAX_MS: Final = 300_000
"""Where nothing was read for so long before a sale, nothing is known of what the leader held."""
POLLS_AT_ONCE: Final = 8
OUTAGE_FAILURES: Final = 3
BACKOFF_MAX_MS: Final = 600_000
LISTING_TAKES_MAX_MS: Final = SNAPSHOT_SPAN_MS - 2_000
"""A listing that took longer is of no one time."""

_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Watch:
    """One leader: what is stored of him, how far his events were read, and which tokens want a snapshot."""

    leader: Leader
    events: list[LeaderEvent]
    begins_ms: Millis
    next_since_ms: Millis
    read_to_ms: Millis | None = None
    deep_at_ms: Millis | None = None
    due_ms: Millis = 0
    failures: int = 0
    wanted: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.keys = {event.dedupe_key for event in self.events}

    def add(self, event: LeaderEvent) -> None:
        """Take one that is stored now."""
        self.events.append(event)
        self.keys.add(event.dedupe_key)

    def knows(self, event: LeaderEvent) -> bool:
        """Tell whether it was told before, by the chain or by the API."""
        return event.dedupe_key in self.keys or (
            event.kind in TRANSFERS and any(is_same_transfer(event, known) for known in self.events)
        )

    def base_ms(self) -> Millis | None:
        """Return when he was last listed whole, None if that was before he was followed."""
        whole = [event.event_ts_ms for event in self.events if event.is_listing]
        newest = max(whole, default=None)
        return newest if newest is not None and newest >= self.begins_ms else None


class LeaderEvents:
    """Polls each leader's activity, and lists his wallet when he is first followed or something is unclear."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        roll: LeaderRoll,
        activity: LeaderActivity,
        notifier: Notifier,
        clock: Clock,
        interval_ms: Millis,
        policies: Mapping[LeaderEventKind, EventPolicy],
        mirror: Mirror,
    ) -> None:
        self._ledger = ledger
        self._roll = roll
        self._activity = activity
        self._notifier = notifier
        self._clock = clock
        self._interval_ms = interval_ms
        self._policies = policies
        self._mirror = mirror
        self._known: Mapping[str, Leader] = {}
        self._watches: dict[str, _Watch] = {}
        self._room = asyncio.Semaphore(POLLS_AT_ONCE)
        self._failures = 0

    async def run(self) -> None:
        """Poll whoever is due, until cancelled."""
        while True:
            await self._follow_roll()
            now_ms = self._clock.monotonic_ms()
            async with asyncio.TaskGroup() as polls:
                for watch in sorted(self._watches.values(), key=lambda watch: watch.due_ms):
                    if watch.due_ms <= now_ms:
                        polls.create_task(self._poll(watch), name=f"activity-{watch.leader.address}")
            await self._wait()

    async def follow(self, transfers: LeaderTransfers) -> None:
        """Store what the chain tells of shares that leaders gave or got without a trade, until cancelled."""
        async with reading(transfers.moves()) as moves:
            async for moved in moves:
                await self._take(moved)

    async def _take(self, moved: SharesMoved) -> None:
        leaders = self._roll.leaders()
        timely = [
            event
            for event in moved.events
            if event.leader in leaders and event.event_ts_ms >= leaders[event.leader].created_at_ms
        ]
        await self._store(timely, cursor=moved.cursor)

    async def held_before(self, recorded: RecordedFill, market: Market) -> LeaderHolding:
        """Return what the leader held of a fill's token just before it, as far as is stored now."""
        fill = recorded.fill
        watch = self._watches.get(fill.leader)
        base_ms = None if watch is None else watch.base_ms()
        if watch is None or base_ms is None:
            return NO_SNAPSHOT
        if watch.read_to_ms is None or fill.fill_ts_ms - watch.read_to_ms > READ_AGE_MAX_MS:
            return LeaderHolding(unknown="events not read lately")
        fills = await self._ledger.fills_of(fill.leader, fill.token_id, since_ms=base_ms - SNAPSHOT_LAG_MS)
        found = holding(fill.token_id, market, fills=fills, events=watch.events, before=recorded)
        if not found.is_known:
            watch.wanted.add(fill.token_id)
        return found

    async def _follow_roll(self) -> None:
        leaders = self._roll.leaders()
        if leaders is self._known:
            return
        for address, watch in list(self._watches.items()):
            leader = leaders.get(address)
            # Other rules for copying him change nothing of what is known of him.
            if leader is None or leader.created_at_ms != watch.leader.created_at_ms:
                del self._watches[address]
        for address in [address for address in leaders if address not in self._watches]:
            self._watches[address] = await self._watch(leaders[address])
        self._known = leaders

    async def _watch(self, leader: Leader) -> _Watch:
        """Begin where the last life left off: what was stored was read in one piece, all there was until then."""
        events = list(await self._ledger.leader_events_of(leader.address))
        stored = [event.event_ts_ms for event in events if event.kind is not LeaderEventKind.SNAPSHOT]
        watch = _Watch(leader=leader, events=events, begins_ms=leader.created_at_ms, next_since_ms=0)
        watch.next_since_ms = (watch.base_ms() or leader.created_at_ms) - OVERLAP_MS
        if stored:
            watch.next_since_ms = max(watch.next_since_ms, max(stored) - DEEP_OVERLAP_MS)
        return watch

    async def _wait(self) -> None:
        """Wait until someone is due or the leaders change."""
        now_ms = self._clock.monotonic_ms()
        soonest_ms = min((watch.due_ms for watch in self._watches.values()), default=now_ms + self._interval_ms)
        try:
            async with asyncio.timeout(max(1, soonest_ms - now_ms) / 1000):
                if self._roll.leaders() is self._known:
                    await self._roll.changed()
        except TimeoutError:
            return

    async def _poll(self, watch: _Watch) -> None:
        async with self._room:
            try:
                await self._read(watch)
                await self._list(watch)
            except ActivityUnavailableError as error:
                await self._on_failure(watch, error)
                return
        await self._on_success()
        watch.failures = 0
        watch.due_ms = self._clock.monotonic_ms() + self._pause_ms(watch)

    async def _read(self, watch: _Watch) -> None:
        """Store what happened since the last time, with an overlap."""
        began_ms, monotonic_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        since_ms = watch.next_since_ms
        is_deep = watch.deep_at_ms is None or monotonic_ms - watch.deep_at_ms >= DEEP_EVERY_MS
        if is_deep:
            since_ms = min(since_ms, began_ms - DEEP_OVERLAP_MS)
        # What he did before he was followed is his own affair; the listing that follows holds its result.
        since_ms = max(since_ms, watch.leader.created_at_ms - OVERLAP_MS)
        try:
            events = await self._activity.events(watch.leader.address, since_ms=since_ms)
        except ActivityTruncatedError as error:
            await self._begin_anew(watch, began_ms, error)
            return
        await self._store(event for event in events if event.event_ts_ms >= watch.leader.created_at_ms)
        watch.read_to_ms = began_ms
        watch.next_since_ms = began_ms - OVERLAP_MS
        if is_deep:
            watch.deep_at_ms = monotonic_ms

    async def _begin_anew(self, watch: _Watch, now_ms: Millis, error: ActivityTruncatedError) -> None:
        """Give up what is too much to read: the next whole listing is a new beginning."""
        watch.begins_ms, watch.next_since_ms, watch.read_to_ms = now_ms, now_ms - OVERLAP_MS, None
        await self._note("TRUNCATED", {"leader": watch.leader.address, "error": str(error)})

    async def _store(self, events: Iterable[LeaderEvent], *, cursor: Cursor | None = None) -> None:
        """Keep what is not known yet, with what an operator wants done about it."""
        unknown = [
            replace(event, policy=self._policies.get(event.kind, event.policy))
            for event in events
            if not self._is_known(event)
        ]
        if not unknown and cursor is None:
            return
        # The sales come first: after a crash in between they are only met again.
        await self._mirror.follow(unknown)
        now_ms = self._clock.now_ms()
        new = await self._ledger.keep_leader_events(unknown, now_ms=now_ms, cursor=cursor)
        for event in unknown:
            if (watch := self._watches.get(event.leader)) is not None:
                watch.add(event)
        for code, detail in alerts_of(new):
            self._notifier.tell(Noted(code=code, detail=detail, at_ms=now_ms))

    def _is_known(self, event: LeaderEvent) -> bool:
        watch = self._watches.get(event.leader)
        return watch is not None and watch.knows(event)

    async def _list(self, watch: _Watch) -> None:
        """List the whole wallet once it is followed long enough to see what the list may lack, tokens when wanted."""
        is_whole = watch.base_ms() is None
        began_ms = self._clock.now_ms()
        if (is_whole and began_ms < _first_listing_ms(watch)) or not (is_whole or watch.wanted):
            return
        wanted = set(watch.wanted)
        held = await self._activity.holdings(watch.leader.address)
        if self._clock.now_ms() - began_ms > LISTING_TAKES_MAX_MS:
            raise ActivityUnavailableError(f"a listing took more than {LISTING_TAKES_MAX_MS} ms")
        listed: list[tuple[str, Shares]] = (
            sorted(held.items()) if is_whole else [(token_id, held.get(token_id, 0)) for token_id in sorted(wanted)]
        )
        found = snapshots_of(watch.leader.address, listed, at_ms=began_ms, is_whole=is_whole)
        await self._store(found)
        watch.wanted -= wanted

    def _pause_ms(self, watch: _Watch) -> Millis:
        if watch.base_ms() is not None:
            return self._interval_ms
        return min(self._interval_ms, max(1, _first_listing_ms(watch) - self._clock.now_ms()))

    async def _on_failure(self, watch: _Watch, error: ActivityUnavailableError) -> None:
        watch.failures += 1
        backoff_ms = min(BACKOFF_MAX_MS, self._interval_ms * 2 ** min(watch.failures - 1, 6))
        watch.due_ms = self._clock.monotonic_ms() + backoff_ms
        self._failures += 1
        _log.warning("leader_events.poll_failed", error=str(error), retry_in_ms=backoff_ms)
        if self._failures == OUTAGE_FAILURES:
            await self._note("UNREACHABLE", {"error": str(error)})

    async def _on_success(self) -> None:
        failures, self._failures = self._failures, 0
        if failures >= OUTAGE_FAILURES:
            await self._note("RECONNECTED", {"failures": failures})

    async def _note(self, code: str, detail: Mapping[str, object]) -> None:
        at_ms = self._clock.now_ms()
        named = {"source": "data_api", "route": "activity", **detail}
        await self._ledger.note(code, named, at_ms=at_ms)
        self._notifier.tell(Noted(code=code, detail=named, at_ms=at_ms))


def _first_listing_ms(watch: _Watch) -> Millis:
    """Return when every trade that a listing may lack is one we have seen ourselves."""
    return watch.begins_ms + SNAPSHOT_LAG_MS
