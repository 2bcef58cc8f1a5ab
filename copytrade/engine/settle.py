"""Positions that end without a trade: resolved markets are redeemed, complete sets merged, tokens renamed.

The registry is looked at in memory, every few seconds, for what we hold; the chain is asked beside it. Whoever
tells first settles; who tells otherwise later is noted, and changes nothing. What is settled is no longer held,
so a repetition finds nothing to do, and a start needs no path of its own.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog

from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.closing import SETS_MIN
from copytrade.domain.happenings import PositionSettled
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.ports.accounts import Settled, UnknownMarketError
from copytrade.ports.resolutions import ResolutionsUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from copytrade.domain.closing import Closing
    from copytrade.domain.market import Market
    from copytrade.domain.units import Price
    from copytrade.engine.notes import Notes
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.ports.notifier import Notifier
    from copytrade.ports.resolutions import ResolutionFeed

LOOK_EVERY_MS: Final = 2_000
ASK_EVERY_MS: Final = 10_000
MIGRATIONS_EVERY_MS: Final = 60_000
RECORDED_MAX: Final = 1_000
"""Resolutions kept in memory, which the chain is still asked about, to hear a contradiction; the oldest go first."""

_log = structlog.get_logger()


class Settle:
    """Settles what one strategy holds on one account, and what others hold of the same markets."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        registry: MarketRegistry,
        portfolio: Portfolio,
        executor: ExecutionAdapter,
        in_turn: Callable[[str], AbstractAsyncContextManager[None]],
        notifier: Notifier,
        notes: Notes,
        clock: Clock,
        merges_sets: bool,
        feed: ResolutionFeed | None = None,
    ) -> None:
        """Prepare; `in_turn` keeps decisions on a token out while what is held of it changes."""
        self._ledger = ledger
        self._registry = registry
        self._portfolio = portfolio
        self._executor = executor
        self._in_turn = in_turn
        self._notifier = notifier
        self._notes = notes
        self._clock = clock
        self._merges_sets = merges_sets and executor.mode is ExecutionMode.PAPER
        self._feed = feed
        self._recorded: dict[str, Resolution] = {}
        self._contradicted: set[tuple[str, tuple[Price, ...]]] = set()
        self._unmapped: set[str] = set()

    async def run(self) -> None:
        """Settle whatever can be until cancelled."""
        for known in await self._ledger.resolutions():
            self._remember(known)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._look(), name="settle-look")
            loops.create_task(self._follow_migrations(), name="settle-migrations")
            if self._feed is not None:
                loops.create_task(self._ask(self._feed), name="settle-ask")

    async def sweep(self) -> None:
        """Look once at every market we hold something of."""
        for market in self._held():
            tokens = [token.token_id for token in market.tokens]
            recorded = self._recorded.get(market.condition_id)
            if recorded is not None:
                await self.resolve(market, recorded)
            if market.payouts is not None:
                await self.resolve(market, self._told_by_registry(market.condition_id, market.payouts))
            elif self._merges_sets and min(map(self._portfolio.sellable, tokens)) >= SETS_MIN:
                await self._merge(market)
        for token_id in self._held_tokens():
            if (renamed := self._registry.successor_of(token_id)) is not None:
                await self._rename(token_id, *renamed)

    async def resolve(self, market: Market, told: Resolution) -> None:
        """Redeem what is held of a market; orders that are still open in it are cancelled first, as the venue does."""
        tokens = {token.token_id for token in market.tokens}
        async with self._turns(tokens):
            for attempt in self._portfolio.open_attempts():
                if attempt.token_id in tokens:
                    await self._executor.cancel(attempt.id)
            async with self._portfolio.moving:
                settled = await self._settle(told)
                self._take(settled.closings, market)
        self._compare(told, settled)

    async def _look(self) -> None:
        while True:
            await self.sweep()
            await self._clock.sleep_ms(LOOK_EVERY_MS)

    async def _ask(self, feed: ResolutionFeed) -> None:
        """Read the chain's resolutions of what we hold or held."""
        while True:
            markets = {market.condition_id: market for market in self._held()}
            try:
                told = await feed.resolved({*markets, *self._recorded})
            except ResolutionsUnavailableError as error:
                _log.debug("settle.chain_unavailable", error=str(error))
                told = ()
            for resolution in told:
                await self._hear(resolution, markets.get(resolution.condition_id))
            await self._clock.sleep_ms(ASK_EVERY_MS)

    async def _hear(self, told: Resolution, market: Market | None) -> None:
        """Take the chain's word: settle by it, or see whether what was settled by says the same."""
        if market is None:
            self._compare(told, await self._settle(told))
            return
        self._registry.learn_payouts(told.condition_id, told.payouts)
        await self.resolve(market, told)

    async def _settle(self, told: Resolution) -> Settled:
        """Settle as of now; a market that is not stored yet waits for the next look."""
        try:
            return await self._ledger.settle(replace(told, at_ms=self._clock.now_ms()))
        except UnknownMarketError as error:
            _log.debug("settle.market_not_stored_yet", error=str(error))
            return Settled()

    async def _merge(self, market: Market) -> None:
        async with self._turns([token.token_id for token in market.tokens]), self._portfolio.moving:
            try:
                merged = await self._ledger.merge_sets(
                    market.condition_id,
                    strategy_id=self._portfolio.strategy_id,
                    account_id=self._portfolio.account_id,
                    at_ms=self._clock.now_ms(),
                )
            except UnknownMarketError as error:
                _log.debug("settle.market_not_stored_yet", error=str(error))
                return
            self._take(merged, market)

    async def _rename(self, token_id: str, new_token_id: str, market: Market) -> None:
        async with self._turns([token_id, new_token_id]), self._portfolio.moving:
            renamed = await self._ledger.rename_token(
                token_id,
                new_token_id,
                condition_id=market.condition_id,
                source=ResolutionSource.REGISTRY,
                at_ms=self._clock.now_ms(),
            )
            self._take(renamed.closings, market)
        if renamed.closings:
            self._notes.take("POSITION_MIGRATED", {"token_id": token_id, "new_token_id": new_token_id})

    async def _follow_migrations(self) -> None:
        """Tell once of what we hold that leaders were migrated out of, while nobody tells the new token."""
        while True:
            named = await self._ledger.migrated()
            for token_id in self._held_tokens():
                market = self._registry.market_of(token_id)
                is_named = token_id in named or (market is not None and market.condition_id in named)
                if is_named and token_id not in self._unmapped and self._registry.successor_of(token_id) is None:
                    self._unmapped.add(token_id)
                    self._notes.take("MIGRATION_UNMAPPED", {"token_id": token_id})
            await self._clock.sleep_ms(MIGRATIONS_EVERY_MS)

    @asynccontextmanager
    async def _turns(self, token_ids: Iterable[str]) -> AsyncIterator[None]:
        """Hold the turns of several tokens; nobody else holds more than one, so nobody waits in a circle."""
        async with AsyncExitStack() as turns:
            for token_id in sorted(set(token_ids)):
                await turns.enter_async_context(self._in_turn(token_id))
            yield

    def _take(self, closings: Sequence[Closing], market: Market) -> None:
        for closing in closings:
            settlement, position = closing.settlement, closing.position
            owner = (position.strategy_id, position.account_id)
            if owner == (self._portfolio.strategy_id, self._portfolio.account_id):
                self._portfolio.settle(settlement, position)
            self._notifier.tell(PositionSettled(settlement=settlement, position=position, market=market))

    def _compare(self, told: Resolution, settled: Settled) -> None:
        """Note once that a resolution contradicts the one that stands."""
        recorded = settled.recorded
        if recorded is None:
            return
        self._remember(recorded)
        if recorded.payouts == told.payouts or (told.condition_id, told.payouts) in self._contradicted:
            return
        self._contradicted.add((told.condition_id, told.payouts))
        self._notes.take(
            "RESOLUTION_CONFLICT",
            {
                "condition_id": told.condition_id,
                "recorded": recorded.payouts,
                "recorded_by": recorded.source,
                "told": told.payouts,
                "told_by": told.source,
            },
        )

    def _remember(self, recorded: Resolution) -> None:
        """Keep what stands, to settle by it and to hear a contradiction."""
        self._recorded.pop(recorded.condition_id, None)
        self._recorded[recorded.condition_id] = recorded
        while len(self._recorded) > RECORDED_MAX:
            del self._recorded[next(iter(self._recorded))]

    def _told_by_registry(self, condition_id: str, payouts: tuple[Price, ...]) -> Resolution:
        now_ms = self._clock.now_ms()
        return Resolution(condition_id=condition_id, payouts=payouts, source=ResolutionSource.REGISTRY, at_ms=now_ms)

    def _held_tokens(self) -> list[str]:
        return [position.token_id for position in self._portfolio.positions() if position.shares]

    def _held(self) -> list[Market]:
        """Return the markets of what we hold, each once."""
        markets = (self._registry.market_of(token_id) for token_id in self._held_tokens())
        return list({market.condition_id: market for market in markets if market is not None}.values())
