"""Data API v2 as a `LeaderFillSource`: each leader polled in turn, the least recently polled first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import structlog

from copytrade.adapters.data_api.decode import Page, TradeRow, parse_row, payload_of
from copytrade.adapters.data_api.pace import Pace
from copytrade.adapters.data_api.requests import ApiError, ApiNotUnderstood, DataApi
from copytrade.adapters.data_api.sweep import Found, LeaderSweep
from copytrade.adapters.feeds.handover import Handover
from copytrade.adapters.feeds.quarantine import PAYLOAD_CHARS_MAX, Emit, Quarantine
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.domain.fills import Source
from copytrade.domain.happenings import POLLING
from copytrade.domain.leaders import Leader
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import (
    FillsConfirmed,
    FillsSeen,
    LeaderFillSource,
    LeaderRoll,
    SourceEvent,
    SourceNote,
    SourceUnusableError,
)

QUEUE_MAX: Final = 1_000
CONCURRENT_POLLS: Final = 8
SWEEP_PAGES_MAX: Final = 400
"""Pages of one sweep; one that needs more is given up with a note and begins again."""
BACKOFF_MAX_MS: Final = 60_000
OUTAGE_FAILURES: Final = 3

_log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Watch:
    """One leader: his sweep, when he is due, and how his last polls went."""

    leader: Leader
    sweep: LeaderSweep
    due_ms: Millis
    last_polled_ms: Millis = -1
    pages: int = 0
    failures: int = 0
    is_busy: bool = False


class DataApiSource(LeaderFillSource):
    """Fills of leaders as the venue's own API lists them; `url` is the host, without `/v2`."""

    def __init__(
        self,
        *,
        url: str,
        poll_interval_ms: Millis,
        clock: Clock,
        roll: LeaderRoll,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url: Final = url
        self._poll_interval_ms: Final = poll_interval_ms
        self._clock: Final = clock
        self._roll: Final = roll
        self._transport: Final = transport

    def events(self) -> AsyncIterator[SourceEvent]:
        return Handover(QUEUE_MAX).events(self._feed, name="data_api.source")

    async def _feed(self, outbox: Handover) -> None:
        api = DataApi(self._url, clock=self._clock, transport=self._transport)
        poller = _Poller(
            api, emit=outbox.put, roll=self._roll, clock=self._clock, poll_interval_ms=self._poll_interval_ms
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                for at in range(CONCURRENT_POLLS):
                    tasks.create_task(poller.run(), name=f"data_api.poll.{at}")
        finally:
            await api.close()


class _Poller:
    """Who is polled next, and what comes of it; several tasks run it."""

    def __init__(
        self,
        api: DataApi,
        *,
        emit: Emit,
        roll: LeaderRoll,
        clock: Clock,
        poll_interval_ms: Millis,
    ) -> None:
        self._api: Final = api
        self._emit: Final = emit
        self._quarantine: Final = Quarantine(Source.DATA_API, emit, clock)
        self._roll: Final = roll
        self._clock: Final = clock
        self._poll_interval_ms: Final = poll_interval_ms
        self._known: Mapping[str, Leader] = {}
        self._watches: Final[dict[str, _Watch]] = {}
        self._pace: Final = Pace(wanted_ms=poll_interval_ms)
        self._was_understood = False
        self._failures = 0
        self._failing_since_ms: Millis = 0

    async def run(self) -> None:
        """Poll whoever is due, until cancelled."""
        while True:
            watch = self._next_due()
            if watch is None:
                await self._wait()
                continue
            watch.is_busy = True
            try:
                await self._poll(watch)
            finally:
                watch.is_busy = False

    def _next_due(self) -> _Watch | None:
        """Return the least recently polled leader that is due."""
        self._follow_roll()
        now_ms = self._clock.monotonic_ms()
        due = [watch for watch in self._watches.values() if not watch.is_busy and watch.due_ms <= now_ms]
        return min(due, key=lambda watch: watch.last_polled_ms, default=None)

    def _follow_roll(self) -> None:
        leaders = self._roll.leaders()
        if leaders is self._known:
            return
        for address in self._watches.keys() - leaders.keys():
            del self._watches[address]
            self._pace.forget(address)
        for address, leader in leaders.items():
            if address in self._watches:
                continue
            sweep = LeaderSweep(since_s=leader.followed_since_ms // 1000)
            self._watches[address] = _Watch(leader=leader, sweep=sweep, due_ms=self._clock.monotonic_ms())
        self._known = leaders

    async def _wait(self) -> None:
        """Wait until someone is due or the leaders change."""
        now_ms = self._clock.monotonic_ms()
        soonest_ms = min((watch.due_ms for watch in self._watches.values() if not watch.is_busy), default=None)
        wait_ms = self._poll_interval_ms if soonest_ms is None else max(1, soonest_ms - now_ms)
        try:
            async with asyncio.timeout(min(wait_ms, self._poll_interval_ms) / 1000):
                await self._roll.changed()
        except TimeoutError:
            return

    async def _poll(self, watch: _Watch) -> None:
        """Fetch one page for a leader and report what is new."""
        watch.last_polled_ms = self._clock.monotonic_ms()
        sweep = watch.sweep
        if not sweep.is_under_way:
            sweep.begin(now_ms=self._clock.now_ms(), monotonic_ms=watch.last_polled_ms)
            self._pace.begin(watch.leader.address, watch.last_polled_ms)
            watch.pages = 0
        try:
            page = await self._api.trades(watch.leader.address, start_s=sweep.start_s, cursor=sweep.cursor)
        except ApiError as error:
            await self._on_failure(watch, error)
            return
        await self._on_success(watch)
        await self._report(watch, page)
        figures = self._pace.figures(self._clock.monotonic_ms())
        if figures is not None:
            await self._emit(SourceNote(source=Source.DATA_API, code=POLLING, detail=figures))
        # More pages are fetched at once; a finished sweep is due again an interval after it was begun.
        pause_ms = 0 if sweep.is_under_way else self._poll_interval_ms
        watch.due_ms = watch.last_polled_ms + pause_ms

    async def _report(self, watch: _Watch, page: Page) -> None:
        sweep, previous = watch.sweep, watch.sweep.cursor
        rows = await self._rows_of(page, watch.leader.address)
        found = sweep.take(
            rows,
            next_cursor=page.next_cursor,
            now_ms=self._clock.now_ms(),
            monotonic_ms=self._clock.monotonic_ms(),
        )
        watch.pages += 1
        await self._hand_over(found)
        if sweep.is_under_way and (page.next_cursor == previous or watch.pages >= SWEEP_PAGES_MAX):
            sweep.abandon()
            detail = {"leader": watch.leader.address, "pages": watch.pages, "start_s": sweep.start_s}
            await self._emit(SourceNote(source=Source.DATA_API, code="TRUNCATED", detail=detail))

    async def _rows_of(self, page: Page, leader: str) -> list[TradeRow]:
        rows: list[TradeRow] = []
        for raw in page.rows:
            try:
                row = parse_row(raw, leader)
            except MalformedError as error:
                await self._quarantine.put(error.reason, payload_of(raw))
                continue
            if row is not None:
                rows.append(row)
        return rows

    async def _hand_over(self, found: Found) -> None:
        if found.new:
            await self._emit(FillsSeen(source=Source.DATA_API, sightings=found.new))
        if found.confirmed:
            now_ms = self._clock.now_ms()
            await self._emit(FillsConfirmed(source=Source.DATA_API, source_keys=found.confirmed, at_ms=now_ms))

    async def _on_failure(self, watch: _Watch, error: ApiError) -> None:
        """Back off; what is not the API at all ends the start, or is quarantined once it has worked."""
        if isinstance(error, ApiNotUnderstood):
            if not self._was_understood:
                raise SourceUnusableError(str(error))
            await self._quarantine.put(str(error), error.body[:PAYLOAD_CHARS_MAX].decode(errors="replace"))
            watch.sweep.abandon()
        watch.failures += 1
        backoff_ms = min(BACKOFF_MAX_MS, self._poll_interval_ms * 2 ** min(watch.failures - 1, 6))
        watch.due_ms = self._clock.monotonic_ms() + backoff_ms
        if self._failures == 0:
            self._failing_since_ms = self._clock.monotonic_ms()
        self._failures += 1
        _log.warning("data_api.poll_failed", error=str(error), failures=self._failures, retry_in_ms=backoff_ms)
        if self._failures == OUTAGE_FAILURES:
            detail = {"error": str(error)}
            await self._emit(SourceNote(source=Source.DATA_API, code="UNREACHABLE", detail=detail))

    async def _on_success(self, watch: _Watch) -> None:
        self._was_understood = True
        watch.failures = 0
        failures, self._failures = self._failures, 0
        if failures >= OUTAGE_FAILURES:
            seconds = (self._clock.monotonic_ms() - self._failing_since_ms) / 1000
            detail = {"host": self._api.host, "seconds_without_data": seconds}
            await self._emit(SourceNote(source=Source.DATA_API, code="RECONNECTED", detail=detail))
