"""The same orders on paper: a worker's books and executors on what the venue tells everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import httpx

from benchmarks.truth.outcome import Outcome
from benchmarks.truth.plan import CRYPTO_DELAY_MS, LATENCY, OVER_MS, START_MS, Burst, Intent, bursts, intent
from copytrade.adapters.clob.bookstore import BookSource, ClobBookStore
from copytrade.adapters.paper.executor import PaperExecutor
from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt, ExecutionMode
from copytrade.domain.effects import Effect
from copytrade.domain.ids import COPY_STRATEGY_ID, PAPER_ACCOUNT_ID, attempt_id, leader_fill_id
from copytrade.domain.latency import Latency
from copytrade.domain.market import FeeSchedule, Market, OutcomeToken
from copytrade.domain.units import MICRO
from copytrade.ports.execution import Executed, ExecutionEvent, OrderDone, PreparedOrder
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.market import Market as SandboxMarket
from copytrade.sandbox.server import SandboxConfig, serve_in_process, urls_of
from copytrade.sandbox.world import World
from tests.simulation.network import Conditions, Journal, Network
from tests.virtual_time import VirtualClock, run_virtual

QUOTE_FRESH_MS, QUOTE_STALE_MS, HISTORY_MS = 2_000, 5_000, 60_000
STATUSES = {AttemptStatus.FILLED: "FILLED", AttemptStatus.CANCELED: "CANCELED", AttemptStatus.FAILED: "FAILED"}

Variants = Mapping[str, frozenset[Effect]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The bursts of one world as they were decided, and what became of each order by variant."""

    bursts: tuple[tuple[Intent, ...], ...]
    outcomes: Mapping[str, Mapping[str, Outcome]]


def play(config: SandboxConfig, variants: Variants, *, usdc_max: int) -> Played:
    """Watch a world and make orders in it that nobody sees, once for each variant."""

    async def main() -> Played:
        async with serve_in_process(config) as (venue, world):
            return await _Desk(venue, world, config.seed, variants, usdc_max=usdc_max).trade()

    return run_virtual(main, epoch_ms=START_MS)


@dataclass(slots=True)
class _Account:
    """One executor and what it reported of each order."""

    executor: PaperExecutor
    fills: dict[str, list[Executed]] = field(default_factory=dict)
    ends: dict[str, OrderDone] = field(default_factory=dict)

    async def listen(self, names: Mapping[object, str]) -> None:
        async for event in self.executor.events():
            self.note(event, names)

    def note(self, event: ExecutionEvent, names: Mapping[object, str]) -> None:
        if isinstance(event, Executed):
            self.fills.setdefault(names[event.fill.attempt_id], []).append(event)
        else:
            self.ends[names[event.attempt_id]] = event

    def outcome(self, name: str) -> Outcome:
        fills = [event.fill for event in self.fills.get(name, [])]
        return Outcome(
            status=STATUSES[self.ends[name].status],
            shares=sum(fill.shares for fill in fills),
            collateral=sum(fill.shares * fill.price for fill in fills) // MICRO,
            fee=sum(fill.fee_usdc for fill in fills),
            first_fill_ms=min((fill.fill_at_ms for fill in fills), default=None),
        )


