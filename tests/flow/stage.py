"""The whole worker with fakes at its edges, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.memory.audit import MemoryEvidence
from copytrade.adapters.paper.executor import PaperExecutor
from copytrade.domain.attempts import ExecutionAttempt, Reason
from copytrade.domain.copy_rules import CopyRules
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.domain.invariants import Breach
from copytrade.domain.latency import Latency
from copytrade.domain.market import Market
from copytrade.domain.mirroring import parse_policies
from copytrade.domain.risk import LimitName
from copytrade.domain.sizing import SizingMode
from copytrade.domain.units import MICRO
from copytrade.engine.account import Account
from copytrade.engine.audit_money import MoneyAudit
from copytrade.engine.decide import Approved, Decide, Waits
from copytrade.engine.equity import Equity
from copytrade.engine.execute import Execute
from copytrade.engine.inbox import Inbox
from copytrade.engine.ingest import Ingest
from copytrade.engine.ladder import Ladder
from copytrade.engine.leader_events import LeaderEvents
from copytrade.engine.leader_values import LeaderValues
from copytrade.engine.listeners import Listeners
from copytrade.engine.marks import BookMarks
from copytrade.engine.mirror import Mirror
from copytrade.engine.money import Money
from copytrade.engine.notes import Notes
from copytrade.engine.orphans import Orphans
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.roll import LedgerRoll
from copytrade.engine.settle import Settle
from copytrade.engine.shadow import Shadow
from copytrade.engine.tracking import Tracking
from copytrade.engine.unmatched import Unmatched
from copytrade.engine.worker import Worker
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import Ledger
from tests.fakes import (
    FakeActivity,
    FakeBooks,
    FakeRegistry,
    FakeResolutions,
    FakeTransactions,
    FakeTransfers,
    FakeWalletValues,
    RecordingNotifier,
    ScriptedSource,
)
from tests.flow.guarding import a_guard
from tests.makers import NOW_MS, a_leader, a_market, a_sighting, micro
from tests.virtual_time import VirtualClock, run_virtual

START_MS = NOW_MS


class Stage:
    """One life of the worker; a second one on the same ledger is a restart."""

    def __init__(
        self,
        *,
        ledger: Ledger | None = None,
        registry: FakeRegistry | None = None,
        policies: str = "",
        limits: Mapping[LimitName, int] | None = None,
        reads_chain: bool = False,
        caps: Mapping[LimitName, int] | None = None,
        **rules: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.ledger: Ledger = ledger or MemoryLedger()
        self.registry = registry or FakeRegistry(a_market())
        self.books = FakeBooks()
        self.chain = ScriptedSource()
        self.api = ScriptedSource()
        self.activity = FakeActivity()
        self.values = FakeWalletValues()
        self.resolutions = FakeResolutions()
        self.transactions = FakeTransactions()
        self.transfers = FakeTransfers()
        self.notifier = RecordingNotifier()
        self._caps = caps
        self._guarding = {"limits": limits or {}, "reads_chain": reads_chain}
        self.worker = self._wire(_rules(**rules), policies)

    def _wire(self, rules: CopyRules, policies: str) -> Worker:
        (listeners := Listeners()).add(self.notifier)
        executor = self._paper()
        portfolio = Portfolio(strategy_id=COPY_STRATEGY_ID, account_id=executor.account_id)
        roll = LedgerRoll(self.ledger, self.clock)
        inbox = Inbox()
        orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=100)
        shared = {"ledger": self.ledger, "portfolio": portfolio, "notifier": listeners}
        known = {"roll": roll, "registry": self.registry, "inbox": inbox, "clock": self.clock}
        ingest = Ingest(**shared, **known)
        self.guard = a_guard(
            executor=executor, books=self.books, polygon=self.chain, **self._guarding, **shared, **known
        )
        self.ladder = self._ladder(executor.account_id, listeners)
        told = {"ledger": self.ledger, "roll": roll, "notifier": listeners, "clock": self.clock}
        leader_events = LeaderEvents(
            activity=self.activity,
            interval_ms=30_000,
            **told,
            policies=parse_policies(policies),
            mirror=Mirror(ingest=ingest, portfolio=portfolio, registry=self.registry, books=self.books),
        )
        notes = Notes(ledger=self.ledger, notifier=listeners, clock=self.clock)
        leader_values = LeaderValues(values=self.values, roll=roll, rules=rules, clock=self.clock, note=notes.take)
        decide = Decide(
            strategy_id=COPY_STRATEGY_ID,
            rules=rules,
            waits=Waits(unmapped_ms=5_000, book_ms=5_000),
            books=self.books,
            executor=executor,
            orders=orders,
            leader_events=leader_events,
            leader_values=leader_values,
            risk=self.guard.risk,
            **shared,
            **known,
        )
        return Worker(
            ledger=self.ledger,
            roll=roll,
            registry=self.registry,
            books=self.books,
            tracking=self._tracking(portfolio),
            portfolio=portfolio,
            risk=self.guard.risk,
            risk_events=self.guard.events,
            money=self._money(notes, portfolio, executor, decide, listeners),
            sources={"polygon": self.guard.polygon, "data_api": self.api},
            ingest=ingest,
            leader_events=leader_events,
            leader_values=leader_values,
            decide=decide,
            clock=self.clock,
            execute=Execute(executor=executor, orders=orders, clock=self.clock, stopped_by=self._stopped_by, **shared),
            ladder=self.ladder,
            onlookers=self._shadow(notes, listeners),
            account=Account(executor=executor, **shared),
            executor=executor,
            listeners=listeners,
            notes=notes,
            chores={"venue-time": self.guard.clock_gate.run},
            transfers=self.transfers,
            unmatched=self._unmatched(notes, portfolio, listeners),
        )

    def _stopped_by(self, attempt: ExecutionAttempt) -> Reason | None:
        by_halt = self.guard.risk.halts.stops(attempt)
        return by_halt or (None if self.ladder is None else self.ladder.stops(attempt))

    def _ladder(self, account_id: str, listeners: Listeners) -> Ladder | None:
        if self._caps is None:
            return None
        return Ladder(
            store=self.ledger,
            account_id=account_id,
            caps=self._caps,
            limits=self.guard.risk.limits,
            notifier=listeners,
            clock=self.clock,
        )

    def _shadow(self, notes: Notes, listeners: Listeners) -> dict[str, Shadow]:
        if self._caps is None:
            return {}
        shadow = Shadow(store=self.ledger, paper=self._paper(), clock=self.clock, note=notes.take)
        listeners.add(shadow)
        return {"shadow": shadow}

    def _paper(self) -> PaperExecutor:
        return PaperExecutor(
            books=self.books,
            clock=self.clock,
            decision_latency=Latency(median_ms=0),
            submit_latency=Latency(median_ms=150),
            seed=0,
            quote_stale_ms=5_000,
        )

    def _unmatched(self, notes: Notes, portfolio: Portfolio, listeners: Listeners) -> Unmatched:
        orphans = Orphans(clock=self.clock, ledger=self.ledger, portfolio=portfolio, notifier=listeners)
        return Unmatched(
            ledger=self.ledger, transactions=self.transactions, orphans=orphans, notes=notes, clock=self.clock
        )

    def _money(self, notes: Notes, portfolio: Portfolio, executor: Any, decide: Decide, listeners: Listeners) -> Money:
        known = {"ledger": self.ledger, "portfolio": portfolio, "notes": notes, "clock": self.clock}
        marks = BookMarks(self.books, self.registry)
        return Money(
            marks=marks,
            equity=Equity(marks=marks, start_cash=micro("1000"), interval_ms=60_000, **known),
            settle=Settle(
                registry=self.registry,
                executor=executor,
                in_turn=decide.turn,
                notifier=listeners,
                merges_sets=True,
                feed=self.resolutions,
                **known,
            ),
        )

    def _tracking(self, portfolio: Portfolio) -> Tracking:
        return Tracking(
            ledger=self.ledger,
            registry=self.registry,
            books=self.books,
            portfolio=portfolio,
            clock=self.clock,
            lookback_ms=3_600_000,
        )

    async def sees(self, *fills: Any, source: ScriptedSource | None = None) -> None:
        """Let a source report fills, one event each."""
        for fill in fills:
            await (source or self.chain).queue.put(FillsSeen(source=fill.source, sightings=(a_sighting(fill),)))

    async def attempts(self) -> list[ExecutionAttempt]:
        """Return every attempt decided in this life, as the ledger now has it."""
        ids = dict.fromkeys(happening.attempt.id for happening in self.notifier.told if hasattr(happening, "attempt"))
        found = [await self.ledger.attempt(attempt_id) for attempt_id in ids]
        return [attempt for attempt in found if attempt is not None]


def _rules(**changes: Any) -> CopyRules:
    facts: dict[str, Any] = {
        "copy_ratio": MICRO,
        "max_usdc_per_trade": micro("100"),
        "maker_leader_ratio": MICRO,
        "sizing_mode": SizingMode.RATIO,
        "slippage_bps_max": 300,
        "order_ttl_ms": 5_000,
        "fill_max_age_ms": 30_000,
    }
    return CopyRules(**(facts | changes))


def play(script: Callable[[Stage], Awaitable[None]], *, market: Market | None = None, **rules: Any) -> Stage:
    """Run the worker while `script` drives it, on virtual time; the leader is followed already."""

    async def main() -> Stage:
        stage = Stage(registry=FakeRegistry(market or a_market()), **rules)
        await stage.ledger.add_leader(a_leader())
        await live(stage, script)
        return stage

    return run_virtual(main, epoch_ms=START_MS)


async def live(stage: Stage, script: Callable[[Stage], Awaitable[None]]) -> None:
    """Run one life of the worker until the script ends, then stop it as Ctrl-C would; its money must balance."""
    running = asyncio.create_task(stage.worker.run())
    scripted = asyncio.create_task(script(stage))
    await asyncio.wait({running, scripted}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await scripted
    if isinstance(stage.ledger, MemoryLedger):
        assert unbalanced(stage.ledger) == []


def unbalanced(ledger: MemoryLedger) -> list[Breach]:
    """Return where positions, cash and fees are not exactly what executions and settlements make of them."""
    return list(MoneyAudit(MemoryEvidence(ledger), lambda _, rows, *__: iter(rows)).breaches())
