"""The registry's rounds: every open market page by page, then what is newest, then what closed and what it paid."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from copytrade.adapters.gamma.lookups import IDS_PER_LOOKUP, PAGE_LIMIT, GarbageError, Lookups, RefusedError
from copytrade.adapters.gamma.patience import PAGE_PAUSE_MS, pause
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.markets import RegistrySync, RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from copytrade.adapters.gamma.backlog import Backlog
    from copytrade.adapters.gamma.decode import Listing
    from copytrade.adapters.gamma.keeper import Keeper
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

CHECKPOINT_PAGES: Final = 10
"""Markets of so many pages are stored in one batch; a worker killed in between reads them again."""
RESUME_WITHIN_MS: Final = 3_600_000
"""An older sync starts anew."""
FAILURES_MAX: Final = 3
"""Times a sync goes on where it failed before it starts at the first page."""
PROGRESS_INTERVAL_MS: Final = 5_000
NEWEST_INTERVAL_MS: Final = 60_000
"""The venue's answers are cached for 300 s; a fill on a newer market fetches it at once."""
NEWEST_PAGES_MAX: Final = 20
GARBAGE_LIMITS: Final = (PAGE_LIMIT, PAGE_LIMIT, 10, 1)
"""Sizes of the page asked for, one after another, while the answer is garbage."""
PAYOUT_WAIT_MS: Final = 30 * 86_400_000
"""How long after its end a closed market without payouts is asked about at each sync."""
SETTLED_PER_SYNC: Final = 500

Answer = TypeVar("Answer")

log = structlog.get_logger()


class _Walk:
    """One way through the pages; it outlives failures, and its cursor outlives the process."""

    def __init__(self, progress: RegistrySync, *, is_resumed: bool) -> None:
        self.progress = progress
        self.is_resumed = is_resumed
        self.is_done = False
        self.pages_skipped = 0
        self.newest_id = 0
        self.seen: set[str] = set()
        self._cursors: set[str] = set()

    @property
    def is_whole(self) -> bool:
        """Whether a market that was not seen is not listed."""
        return self.is_done and not self.is_resumed and not self.pages_skipped

    def has_met(self, cursor: str) -> bool:
        """Whether a cursor leads back."""
        return cursor in self._cursors

    def step(self, seen: Collection[str], *, newest_id: int, cursor: str | None) -> None:
        """Take a page that was read."""
        self.seen.update(seen)
        self.newest_id = max(self.newest_id, newest_id)
        markets = self.progress.markets + len(seen)
        self.is_done = cursor is None or self.has_met(cursor)
        self._cursors.add(cursor or "")
        self.progress = replace(self.progress, cursor=cursor or "", pages=self.progress.pages + 1, markets=markets)


