"""The worker: a table of contents. Each loop has a name; if one fails, all stop and the next start recovers."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from copytrade.engine.account import Account
    from copytrade.engine.comparison import Comparison
    from copytrade.engine.decide import Decide
    from copytrade.engine.execute import Execute
    from copytrade.engine.ingest import Ingest
    from copytrade.engine.ladder import Ladder
    from copytrade.engine.leader_events import LeaderEvents
    from copytrade.engine.leader_values import LeaderValues
    from copytrade.engine.listeners import Listeners
    from copytrade.engine.money import Money
    from copytrade.engine.notes import Notes
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.risk import Risk
    from copytrade.engine.risk_events import RiskEvents
    from copytrade.engine.roll import LedgerRoll
    from copytrade.engine.tracking import Tracking
    from copytrade.engine.unmatched import Unmatched
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.leader_fills import LeaderFillSource
    from copytrade.ports.leader_transfers import LeaderTransfers
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry


class Onlooker(Protocol):
    """Something that looks on and that no stage waits for."""

    async def run(self) -> None:
        """Look on until cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Every stage, wired; by name: `sources`, `chores` (loops beside the stages), `onlookers`, `depths` (who waits)."""

    ledger: Ledger
    roll: LedgerRoll
    registry: MarketRegistry
    books: BookStore
    tracking: Tracking
    portfolio: Portfolio
    money: Money
    risk: Risk
    risk_events: RiskEvents
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
    unmatched: Unmatched | None
    transfers: LeaderTransfers | None
    """There are these where the chain is read."""
    clock: Clock
    comparison: Comparison | None = None
    ladder: Ladder | None = None
    onlookers: Mapping[str, Onlooker] = field(default_factory=dict)
    book_figures: Callable[[], Mapping[str, int]] = dict
    depths: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    chores: Mapping[str, Callable[[], Coroutine[None, None, None]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Run every stage until one fails or the task is cancelled.

        Start-up is recovery: there is no second code path to trust after a crash.
        """
        await self.roll.refresh()
        with _nothing_collected():
            await self.portfolio.load(self.ledger)
            await self.decide.load()
            await self.risk.load()
        if self.ladder is not None:
            await self.ladder.refresh()
        self.notes.take("STARTED", {"leaders": len(self.roll.leaders()), "sources": sorted(self.sources)})
        if not self.roll.leaders():
            self.notes.take("NO_LEADERS", {"hint": "copytrade leaders add ADDRESS; it is noticed within a second"})
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.notes.run(), name="notes")
            for name, onlooker in self.onlookers.items():
                loops.create_task(onlooker.run(), name=name)
            loops.create_task(self.risk_events.run(), name="risk-events")
            loops.create_task(self.risk.run(), name="risk")
            for name, chore in self.chores.items():
                loops.create_task(chore(), name=name)
            loops.create_task(self.registry.run(), name="registry")
            loops.create_task(self.books.run(), name="books")
            loops.create_task(self.tracking.run(), name="tracking")
            loops.create_task(self.roll.run(), name="roll")
            loops.create_task(self.executor.run(), name="executor")
            loops.create_task(self.account.run(), name="account")
            await self.execute.recover(self.portfolio.open_attempts())
            if self.comparison is not None:
                await self.comparison.compare()
            loops.create_task(self.execute.run(), name="execute")
            loops.create_task(self.decide.run(), name="decide")
            loops.create_task(self.leader_events.run(), name="leader-events")
            if self.transfers is not None:
                loops.create_task(self.leader_events.follow(self.transfers), name="transfers")
            loops.create_task(self.leader_values.run(), name="leader-values")
            loops.create_task(self.money.run(), name="money")
            if self.unmatched is not None:
                loops.create_task(self.unmatched.run(), name="unmatched")
            if self.comparison is not None:
                loops.create_task(self.comparison.run(), name="comparison")
            if self.ladder is not None:
                loops.create_task(self.ladder.run(), name="ladder")
            for name, source in self.sources.items():
                loops.create_task(self.ingest.run(name, source), name=f"ingest-{name}")


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Spare the garbage collector meanwhile: what a history makes is no garbage, and it would look at all of it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
