"""Stage 2: every fill to be copied gets its one attempt, TRADE or SKIP with reasons."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import AttemptStatus, Decision, ExecutionAttempt
from copytrade.domain.book import QuoteTier
from copytrade.domain.copy_rules import rules_of
from copytrade.domain.fills import Side
from copytrade.domain.happenings import Decided
from copytrade.domain.ids import attempt_id
from copytrade.domain.leader_events import NO_SNAPSHOT
from copytrade.domain.sizing import SizingMode
from copytrade.engine.copied import Copied
from copytrade.ports.markets import RegistryUnavailableError
from copytrade.strategies import copy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from uuid import UUID

    from copytrade.domain.book import BookView
    from copytrade.domain.fills import LeaderFill, RecordedFill
    from copytrade.domain.leader_events import LeaderHolding
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis
    from copytrade.engine.inbox import Inbox
    from copytrade.engine.leader_events import LeaderEvents
    from copytrade.engine.leader_values import LeaderValues
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.risk import Risk
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.leader_fills import LeaderRoll
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.ports.notifier import Notifier

DECISIONS_AT_ONCE_MAX: Final = 500
"""Fills in hand at a time; the others wait in the inbox or the ledger."""
SWEEP_INTERVAL_MS: Final = 5_000
SWEEP_LIMIT: Final = 1_000
UNMAPPED_POLL_MS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long a decision may wait for a market and for a first book."""

    unmapped_ms: Millis
    book_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A stored TRADE on its way to execution."""

    attempt: ExecutionAttempt
    market: Market


@dataclass(slots=True, kw_only=True)
class _Turn:
    """The one place at which fills of a token are decided, and how many are at it or wait for it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted_by: int = 0