class _Desk:
    """The orders of one world."""

    def __init__(self, venue: LocalVenue, world: World, seed: int, variants: Variants, *, usdc_max: int) -> None:
        self._usdc_max = usdc_max
        self._world = world
        self._seed = seed
        self._variants = variants
        self._clock = VirtualClock()
        self._network = Network(venue, Journal(self._clock.now_ms), Conditions())
        self._bursts: list[tuple[Intent, ...]] = []
        self._outcomes: dict[str, dict[str, Outcome]] = {name: {} for name in variants}

    async def trade(self) -> Played:
        markets = [market for market in self._world.exchange.catalogue.all() if self._is_traded(market)]
        async with httpx.AsyncClient(transport=self._network) as http:
            books = self._books(http)
            for market in markets:
                for token in market.tokens:
                    books.track(str(token))
            keeping = asyncio.create_task(books.run())
            async with asyncio.TaskGroup() as group:
                for burst in bursts(self._seed, markets):
                    group.create_task(self._play(burst, books))
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        return Played(bursts=tuple(self._bursts), outcomes=self._outcomes)

    def _is_traded(self, market: SandboxMarket) -> bool:
        return market.has_book and bool(self._world.exchange.book(market).orders())

    def _books(self, http: httpx.AsyncClient) -> ClobBookStore:
        urls = urls_of("127.0.0.1", 1)
        return ClobBookStore(
            source=BookSource.WS_AND_SNAPSHOT,
            http_url=urls["CLOB_HTTP_URL"],
            ws_url=urls["CLOB_MARKET_WS_URL"],
            http=http,
            clock=self._clock,
            quote_fresh_ms=QUOTE_FRESH_MS,
            quote_stale_ms=QUOTE_STALE_MS,
            history_ms=HISTORY_MS,
            resync_interval_ms=90_000,
            tokens_max=2_000,
            note=lambda *_: None,
            on_market_event=lambda _: None,
            open_connection=self._network.connect,
        )

    async def _play(self, burst: Burst, books: ClobBookStore) -> None:
        """Make the orders of one burst with accounts of their own, which know of no earlier ones."""
        accounts = {name: _Account(self._executor(books, effects)) for name, effects in self._variants.items()}
        names: dict[object, str] = {}
        tasks = [
            asyncio.create_task(work)
            for account in accounts.values()
            for work in (account.executor.run(), account.listen(names))
        ]
        made = []
        for number, offset_ms in enumerate(burst.offsets_ms):
            await self._clock.sleep_ms(burst.at_ms + offset_ms - self._clock.now_ms())
            view = books.view(str(burst.market.tokens[0]))
            if view is None:
                continue
            wanted = intent(burst, number, view.book, usdc_max=self._usdc_max, now_ms=self._clock.now_ms())
            if wanted is not None:
                made.append(await self._submit(wanted, accounts, names))
        await self._clock.sleep_ms(OVER_MS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._bursts.append(tuple(made))
        for name, account in accounts.items():
            self._outcomes[name].update({one.name: account.outcome(one.name) for one in made})

    async def _submit(self, wanted: Intent, accounts: Mapping[str, _Account], names: dict[object, str]) -> Intent:
        """Make one order in every account; the instant at which it is placed is that of the first."""
        attempt, market = _attempt(wanted), _market(wanted.market)
        names[attempt.id] = wanted.name
        placed: list[PreparedOrder] = []
        for account in accounts.values():
            prepared = replace(account.executor.prepare(attempt, market), order_type=wanted.order_type)
            placed.append(prepared)
            await account.executor.submit(prepared)
        return replace(wanted, placed_ms=placed[0].placed_at_ms)

    def _executor(self, books: ClobBookStore, effects: frozenset[Effect]) -> PaperExecutor:
        return PaperExecutor(
            books=books,
            clock=self._clock,
            decision_latency=Latency(median_ms=0),
            submit_latency=Latency.parse(LATENCY),
            seed=self._seed,
            quote_stale_ms=QUOTE_STALE_MS,
            effects=effects,
        )


def _attempt(wanted: Intent) -> ExecutionAttempt:
    fill_id = leader_fill_id(wanted.name)
    return ExecutionAttempt(
        id=attempt_id(COPY_STRATEGY_ID, PAPER_ACCOUNT_ID, fill_id),
        strategy_id=COPY_STRATEGY_ID,
        account_id=PAPER_ACCOUNT_ID,
        leader_fill_id=fill_id,
        mode=ExecutionMode.PAPER,
        decision=Decision.TRADE,
        reasons=(),
        ratio=MICRO,
        token_id=wanted.token_id,
        side=wanted.side,
        size_shares_target=wanted.size,
        limit_price=wanted.limit,
        ttl_ms=wanted.ttl_ms,
        status=AttemptStatus.SUBMITTED,
        order_hash=None,
        decided_at_ms=wanted.decided_ms,
        placed_at_ms=None,
        first_fill_at_ms=None,
        done_at_ms=None,
        created_at_ms=wanted.decided_ms,
    )


def _market(market: SandboxMarket) -> Market:
    """Say a market in our words, as the registry would have it."""
    return Market(
        condition_id=market.condition,
        version=market.version,
        title=market.question,
        slug=market.slug,
        event_slug=market.group.slug,
        category="",
        end_date_ms=market.end_ms,
        enable_order_book=market.enable_order_book,
        accepting_orders=market.has_book,
        closed=market.closed,
        neg_risk=market.neg_risk,
        tick_size=market.tick,
        min_order_size=market.min_size,
        fees=FeeSchedule(rate=market.fees.rate, exponent=market.fees.exponent),
        taker_delay_ms=market.seconds_delay * 1_000 or (CRYPTO_DELAY_MS if market.taker_delay else 0),
        tokens=tuple(
            OutcomeToken(token_id=str(token), outcome=outcome, outcome_index=index)
            for index, (token, outcome) in enumerate(zip(market.tokens, market.outcomes, strict=True))
        ),
        payouts=None,
        updated_at_ms=market.created_ms,
    )
