"""`doctor --drill`, wired: the stages that decide and execute, in a made-up world, in memory and on virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.fills import Side
from copytrade.domain.ids import COPY_STRATEGY_ID, attempt_id
from copytrade.domain.latency import Latency
from copytrade.engine import drill_world as made_up
from copytrade.engine.account import Account
from copytrade.engine.decide import Approved, Decide, Waits
from copytrade.engine.drills import NOTHING, DrillDesk, Drilled, drills
from copytrade.engine.execute import Execute
from copytrade.engine.gate_readings import DatabaseGate
from copytrade.engine.gates import Gates
from copytrade.engine.halt import Halts
from copytrade.engine.inbox import Inbox
from copytrade.engine.listeners import Listeners
from copytrade.engine.marks import BookMarks
from copytrade.engine.nobody import Nobody
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.risk import Risk
from copytrade.engine.risk_day import RiskDay
from copytrade.engine.risk_events import RiskEvents
from copytrade.engine.risk_limits import LimitBook
from copytrade.engine.roll import LedgerRoll

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis
    from copytrade.engine.drill_world import Scene
    from copytrade.engine.drills import Drill
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.ledger import Ledger

WAIT_MS: Final[Millis] = 1_000
"""How long a decision waits for a market or a book that does not come, and how long an order is given to fill."""
HALT_AFTER_MS: Final[Millis] = 60_000
DATABASE_MS_MAX: Final[Millis] = 1_000
ORDERS_MAX: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Life:
    """One life of the stages in one scene; a later one on the same ledger is a restart."""

    scene: Scene
    ledger: Ledger
    roll: LedgerRoll
    decide: Decide
    desk: DrillDesk
    account_id: str
    clock: Clock

    async def see(self, number: int, side: Side) -> RecordedFill:
        """Store a fill of the leader."""
        now_ms = self.clock.now_ms()
        told = made_up.seen(number, side, now_ms=now_ms, scene=self.scene)
        return (await self.ledger.ingest(told, now_ms=now_ms)).new[0]

    async def follow(self, recorded: RecordedFill) -> ExecutionAttempt:
        """Decide a fill, give its order time to be filled, and return the attempt."""
        await self.decide.decide(recorded)
        await self.clock.sleep_ms(WAIT_MS)
        found = await self.ledger.attempt(attempt_id(COPY_STRATEGY_ID, self.account_id, recorded.id))
        if found is None:
            raise LookupError(f"{recorded.id} was not decided")
        return found


def drill_all() -> list[Drilled]:
    """Trip everything that may refuse an entry, one after the other; the first result is of nothing tripped."""
    from copytrade.adapters.virtual_time import run_virtual

    wanted = [NOTHING, *drills().values()]
    return [run_virtual(partial(_drill, drill), epoch_ms=made_up.NOON_MS) for drill in wanted]


async def _drill(drill: Drill) -> Drilled:
    """Buy in a life in which nothing is tripped, then follow an entry and an exit in one in which it is."""
    from copytrade.adapters.memory import MemoryLedger

    ledger = MemoryLedger()
    await ledger.add_leader(made_up.a_leader())
    async with _living(ledger, made_up.PLAIN) as life:
        await life.follow(await life.see(1, Side.BUY))
    await ledger.change_leader(replace(made_up.a_leader(), **drill.scene.leader))
    async with _living(ledger, drill.scene) as life:
        bought, sold = await life.see(2, Side.BUY), await life.see(3, Side.SELL)
        await drill.trip(life.desk)
        entry = await life.follow(bought)
        return Drilled(drill=drill, entry=entry, exit=await life.follow(sold))


@asynccontextmanager
async def _living(ledger: Ledger, scene: Scene) -> AsyncIterator[_Life]:
    """Wire the stages, load what an earlier life left, and run them until the block ends."""
    from copytrade.adapters.paper.executor import PaperExecutor
    from copytrade.adapters.virtual_time import VirtualClock

    clock, books = VirtualClock(), made_up.MadeUpBooks(scene)
    at_once = Latency(median_ms=0)
    executor = PaperExecutor(
        books=books,
        clock=clock,
        decision_latency=at_once,
        submit_latency=at_once,
        seed=0,
        quote_stale_ms=WAIT_MS,
    )
    portfolio = Portfolio(strategy_id=COPY_STRATEGY_ID, account_id=executor.account_id)
    orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=ORDERS_MAX)
    shared: dict[str, Any] = {
        "ledger": ledger,
        "portfolio": portfolio,
        "notifier": Listeners(),
        "executor": executor,
    }
    life, risk = _stages(scene, books, orders, clock, shared)
    await life.roll.refresh()
    await portfolio.load(ledger)
    await life.decide.load()
    await risk.load()
    execute = Execute(orders=orders, clock=clock, stopped_by=risk.halts.stops, **shared)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (executor, Account(**shared), execute)]
        yield life
        for task in running:
            task.cancel()


def _stages(
    scene: Scene, books: made_up.MadeUpBooks, orders: asyncio.Queue[Approved], clock: Clock, shared: dict[str, Any]
) -> tuple[_Life, Risk]:
    ledger, registry, switch = shared["ledger"], made_up.MadeUpMarkets(scene), made_up.MadeUpSwitch()
    roll = LedgerRoll(ledger, clock)
    risk = _risk(registry, books, switch, clock, shared)
    nobody: Any = Nobody("a drill")
    decide = Decide(
        strategy_id=COPY_STRATEGY_ID,
        rules=replace(made_up.RULES, **scene.rules),
        waits=Waits(unmapped_ms=WAIT_MS, book_ms=WAIT_MS),
        roll=roll,
        registry=registry,
        books=books,
        risk=risk,
        leader_events=nobody,
        leader_values=nobody,
        inbox=Inbox(),
        orders=orders,
        clock=clock,
        **shared,
    )

    async def unfollow() -> None:
        await ledger.remove_leader(made_up.LEADER)
        await roll.refresh()

    desk = DrillDesk(risk=risk, throw_file=switch.throw, unfollow=unfollow)
    life = _Life(
        scene=scene,
        ledger=ledger,
        roll=roll,
        decide=decide,
        desk=desk,
        account_id=shared["executor"].account_id,
        clock=clock,
    )
    return life, risk


def _risk(
    registry: made_up.MadeUpMarkets,
    books: made_up.MadeUpBooks,
    switch: made_up.MadeUpSwitch,
    clock: Clock,
    shared: dict[str, Any],
) -> Risk:
    ledger, portfolio, notifier = shared["ledger"], shared["portfolio"], shared["notifier"]
    executor: ExecutionAdapter = shared["executor"]
    events = RiskEvents(ledger=ledger, notifier=notifier, clock=clock)
    halts = Halts(store=ledger, switch=switch, portfolio=portfolio, executor=executor, notifier=notifier, clock=clock)
    limits = LimitBook({}, ledger)
    return Risk(
        ledger=ledger,
        portfolio=portfolio,
        registry=registry,
        limits=limits,
        halts=halts,
        gates=Gates([], halt_after_ms=HALT_AFTER_MS, halts=halts, events=events, clock=clock),
        day=RiskDay(
            store=ledger,
            portfolio=portfolio,
            mark=BookMarks(books, registry).price,
            limits=limits,
            halts=halts,
            events=events,
            reset_hour=0,
            clock=clock,
        ),
        database=DatabaseGate(limit_ms=DATABASE_MS_MAX, clock=clock),
        events=events,
        clock=clock,
    )
