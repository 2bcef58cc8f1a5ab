"""The registry: markets from the database at start, kept in step with Gamma, completed from the CLOB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, assert_never

import structlog

from copytrade.adapters.gamma.amounts import padded_condition
from copytrade.adapters.gamma.backlog import Backlog
from copytrade.adapters.gamma.details import market_of_details, with_details
from copytrade.adapters.gamma.keeper import Keeper
from copytrade.adapters.gamma.lookups import Lookups, RefusedError
from copytrade.adapters.gamma.patience import PAGE_PAUSE_MS, pause
from copytrade.adapters.gamma.sync import Sync
from copytrade.domain.market import is_combo, is_token_id
from copytrade.domain.market_events import MarketListed, MarketResolved, TickSizeChanged
from copytrade.domain.settlement import payouts_of_winner
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.markets import MarketRegistry, RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import httpx

    from copytrade.adapters.gamma.details import ClobDetails
    from copytrade.adapters.gamma.keeper import MarketStore
    from copytrade.domain.market import Market
    from copytrade.domain.market_events import MarketEvent
    from copytrade.domain.units import Millis, Price
    from copytrade.ports.clock import Clock

QUEUE_MAX: Final = 10_000
SETTLE_AGAIN_MS: Final = 300_000
"""How often a market that is closed and named again and again is asked what it paid."""

log = structlog.get_logger()


class GammaRegistry(MarketRegistry):
    """See the port.

    Gamma lacks the taker delay of crypto markets and is up to five minutes old, so the CLOB is asked too:
    when a token is fetched, and in the background for each token named to `complete_soon`. What a closed
    market paid is asked of the Data API where Gamma cannot tell.
    """

    def __init__(
        self,
        *,
        gamma_url: str,
        clob_url: str,
        data_api_url: str,
        http: httpx.AsyncClient,
        clock: Clock,
        store: MarketStore,
        sync_interval_ms: Millis,
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        """Prepare; nothing is asked before `run` or `fetch`. `note` gets an operator's notes."""
        self._lookups = Lookups(gamma_url=gamma_url, clob_url=clob_url, data_api_url=data_api_url, http=http)
        self._clock = clock
        self._note = note
        self._keeper = Keeper(store=store, clock=clock, note=note)
        self._catalogue = self._keeper.catalogue
        self._sync = Sync(
            lookups=self._lookups,
            keeper=self._keeper,
            backlog=Backlog(lookups=self._lookups, keeper=self._keeper, clock=clock),
            clock=clock,
            interval_ms=sync_interval_ms,
        )
        self._fetching: dict[str, asyncio.Task[Market | None]] = {}
        self._to_complete: dict[str, None] = {}
        self._to_settle: dict[str, None] = {}
        self._settle_again_at: dict[str, Millis] = {}
        self._completed: set[str] = set()
        self._is_loaded = False

    def __len__(self) -> int:
        """Return how many markets are known."""
        return len(self._catalogue)

    @property
    def is_synced(self) -> bool:
        """Whether one sync came to the last page."""
        return self._sync.is_synced

    @property
    def rows_rejected(self) -> int:
        """How many rows of the sync could not be read."""
        return self._keeper.rows_rejected

    def market_of(self, token_id: str) -> Market | None:
        return self._catalogue.of_token(token_id)

    def successor_of(self, token_id: str) -> tuple[str, Market] | None:
        return self._catalogue.successor_of(token_id)

    def learn_payouts(self, condition_id: str, payouts: tuple[Price, ...]) -> None:
        market = self._catalogue.of_condition(condition_id)
        if market is None or len(payouts) != len(market.tokens):
            return
        self._keeper.tell_conflict(market, payouts)
        if market.payouts is None:
            self._resolve(market, payouts)

    def twin_of(self, token_id: str) -> str | None:
        """Return the other token of a market of two, from memory; None if it is not known or there is none."""
        market = self.market_of(token_id)
        return None if market is None else market.twin_of(token_id)

    def age_ms(self) -> Millis | None:
        listed_ms = self._keeper.listed_ms
        return None if listed_ms is None else self._clock.monotonic_ms() - listed_ms

    def top_tokens(self, markets: int) -> tuple[str, ...]:
        return tuple(token.token_id for market in islice(self._by_liquidity(), markets) for token in market.tokens)

    async def fetch(self, token_id: str) -> Market | None:
        task = self._fetching.get(token_id)
        if task is None:
            task = asyncio.create_task(self._fetch_and_save(token_id), name=f"fetch-{token_id[:12]}")
            self._fetching[token_id] = task
            task.add_done_callback(lambda done: self._forget_fetch(token_id, done))
        # One caller's timeout must not cancel what others wait for.
        return await asyncio.shield(task)

    def complete_soon(self, token_id: str) -> None:
        """Have the CLOB's details of a token's market asked for in the background, once per process.

        A closed market is asked about again now and then, until it is known what it paid.
        """
        market = self.market_of(token_id)
        if market is not None and market.closed and market.payouts is None:
            self._settle_soon(market)
        if token_id not in self._completed and len(self._to_complete) < QUEUE_MAX and not is_combo(token_id):
            self._to_complete[token_id] = None
            self._keeper.work.set()

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
                await self._keeper.load()
                self._is_loaded = True
            except LedgerUnavailableError as error:
                tries += 1
                await pause(self._clock, tries=tries, what="load", error=error)
        log.info("registry.loaded", markets=len(self._catalogue))

    async def run(self) -> None:
        await self.load()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._sync.run(), name="registry-sync")
            loops.create_task(self._work_forever(), name="registry-work")

    def _by_liquidity(self) -> Iterator[Market]:
        for condition_id in self._keeper.liquidity.ranked():
            market = self._catalogue.of_condition(condition_id)
            if market and market.enable_order_book and market.accepting_orders and not market.closed:
                yield market

    async def _fetch_and_save(self, token_id: str) -> Market | None:
        if not is_token_id(token_id) or is_combo(token_id):
            return None
        market = await self._ask_about(token_id)
        if market is None:
            return None
        if market.closed:
            market = await self._lookups.with_payouts(market)
        try:
            await self._keeper.remember(market)
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
        listed = [] if isinstance(rows, BaseException) else self._keeper.parsed(rows)
        market = next((one.market for one in listed if _has(one.market, token_id)), None)
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
            if completed is not None:
                await self._keeper.remember(completed)

    async def _work_forever(self) -> None:
        """Complete and settle markets and store what events changed, one thing at a time."""
        tries = 0
        while True:
            if not self._to_complete and not self._to_settle and not self._keeper.is_save_due:
                self._keeper.work.clear()
                await self._keeper.work.wait()
            try:
                if self._keeper.is_save_due:
                    await self._keeper.save()
                if token_id := next(iter(self._to_complete), None):
                    del self._to_complete[token_id]
                    await self._complete_or_requeue(token_id)
                    await self._clock.sleep_ms(PAGE_PAUSE_MS)
                if condition_id := next(iter(self._to_settle), None):
                    del self._to_settle[condition_id]
                    await self._settle(condition_id)
                tries = 0
            except (RegistryUnavailableError, LedgerUnavailableError) as error:
                tries += 1
                await pause(self._clock, tries=tries, what="complete", error=error)

    async def _settle(self, condition_id: str) -> None:
        """Ask once what a market without a single winner paid; if it is too early, it is asked again later."""
        market = self._catalogue.of_condition(condition_id)
        if market is not None and market.payouts is None:
            settled = await self._lookups.with_payouts(market)
            await self._keeper.remember(settled)
            if settled.payouts is not None:
                self._settle_again_at.pop(condition_id, None)
            await self._clock.sleep_ms(PAGE_PAUSE_MS)

    async def _complete_or_requeue(self, token_id: str) -> None:
        try:
            await self._complete(token_id)
        except RefusedError as error:
            log.warning("registry.refused", token_id=token_id, error=str(error)[:300])
        except RegistryUnavailableError:
            self._to_complete[token_id] = None
            raise

    def _apply_tick(self, event: TickSizeChanged) -> None:
        market = self.market_of(event.token_id)
        if market is None:
            return
        changed = self._catalogue.announce_tick(market, event.tick_size, monotonic_ms=self._clock.monotonic_ms())
        if changed != market:
            log.info("registry.tick_changed", condition_id=market.condition_id, tick_size=event.tick_size)
            self._keeper.save_soon([changed])

    def _apply_resolution(self, event: MarketResolved) -> None:
        market = self._resolved_market(event)
        if market is None:
            return
        payouts = payouts_of_winner(market, event.winning_token_id)
        if payouts is not None:
            self._keeper.tell_conflict(market, payouts)
        payouts = market.payouts or payouts
        self._resolve(market, payouts)
        if payouts is None:
            self._settle_soon(market)

    def _settle_soon(self, market: Market) -> None:
        now = self._clock.monotonic_ms()
        due_at = self._settle_again_at.get(market.condition_id, now)
        if due_at <= now and len(self._to_settle) < QUEUE_MAX:
            self._settle_again_at[market.condition_id] = now + SETTLE_AGAIN_MS
            self._to_settle[market.condition_id] = None
            self._keeper.work.set()

    def _resolve(self, market: Market, payouts: tuple[Price, ...] | None) -> None:
        changed = replace(market, closed=True, accepting_orders=False, payouts=payouts)
        if changed != market:
            log.info("registry.resolved", condition_id=market.condition_id, payouts=payouts)
            self._catalogue.put(changed)
            self._keeper.save_soon([changed])

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


def _has(market: Market, token_id: str | None) -> bool:
    return any(token.token_id == token_id for token in market.tokens)
