"""The worker: a table of contents. Each loop has a name; if one fails, all stop and the next start recovers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.engine.unmatched import Unmatched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.engine.account import Account
    from copytrade.engine.comparison import Comparison
    from copytrade.engine.decide import Decide
    from copytrade.engine.execute import Execute
    from copytrade.engine.ingest import Ingest
    from copytrade.engine.leader_events import LeaderEvents
    from copytrade.engine.leader_values import LeaderValues
    from copytrade.engine.listeners import Listeners
    from copytrade.engine.money import Money
    from copytrade.engine.notes import Notes
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.roll import LedgerRoll
    from copytrade.engine.tracking import Tracking
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.leader_fills import LeaderFillSource
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Every stage, wired; `sources` by name."""

    ledger: Ledger
    roll: LedgerRoll
    registry: MarketRegistry
    books: BookStore
    tracking: Tracking
    portfolio: Portfolio
    money: Money
    sources: Mapping[str, LeaderFillSource]
    ingest: Ingest
    leader_events: LeaderEvents
    leader_values: LeaderValues
    decide: Decide
    execute: Execute
    account: Account
    executor: ExecutionAdapter
    listeners: Listeners
    notes: Notes
    clock: Clock
    comparison: Comparison | None = None

    async def run(self) -> None:
        """Run every stage until one fails or the task is cancelled.

        Start-up is recovery: there is no second code path to trust after a crash.
        """
        await self.roll.refresh()
        await self.portfolio.load(self.ledger)
        await self.decide.load()
        self.notes.take("STARTED", {"leaders": len(self.roll.leaders()), "sources": sorted(self.sources)})
        if not self.roll.leaders():
            self.notes.take("NO_LEADERS", {"hint": "copytrade leaders add ADDRESS; it is noticed within a second"})
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.notes.run(), name="notes")
            loops.create_task(self.registry.run(), name="registry")
            loops.create_task(self.books.run(), name="books")
            loops.create_task(self.tracking.run(), name="tracking")
            loops.create_task(self.roll.run(), name="roll")
            loops.create_task(self.executor.run(), name="executor")
            loops.create_task(self.account.run(), name="account")
            await self.execute.recover(self.portfolio.open_attempts())
            loops.create_task(self.execute.run(), name="execute")
            loops.create_task(self.decide.run(), name="decide")
            loops.create_task(self.leader_events.run(), name="leader-events")
            loops.create_task(self.leader_values.run(), name="leader-values")
            loops.create_task(self.money.run(), name="money")
            if self.comparison is not None:
                loops.create_task(self.comparison.run(), name="comparison")
            if "polygon" in self.sources:
                unmatched = Unmatched(ledger=self.ledger, notes=self.notes, clock=self.clock)
                loops.create_task(unmatched.run(), name="unmatched")
            for name, source in self.sources.items():
                loops.create_task(self.ingest.run(name, source), name=f"ingest-{name}")
