"""The last word on an attempt before it is stored: halts, gates and limits, and the reservation of what it may cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from copytrade.domain.attempts import AttemptStatus, Decision
from copytrade.domain.fills import Side
from copytrade.domain.risk import COOLDOWN_MAX_MS, Entry, judge
from copytrade.domain.scopes import Line, group_of
from copytrade.strategies.copy.decision import MARKETABLE_MINIMUM_USDC

if TYPE_CHECKING:
    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.book import BookView
    from copytrade.domain.exposure import Exposure
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Usdc
    from copytrade.engine.gate_readings import DatabaseGate
    from copytrade.engine.gates import Gates
    from copytrade.engine.halt import Halts
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.risk_day import RiskDay
    from copytrade.engine.risk_events import RiskEvents
    from copytrade.engine.risk_limits import LimitBook
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry

LOOK_EVERY_MS: Final[Millis] = 500
"""Halts and limits that another process has set, and the loss of the day, are seen within this."""
WATCH_EVERY_MS: Final[Millis] = 1_000
SAVE_EVERY_MS: Final[Millis] = 5_000
MINUTE_MS: Final[Millis] = 60_000


class Entrants(Protocol):
    """Whom one may enter after; None in its place is everybody."""

    def refusals(self, leader: str) -> tuple[Reason, ...]:
        """Return why no entry follows this leader."""


class Risk:
    """Rules on attempts of one strategy on one account."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        portfolio: Portfolio,
        registry: MarketRegistry,
        limits: LimitBook,
        halts: Halts,
        gates: Gates,
        day: RiskDay,
        database: DatabaseGate,
        events: RiskEvents,
        clock: Clock,
        entrants: Entrants | None = None,
    ) -> None:
        self._ledger = ledger
        self._portfolio = portfolio
        self._registry = registry
        self.limits = limits
        self.halts = halts
        self.gates = gates
        self.day = day
        self._database = database
        self._events = events
        self._clock = clock
        self._entrants = entrants

    @property
    def exposure(self) -> Exposure:
        """What is at stake."""
        return self._portfolio.at_stake.exposure

    def now_ms(self) -> Millis:
        """Return the time by which rules are applied."""
        return self._clock.now_ms()

    async def load(self) -> None:
        """Read what an earlier life and other processes left; the portfolio is loaded already."""
        now_ms = self._clock.now_ms()
        await self.limits.refresh()
        await self._portfolio.at_stake.load(
            self._ledger,
            day_started_ms=self.day.started_ms(),
            results_since_ms=now_ms - COOLDOWN_MAX_MS,
            entries_since_ms=now_ms - MINUTE_MS,
        )
        await self.halts.refresh()
        await self.day.load()

    def rule(
        self, attempt: ExecutionAttempt, *, leader: str, market: Market | None, view: BookView | None
    ) -> ExecutionAttempt:
        """Return the attempt as it may be stored: as it is, cut, or skipped with every reason.

        What it may cost is reserved already; the portfolio must be told whether it was stored. Nothing here
        waits, so that no other decision comes between a limit and what is counted against it.
        """
        if attempt.decision is Decision.SKIP or market is None:
            return attempt
        refusals = self.halts.refusals(attempt.side)
        if attempt.side is Side.BUY:
            self._map_what_is_unmapped()
            ruling = judge(self._entry(attempt, leader=leader, market=market, view=view), self.limits.now,
                           self.exposure)  # fmt: skip
            refusals += self.gates.refusals()
            if self._entrants is not None:
                refusals += self._entrants.refusals(leader)
            if not ruling.shares:
                refusals += ruling.reasons
            elif not refusals and ruling.reasons:
                attempt = self._cut(attempt, shares=ruling.shares, reasons=ruling.reasons)
        if refusals:
            return self._skip(attempt, refusals)
        self._portfolio.reserve(attempt, leader=leader, market=market)
        return attempt

    async def run(self) -> None:
        """Keep halts, limits, gates and the day in step until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._look_at_file(), name="risk-file")
            loops.create_task(self._look(), name="risk-look")
            loops.create_task(self._watch(), name="risk-watch")
            loops.create_task(self._save(), name="risk-save")

    async def _look_at_file(self) -> None:
        """Watch the switch by itself: it must work while the ledger does not answer."""
        while True:
            await self._clock.sleep_ms(LOOK_EVERY_MS)
            await self.halts.look_at_file()

    async def _look(self) -> None:
        while True:
            await self.halts.refresh()
            for change in await self.limits.refresh():
                self._events.limit_was_set(change)
            await self.day.check()
            await self._clock.sleep_ms(LOOK_EVERY_MS)

    async def _watch(self) -> None:
        while True:
            self._map_what_is_unmapped()
            await self.gates.check()
            await self._clock.sleep_ms(WATCH_EVERY_MS)

    async def _save(self) -> None:
        """Keep for others what is known here, and see how long that takes."""
        while True:
            await self._database.timed(self._ledger.save_gates(self.gates.states(), at_ms=self._clock.now_ms()))
            await self.day.save()
            self._portfolio.at_stake.map_tokens(self._registry.market_of, self.exposure.tokens())
            await self._clock.sleep_ms(SAVE_EVERY_MS)

    def _map_what_is_unmapped(self) -> None:
        self._portfolio.at_stake.map_tokens(self._registry.market_of, self.exposure.unmapped())

    def _entry(self, attempt: ExecutionAttempt, *, leader: str, market: Market, view: BookView | None) -> Entry:
        ask = view.book.best_ask if view else None
        is_marketable = ask is not None and ask <= attempt.limit_price
        least: Usdc = MARKETABLE_MINIMUM_USDC if is_marketable else 0
        return Entry(
            line=Line(attempt.strategy_id, attempt.account_id, leader, attempt.token_id),
            group=group_of(market),
            shares=attempt.size_shares_target,
            limit=attempt.limit_price,
            fees=market.fees,
            least_shares=market.min_order_size,
            least_usdc=least,
            now_ms=attempt.decided_at_ms,
        )

    def _cut(self, attempt: ExecutionAttempt, *, shares: int, reasons: tuple[Reason, ...]) -> ExecutionAttempt:
        self._events.cut(_detail(attempt, reasons))
        return replace(attempt, size_shares_target=shares, reasons=(*attempt.reasons, *reasons))

    def _skip(self, attempt: ExecutionAttempt, reasons: tuple[Reason, ...]) -> ExecutionAttempt:
        self._events.refused(_detail(attempt, reasons))
        return replace(
            attempt,
            decision=Decision.SKIP,
            reasons=reasons,
            size_shares_target=0,
            limit_price=0,
            ttl_ms=0,
            status=AttemptStatus.SKIPPED,
        )


def _detail(attempt: ExecutionAttempt, reasons: tuple[Reason, ...]) -> dict[str, object]:
    return {
        "attempt": str(attempt.id),
        "leader_fill": str(attempt.leader_fill_id),
        "side": attempt.side,
        "reasons": [one.as_json() for one in reasons],
    }
