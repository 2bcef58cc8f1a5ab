"""The registry: markets from the database at start, kept in step with Gamma, completed from the CLOB."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, assert_never

import structlog

from copytrade.adapters.gamma.catalogue import Catalogue
from copytrade.adapters.gamma.decode import (
    NoTokensError,
    is_token_id,
    market_of_details,
    padded_condition,
    parse_market,
    with_details,
)
from copytrade.adapters.gamma.lookups import IDS_PER_LOOKUP, GarbageError, Lookups, RefusedError
from copytrade.domain.market_events import MarketListed, MarketResolved, TickSizeChanged
from copytrade.domain.units import MICRO
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.markets import MarketRegistry, RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import httpx

    from copytrade.adapters.gamma.decode import ClobDetails
    from copytrade.domain.market import Market
    from copytrade.domain.market_events import MarketEvent
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

RETRY_MIN_MS: Final = 500
RETRY_MAX_MS: Final = 60_000
GARBAGE_TRIES: Final = 3
PAGE_PAUSE_MS: Final = 50
"""The venue allows 300 market lists in 10 s."""
QUEUE_MAX: Final = 10_000
QUARANTINED_PER_SYNC: Final = 20
"""Rows of one sync whose text is kept in a note; the others are counted."""

PAYOUT_WAIT_MS: Final = 30 * 86_400_000
"""How long after its end a closed market without payouts is asked about at each sync; 50/50 has none here."""

Answer = TypeVar("Answer")

log = structlog.get_logger()


class MarketStore(Protocol):
    """Where markets are kept; the ledger is one."""

    async def markets(self) -> tuple[Market, ...]:
        """Return every stored market."""

    async def save_markets(self, markets: Sequence[Market]) -> None:
        """Insert or update markets; an update never turns known payouts into none."""


class GammaRegistry(MarketRegistry):
    """See the port.

    Gamma lacks the taker delay of crypto markets and is up to five minutes old, so the CLOB is asked too:
    when a token is fetched, and in the background for each token named to `complete_soon`.
    """

    def __init__(
        self,
        *,
        gamma_url: str,
        clob_url: str,
        http: httpx.AsyncClient,
        clock: Clock,
        store: MarketStore,
        sync_interval_ms: Millis,
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        """Prepare; nothing is asked before `run` or `fetch`. `note` gets an operator's notes."""
        self._lookups = Lookups(gamma_url=gamma_url, clob_url=clob_url, http=http)
        self._clock = clock
        self._store = store
        self._sync_interval_ms = sync_interval_ms
        self._note = note
        self._catalogue = Catalogue()
        self._fetching: dict[str, asyncio.Task[Market | None]] = {}
        self._to_complete: dict[str, None] = {}
        self._completed: set[str] = set()
        self._to_save: dict[str, Market] = {}
        self._work = asyncio.Event()
        self._is_loaded = False
        self.is_synced = False
        """Whether one sync went from the first page to the last."""
        self.rows_rejected = 0

    def __len__(self) -> int:
        """Return how many markets are known."""
        return len(self._catalogue)

    def market_of(self, token_id: str) -> Market | None:
        return self._catalogue.of_token(token_id)

    async def fetch(self, token_id: str) -> Market | None:
        task = self._fetching.get(token_id)
        if task is None:
            task = asyncio.create_task(self._fetch_and_save(token_id), name=f"fetch-{token_id[:12]}")
            self._fetching[token_id] = task
            task.add_done_callback(lambda done: self._forget_fetch(token_id, done))
        # One caller's timeout must not cancel what others wait for.
        return await asyncio.shield(task)

    def complete_soon(self, token_id: str) -> None:
        """Have the CLOB's details of a token's market asked for in the background, once per process."""
        if token_id not in self._completed and len(self._to_complete) < QUEUE_MAX:
            self._to_complete[token_id] = None
            self._work.set()

    def apply_event(self, event: MarketEvent) -> None:
        """Take in what the market socket announced; it is stored in the background."""
        match event:
            case TickSizeChanged():
                self._apply_tick(event)
            case MarketResolved():
                self._apply_resolution(event)
            case MarketListed():
                for token_id in event.token_ids[:1]:
                    if self.market_of(token_id) is None:
                        self.complete_soon(token_id)
            case _:
                assert_never(event)

    async def load(self) -> None:
        """Take the stored markets into memory; waits for the store. `run` does it otherwise."""
        tries = 0
        while not self._is_loaded:
            try:
                self._catalogue.load(await self._store.markets())
                self._is_loaded = True
            except LedgerUnavailableError as error:
                tries += 1
                await self._pause(tries, "load", error)
        log.info("registry.loaded", markets=len(self._catalogue))

    async def run(self) -> None:
        await self.load()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._sync_forever(), name="registry-sync")
            loops.create_task(self._work_forever(), name="registry-work")

    async def _sync_forever(self) -> None:
        tries = 0
        while True:
            started = self._clock.monotonic_ms()
            try:
                await self._sync()
                tries = 0
                await self._clock.sleep_ms(started + self._sync_interval_ms - self._clock.monotonic_ms())
            except (RegistryUnavailableError, LedgerUnavailableError) as error:
                # Only what asking for the same page again cannot mend; the next sync starts at the first page.
                tries += 1
                self._note("REGISTRY_SYNC_FAILED", {"error": str(error)[:300]})
                await self._pause(tries, "sync", error)

    async def _sync(self) -> None:
        """Read every page of open markets, then look for those that are open no more."""
        cursor: str | None = None
        cursors: set[str] = set()
        seen: set[str] = set()
        self.rows_rejected = 0
        while True:
            rows, cursor = await self._patiently(partial(self._lookups.open_markets, cursor))
            markets = self._parsed(rows)
            seen.update(market.condition_id for market in markets)
            await self._remember(markets)
            if cursor is None or cursor in cursors:
                break
            cursors.add(cursor)
            await self._clock.sleep_ms(PAGE_PAUSE_MS)
        await self._close(market for market in self._catalogue if market.condition_id not in seen)
        self.is_synced = True
        log.info("registry.synced", open=len(seen), known=len(self._catalogue), rejected=self.rows_rejected)

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask for a page until it comes: an outage is waited out where it happened.

        :raises RegistryUnavailableError: the venue refuses this page, or sends garbage for it again and again.
        """
        tries = garbage = 0
        while True:
            try:
                return await ask()
            except RefusedError:
                raise
            except RegistryUnavailableError as error:
                tries += 1
                if isinstance(error, GarbageError):
                    garbage += 1
                    self._note("QUARANTINED", {"what": "REGISTRY_PAGE", "payload": str(error)[:300]})
                    if garbage >= GARBAGE_TRIES:
                        raise
                await self._pause(tries, "page", error)

    async def _close(self, missing: Iterable[Market]) -> None:
        """Ask about markets that are listed no more, until their payouts are known."""
        oldest_ms = self._clock.now_ms() - PAYOUT_WAIT_MS
        gone = [
            market
            for market in missing
            if not market.closed or (market.payouts is None and (market.end_date_ms or 0) > oldest_ms)
        ]
        asked = {
            "condition_ids": [market.condition_id for market in gone if market.version == "v1"],
            "position_ids": [market.tokens[0].token_id for market in gone if market.version == "v2"],
        }
        for key, ids in asked.items():
            for start in range(0, len(ids), IDS_PER_LOOKUP):
                batch = ids[start : start + IDS_PER_LOOKUP]
                rows = await self._patiently(partial(self._lookups.closed_markets, key, batch))
                await self._remember(self._parsed(rows))
                await self._clock.sleep_ms(PAGE_PAUSE_MS)

    def _parsed(self, rows: Sequence[bytes]) -> list[Market]:
        markets = []
        for row in rows:
            try:
                markets.append(parse_market(row, now_ms=self._clock.now_ms()))
            except NoTokensError:
                continue
            except ValueError as error:
                self.rows_rejected += 1
                if self.rows_rejected <= QUARANTINED_PER_SYNC:
                    log.warning("registry.row_rejected", error=str(error))
                    payload = row[:500].decode(errors="replace")
                    self._note("QUARANTINED", {"what": "REGISTRY_ROW", "error": str(error), "payload": payload})
        return markets

    async def _remember(self, markets: Sequence[Market]) -> None:
        """Keep markets in memory and store those that are news.

        :raises LedgerUnavailableError: they are kept, and will be stored later.
        """
        changed = self._catalogue.merge(markets, monotonic_ms=self._clock.monotonic_ms())
        if not changed:
            return
        try:
            await self._store.save_markets(changed)
        except LedgerUnavailableError:
            self._save_later(changed)
            raise

    async def _fetch_and_save(self, token_id: str) -> Market | None:
        if not is_token_id(token_id):
            return None
        market = await self._ask_about(token_id)
        if market is None:
            return None
        try:
            await self._remember([market])
        except LedgerUnavailableError as error:
            log.warning("registry.not_stored", condition_id=market.condition_id, error=str(error))
        return self.market_of(token_id)

    async def _ask_about(self, token_id: str) -> Market | None:
        """Ask both hosts at once; either alone will do, but only both can say that a token is unknown."""
        rows, details = await asyncio.gather(
            self._lookups.by_token(token_id), self._lookups.details_of_token(token_id), return_exceptions=True
        )
        for answer in (rows, details):
            if isinstance(answer, BaseException) and not isinstance(answer, RegistryUnavailableError):
                raise answer
        listed = [] if isinstance(rows, BaseException) else self._parsed(rows)
        market = next((one for one in listed if _has(one, token_id)), None)
        if details is not None and not isinstance(details, BaseException):
            market = self._completed_with(market, details, token_id)
        if market is not None:
            return market
        for answer in (rows, details):
            if isinstance(answer, RegistryUnavailableError):
                raise answer
        return None

    def _completed_with(self, market: Market | None, details: ClobDetails, token_id: str) -> Market | None:
        now_ms = self._clock.now_ms()
        try:
            if market is not None:
                market = with_details(market, details, now_ms=now_ms)
            else:
                market = market_of_details(details, now_ms=now_ms)
        except ValueError as error:
            self._note("QUARANTINED", {"what": "CLOB_MARKET", "error": str(error), "payload": details.c})
            return market
        self._completed.add(token_id)
        return market if _has(market, token_id) else None

    async def _complete(self, token_id: str) -> None:
        market = self.market_of(token_id)
        if market is None:
            await self.fetch(token_id)
            return
        details = await self._lookups.details(market.condition_id)
        self._completed.update(token.token_id for token in market.tokens)
        if details is not None:
            completed = self._completed_with(market, details, token_id)
            await self._remember([completed] if completed is not None else [])

    async def _work_forever(self) -> None:
        """Complete markets and store what events changed, one thing at a time."""
        tries = 0
        while True:
            if not self._to_complete and not self._to_save:
                self._work.clear()
                await self._work.wait()
            try:
                if self._to_save:
                    await self._save()
                if token_id := next(iter(self._to_complete), None):
                    del self._to_complete[token_id]
                    await self._complete_or_requeue(token_id)
                    await self._clock.sleep_ms(PAGE_PAUSE_MS)
                tries = 0
            except (RegistryUnavailableError, LedgerUnavailableError) as error:
                tries += 1
                await self._pause(tries, "complete", error)

    async def _complete_or_requeue(self, token_id: str) -> None:
        try:
            await self._complete(token_id)
        except RefusedError as error:
            log.warning("registry.refused", token_id=token_id, error=str(error)[:300])
        except RegistryUnavailableError:
            self._to_complete[token_id] = None
            raise

    async def _save(self) -> None:
        markets = dict(self._to_save)
        await self._store.save_markets(tuple(markets.values()))
        for condition_id, market in markets.items():
            if self._to_save.get(condition_id) is market:
                del self._to_save[condition_id]

    def _save_later(self, markets: Iterable[Market]) -> None:
        for market in markets:
            self._to_save[market.condition_id] = market
        self._work.set()

    def _apply_tick(self, event: TickSizeChanged) -> None:
        market = self.market_of(event.token_id)
        if market is None:
            return
        changed = self._catalogue.announce_tick(market, event.tick_size, monotonic_ms=self._clock.monotonic_ms())
        if changed != market:
            log.info("registry.tick_changed", condition_id=market.condition_id, tick_size=event.tick_size)
            self._save_later([changed])

    def _apply_resolution(self, event: MarketResolved) -> None:
        market = self._resolved_market(event)
        if market is None:
            return
        payouts = market.payouts
        if payouts is None and _has(market, event.winning_token_id):
            payouts = tuple(MICRO if token.token_id == event.winning_token_id else 0 for token in market.tokens)
        changed = replace(market, closed=True, accepting_orders=False, payouts=payouts)
        if changed != market:
            log.info("registry.resolved", condition_id=market.condition_id, payouts=payouts)
            self._catalogue.put(changed)
            self._save_later([changed])

    def _resolved_market(self, event: MarketResolved) -> Market | None:
        for token_id in event.token_ids:
            if market := self.market_of(token_id):
                return market
        try:
            return self._catalogue.of_condition(padded_condition(event.condition_id))
        except ValueError:
            return None

    def _forget_fetch(self, token_id: str, done: asyncio.Task[Market | None]) -> None:
        self._fetching.pop(token_id, None)
        if not done.cancelled():
            done.exception()  # Retrieved: whoever waited has it, and nobody may be waiting.

    async def _pause(self, tries: int, what: str, error: Exception) -> None:
        ceiling_ms = min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** min(tries, 16))
        delay_ms = random.randint(RETRY_MIN_MS, ceiling_ms)
        log.warning("registry.unavailable", what=what, tries=tries, delay_ms=delay_ms, error=str(error)[:300])
        await self._clock.sleep_ms(delay_ms)


def _has(market: Market, token_id: str | None) -> bool:
    return any(token.token_id == token_id for token in market.tokens)