class Sync:
    """Reads what the venue lists, again and again."""

    def __init__(
        self, *, lookups: Lookups, keeper: Keeper, backlog: Backlog, clock: Clock, interval_ms: Millis
    ) -> None:
        self._lookups = lookups
        self._keeper = keeper
        self._backlog = backlog
        self._clock = clock
        self._interval_ms = interval_ms
        self._walk: _Walk | None = None
        self._newest_id = 0
        self._told_at: Millis | None = None
        self.is_synced = False
        """Whether one sync came to the last page."""

    async def run(self) -> None:
        """Sync at once, then each interval, until cancelled; between two syncs look for what is new."""
        failures = 0
        while True:
            started = self._clock.monotonic_ms()
            try:
                walk = await self._sync()
            except (RegistryUnavailableError, LedgerUnavailableError) as error:
                failures += 1
                self._keeper.note("REGISTRY_SYNC_FAILED", {"error": str(error)[:300]})
                if isinstance(error, RefusedError) or failures % FAILURES_MAX == 0:
                    self._walk = self._fresh_walk()
                await pause(self._clock, tries=failures, what="sync", error=error)
                continue
            failures = 0
            if not walk.is_resumed:  # One that was cannot tell what closed: the next follows at once.
                await self._work_off_backlog()
                await self._follow(started + self._interval_ms)

    async def _sync(self) -> _Walk:
        walk = self._walk = self._walk or await self._resumed_walk() or self._fresh_walk()
        while not walk.is_done:
            await self._read_page(walk)
        await self._keeper.save()
        await self._keeper.store.save_registry_sync(None)
        self.is_synced = True
        self._keeper.mix.settle(self._keeper.catalogue)
        self._newest_id = max(self._newest_id, walk.newest_id)
        if walk.is_whole:
            await self._close([market for market in self._keeper.catalogue if market.condition_id not in walk.seen])
            await self._settle()
        self._keeper.forget_settled()
        self._walk = None
        self._tell("registry.synced", walk)
        return walk

    def _fresh_walk(self) -> _Walk:
        self._keeper.rows_rejected = 0
        progress = RegistrySync(cursor="", started_at_ms=self._clock.now_ms(), pages=0, markets=0)
        return _Walk(progress, is_resumed=False)

    async def _resumed_walk(self) -> _Walk | None:
        """Return the way that an earlier process left off, if that was not long ago."""
        left = await self._keeper.store.registry_sync()
        if left is None or not 0 <= self._clock.now_ms() - left.started_at_ms < RESUME_WITHIN_MS:
            return None
        log.info("registry.resumed", pages=left.pages, markets=left.markets)
        return _Walk(left, is_resumed=True)

    async def _read_page(self, walk: _Walk) -> None:
        rows, cursor = await self._page(walk)
        listings = self._keeper.parsed(rows)
        walk.step(self._keeper.take(listings), newest_id=_newest(listings), cursor=cursor)
        if walk.progress.pages % CHECKPOINT_PAGES == 0 and not walk.is_done:
            await self._keeper.save()
            await self._keeper.store.save_registry_sync(walk.progress)
            self._keeper.spare_the_collector()
        now = self._clock.monotonic_ms()
        if self._told_at is None or now - self._told_at >= PROGRESS_INTERVAL_MS:
            self._told_at = now
            self._tell("registry.syncing", walk)
        await self._clock.sleep_ms(PAGE_PAUSE_MS)

    async def _page(self, walk: _Walk) -> tuple[list[bytes], str | None]:
        """Ask for the next page until it comes; one that stays garbage is stepped over if it shows the way on.

        :raises RegistryUnavailableError: the venue refuses this page, or nothing in it can be read.
        """
        tries = garbage = 0
        while True:
            try:
                return await self._lookups.open_markets(walk.progress.cursor or None, limit=GARBAGE_LIMITS[garbage])
            except RefusedError:
                raise
            except RegistryUnavailableError as error:
                tries += 1
                if isinstance(error, GarbageError):
                    garbage += 1
                    self._keeper.note("QUARANTINED", {"what": "REGISTRY_PAGE", "payload": str(error)[:300]})
                    if garbage == len(GARBAGE_LIMITS):
                        return [], self._stepped_over(walk, error)
                await pause(self._clock, tries=tries, what="page", error=error)

    def _stepped_over(self, walk: _Walk, error: GarbageError) -> str:
        cursor = error.next_cursor
        if cursor is None or walk.has_met(cursor):
            raise error
        walk.pages_skipped += 1
        self._keeper.note("REGISTRY_PAGE_SKIPPED", {"page": walk.progress.pages, "error": str(error)[:300]})
        return cursor

    async def _work_off_backlog(self) -> None:
        try:
            await self._backlog.complete()
        except (RegistryUnavailableError, LedgerUnavailableError) as error:
            log.warning("registry.backlog_unavailable", error=str(error)[:300])

    async def _follow(self, until: Millis) -> None:
        """Look for new markets now and then until the next sync is due."""
        while (left := until - self._clock.monotonic_ms()) > 0:
            await self._clock.sleep_ms(min(left, NEWEST_INTERVAL_MS))
            if self._clock.monotonic_ms() >= until:
                return
            try:
                await self._read_newest()
            except (RegistryUnavailableError, LedgerUnavailableError) as error:
                log.warning("registry.newest_unavailable", error=str(error)[:300])

    async def _read_newest(self) -> None:
        """Read from the newest market back to those listed the last time; the next sync heals what is beyond."""
        newest_id, cursor = self._newest_id, None
        for _ in range(NEWEST_PAGES_MAX):
            rows, cursor = await self._lookups.newest_markets(cursor)
            listings = self._keeper.parsed(rows)
            self._keeper.take(listings)
            newest_id = max(newest_id, _newest(listings))
            ids = [listing.gamma_id for listing in listings if listing.gamma_id is not None]
            if cursor is None or not ids or min(ids) <= self._newest_id:
                break
            await self._clock.sleep_ms(PAGE_PAUSE_MS)
        await self._keeper.save()
        self._newest_id = newest_id

    async def _close(self, missing: list[Market]) -> None:
        """Ask about markets that are listed no more, until their payouts are known."""
        gone = [market for market in missing if not market.closed or self._is_awaited(market)]
        asked = {
            "condition_ids": [market.condition_id for market in gone if market.version == "v1"],
            "position_ids": [market.tokens[0].token_id for market in gone if market.version == "v2"],
        }
        for key, ids in asked.items():
            for start in range(0, len(ids), IDS_PER_LOOKUP):
                batch = ids[start : start + IDS_PER_LOOKUP]
                rows = await self._patiently(partial(self._lookups.closed_markets, key, batch))
                self._keeper.take(self._keeper.parsed(rows))
                await self._clock.sleep_ms(PAGE_PAUSE_MS)
        await self._keeper.save()

    async def _settle(self) -> None:
        """Ask what closed markets paid that Gamma cannot tell: 50/50 looks there like a market never traded."""
        waiting = [market for market in self._keeper.catalogue if self._is_awaited(market)]
        for market in random.sample(waiting, min(len(waiting), SETTLED_PER_SYNC)):
            try:
                payouts = await self._lookups.payouts(market)
            except RegistryUnavailableError as error:
                log.warning("registry.payouts_unavailable", condition_id=market.condition_id, error=str(error)[:300])
                break
            if payouts is not None:
                self._keeper.settle(market, payouts)
            await self._clock.sleep_ms(PAGE_PAUSE_MS)
        await self._keeper.save()

    def _is_awaited(self, market: Market) -> bool:
        if not market.closed or market.payouts is not None:
            return False
        return max(market.end_date_ms or 0, market.updated_at_ms) > self._clock.now_ms() - PAYOUT_WAIT_MS

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer: an outage is waited out where it happened.

        :raises RegistryUnavailableError: the venue refuses, or sends garbage again and again.
        """
        for tries in range(1, 1_000):
            try:
                return await ask()
            except RegistryUnavailableError as error:
                is_garbage = isinstance(error, GarbageError) and tries >= FAILURES_MAX
                if isinstance(error, RefusedError) or is_garbage:
                    raise
                await pause(self._clock, tries=tries, what="closed", error=error)
        return await ask()

    def _tell(self, event: str, walk: _Walk) -> None:
        log.info(
            event,
            pages=walk.progress.pages,
            markets=walk.progress.markets,
            known=len(self._keeper.catalogue),
            rejected=self._keeper.rows_rejected,
            pages_skipped=walk.pages_skipped,
        )


def _newest(listings: list[Listing]) -> int:
    return max((listing.gamma_id or 0 for listing in listings), default=0)