class Decide:
    """Turns recorded fills into attempts, in the order of arrival for each token."""

    def __init__(
        self,
        *,
        strategy_id: str,
        rules: copy.CopyRules,
        waits: Waits,
        ledger: Ledger,
        roll: LeaderRoll,
        registry: MarketRegistry,
        books: BookStore,
        portfolio: Portfolio,
        risk: Risk,
        leader_events: LeaderEvents,
        leader_values: LeaderValues,
        executor: ExecutionAdapter,
        inbox: Inbox,
        orders: asyncio.Queue[Approved],
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._strategy_id = strategy_id
        self._rules = rules
        self._waits = waits
        self._ledger = ledger
        self._roll = roll
        self._registry = registry
        self._books = books
        self._portfolio = portfolio
        self._risk = risk
        self._leader_events = leader_events
        self._leader_values = leader_values
        self._executor = executor
        self._inbox = inbox
        self._orders = orders
        self._notifier = notifier
        self._clock = clock
        self._copied = Copied(
            strategy_id=strategy_id, account_id=executor.account_id, order_window_ms=rules.order_window_ms
        )
        self.on_facts: Callable[[RecordedFill, copy.CopyFacts], None] | None = None
        """Told what each decision is made from, at the moment it is made."""
        self._in_hand: set[UUID] = set()
        self._turns: dict[str, _Turn] = {}
        self._room = asyncio.Semaphore(DECISIONS_AT_ONCE_MAX)

    async def load(self) -> None:
        """Read what decisions of an earlier life left for the next ones."""
        await self._copied.load(self._ledger, now_ms=self._clock.now_ms())

    async def run(self) -> None:
        """Decide whatever rings, and sweep for what did not, until cancelled."""
        async with asyncio.TaskGroup() as decisions:
            decisions.create_task(self._sweep(), name="sweep")
            while True:
                for recorded in await self._inbox.take():
                    await self._start(recorded, decisions)

    async def _sweep(self) -> None:
        """Ring for fills that were stored but not decided: after a start, an overflow, a lost ring."""
        while True:
            waiting = await self._ledger.undecided(limit=SWEEP_LIMIT)
            self._inbox.put(recorded for recorded in waiting if recorded.id not in self._in_hand)
            await self._clock.sleep_ms(SWEEP_INTERVAL_MS)

    async def _start(self, recorded: RecordedFill, decisions: asyncio.TaskGroup) -> None:
        if recorded.id in self._in_hand:
            return
        await self._room.acquire()
        self._in_hand.add(recorded.id)
        decisions.create_task(self._decide_in_turn(recorded), name=f"decide-{recorded.id}")

    async def _decide_in_turn(self, recorded: RecordedFill) -> None:
        try:
            async with self.turn(recorded.fill.token_id):
                await self.decide(recorded)
        finally:
            self._in_hand.discard(recorded.id)
            self._room.release()

    @asynccontextmanager
    async def turn(self, token_id: str) -> AsyncIterator[None]:
        """Let the fills of one token through one by one: a sell must see the buy before it, and what is settled.

        A turn is kept while anybody wants it: a lock just released is not locked, though the next one has it.
        """
        turn = self._turns.setdefault(token_id, _Turn())
        turn.wanted_by += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.wanted_by -= 1
            if not turn.wanted_by:
                del self._turns[token_id]

    async def decide(self, recorded: RecordedFill) -> None:
        """Give one fill its attempt; nothing happens if it has one."""
        facts = await self._gather(recorded)
        if self.on_facts is not None:
            self.on_facts(recorded, facts)
        verdict = copy.decide(facts, self._rules)
        attempt = self._attempt(recorded, verdict, facts.now_ms)
        # Rules outside the strategy may make a SKIP of the attempt here. From the last fact to the write nothing
        # waits, so that no other decision comes between a rule and what is counted against it.
        attempt = self._risk.rule(attempt, leader=recorded.fill.leader, market=facts.market, view=facts.view)
        attempt, carry = verdict.settle(attempt)
        before = self._copied.expect(recorded, attempt)
        if not await self._ledger.record_attempt(attempt, carry=carry):
            self._copied.forget(recorded, attempt, before)
            self._portfolio.release(attempt.id)
            return
        self._copied.follow(recorded, attempt, carry)
        self._portfolio.follow(attempt)
        if attempt.decision is Decision.TRADE and facts.market is not None:
            await self._orders.put(Approved(attempt=attempt, market=facts.market))
        book = facts.view.book if facts.view else None
        self._notifier.tell(Decided(recorded=recorded, attempt=attempt, market=facts.market, book=book))

    async def _gather(self, recorded: RecordedFill) -> copy.CopyFacts:
        """Collect what the decision needs, waiting within bounds; a fill that cannot be copied waits for nothing."""
        fill = recorded.fill
        leader = self._roll.leaders().get(fill.leader)
        patient = copy.may_be_copied_later(fill, leader, now_ms=self._clock.now_ms(), rules=self._rules)
        bankroll = await self._bankroll(fill, may_wait=patient)
        started_ms = self._clock.monotonic_ms()
        self._registry.complete_soon(fill.token_id)
        market = await self._market(fill.token_id, wait_ms=self._waits.unmapped_ms if patient else 0)
        mapped_ms = self._clock.monotonic_ms()
        view = None
        if market is not None and market.enable_order_book:
            view = await self._view(fill.token_id, wait_ms=self._waits.book_ms if patient else 0)
            market = self._registry.market_of(fill.token_id) or market
        leader_held = await self._leader_held(recorded, market)
        now_ms = self._clock.now_ms()
        return copy.CopyFacts(
            fill=fill,
            leader=self._roll.leaders().get(fill.leader),
            market=market,
            view=view,
            held=self._portfolio.sellable(fill.token_id),
            unmapped_waited_ms=mapped_ms - started_ms,
            book_waited_ms=self._clock.monotonic_ms() - mapped_ms,
            now_ms=now_ms,
            leader_held=leader_held,
            carry=self._copied.carry_of(recorded),
            may_carry=self._copied.may_carry(recorded),
            order=self._copied.order_so_far(fill, now_ms=now_ms),
            last_entry_ms=self._copied.last_entry_ms(recorded),
            bankroll=bankroll,
        )

    @property
    def _is_recorded(self) -> bool:
        """Whether a replay may decide by other rules, on facts that these have no need of."""
        return self.on_facts is not None

    def _rules_for(self, fill: LeaderFill) -> copy.CopyRules:
        return rules_of(self._roll.leaders().get(fill.leader), self._rules)

    async def _leader_held(self, recorded: RecordedFill, market: Market | None) -> LeaderHolding:
        """Return what the leader held before he sold, where the size depends on it here or may in a replay."""
        fill = recorded.fill
        held = self._portfolio.sellable(fill.token_id)
        is_needed = copy.needs_leader_holding(fill, held=held, rules=self._rules_for(fill))
        if market is None or not (is_needed or (self._is_recorded and fill.side is Side.SELL)):
            return NO_SNAPSHOT
        return await self._leader_events.held_before(recorded, market)

    async def _bankroll(self, fill: LeaderFill, *, may_wait: bool) -> copy.Bankroll | None:
        """Return what we have and what the leader has, where the size depends on it here or may in a replay.

        Only an entry that is sized by it waits for it.
        """
        rules = self._rules_for(fill)
        is_needed = rules.sizing_mode is SizingMode.BANKROLL
        if not (is_needed or self._is_recorded):
            return None
        values = self._leader_values
        is_awaited = is_needed and may_wait and fill.side is Side.BUY
        his = await values.first_of(fill.leader) if is_awaited else values.of(fill.leader)
        return copy.Bankroll(
            ours=rules.bankroll_usdc + self._portfolio.net_pnl_usdc(),
            his=his.usdc if his else None,
            his_age_ms=his.age_ms if his else 0,
        )

    async def _market(self, token_id: str, *, wait_ms: Millis) -> Market | None:
        """Return the market from memory; an unknown one is fetched once, then waited for: it may be minutes old."""
        known = self._registry.market_of(token_id)
        if known is not None or wait_ms <= 0:
            return known
        try:
            async with asyncio.timeout(wait_ms / 1000):
                return await self._fetch(token_id) or await self._listed(token_id)
        except TimeoutError:
            return self._registry.market_of(token_id)

    async def _fetch(self, token_id: str) -> Market | None:
        try:
            return await self._registry.fetch(token_id)
        except RegistryUnavailableError:
            return None

    async def _listed(self, token_id: str) -> Market:
        """Wait until a sync or an announcement brings the market; the caller bounds the wait."""
        while (market := self._registry.market_of(token_id)) is None:
            await self._clock.sleep_ms(UNMAPPED_POLL_MS)
        return market

    async def _view(self, token_id: str, *, wait_ms: Millis) -> BookView | None:
        """Return the book; a missing one is waited for, a soft-stale one is refreshed first (R7)."""
        view = self._books.view(token_id)
        if view is None:
            return await self._books.first_view(token_id, timeout_ms=wait_ms)
        if view.tier is QuoteTier.SOFT_STALE and wait_ms > 0:
            return await self._books.refresh(token_id) or self._books.view(token_id)
        return view

    def _attempt(self, recorded: RecordedFill, verdict: copy.Verdict, now_ms: Millis) -> ExecutionAttempt:
        account_id = self._executor.account_id
        is_trade = verdict.decision is Decision.TRADE
        return ExecutionAttempt(
            id=attempt_id(self._strategy_id, account_id, recorded.id),
            strategy_id=self._strategy_id,
            account_id=account_id,
            leader_fill_id=recorded.id,
            mode=self._executor.mode,
            decision=verdict.decision,
            reasons=verdict.reasons,
            ratio=verdict.ratio,
            token_id=recorded.fill.token_id,
            side=recorded.fill.side,
            size_shares_target=verdict.size,
            limit_price=verdict.limit,
            ttl_ms=verdict.ttl_ms,
            status=AttemptStatus.PENDING if is_trade else AttemptStatus.SKIPPED,
            order_hash=None,
            decided_at_ms=now_ms,
            placed_at_ms=None,
            first_fill_at_ms=None,
            done_at_ms=None,
            created_at_ms=now_ms,
        )
