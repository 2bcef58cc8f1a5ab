"""A day of the whole worker on virtual time: dozens of leaders, hundreds of markets, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from copytrade import app
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.reports import SqlReports
from copytrade.domain.attempts import Decision
from copytrade.domain.fills import Side
from copytrade.domain.halts import BY_GATE
from copytrade.domain.happenings import Decided, Happening, Noted
from copytrade.domain.units import MICRO, format_micro, parse_micro
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.sandbox.clock import LoopClock
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.rpc import RpcService
from copytrade.sandbox.venue import Venue
from copytrade.sandbox.world import World, WorldConfig
from copytrade.settings import Settings
from tests.day.bustle import Bustle, Plan
from tests.day.outages import OUTAGES, Trouble
from tests.day.witness import Witness, drawdown_began
from tests.simulation.circumstances import Circumstances
from tests.simulation.host import HostClock, HostLoop, host_loop
from tests.simulation.life import Life
from tests.simulation.network import Conditions, Journal, SecondNode
from tests.simulation.stage import Stage
from tests.simulation.storage import SqliteStorage
from tests.simulation.story import quiet_logs
from tests.virtual_time import run_virtual

MIDNIGHT_MS = 1_795_046_400_000
"""A UTC midnight: the day of the account begins anew in the middle of the run."""
HOUR_MS = 3_600_000
BLOCK_MS = 12_000
DRAWDOWN_USDC = 150 * MICRO
TOLERANCE_USDC = DRAWDOWN_USDC // 10
"""By so much the worker's marks may differ from the books of this very instant."""
OPEN_USDC = 2_000 * MICRO
LOOK_EVERY_S = 10
OWED_AFTER_S = 60
"""A loss beyond the limit that lasts so long, with a worker that is well, must have thrown the switch."""
RESTART_S = 1.0
PERSON_AFTER_S = 90
"""Somebody resumes what a gate halted for a person after so long."""
CALM_S = 240
NEAR_MISS = (60, 100)
"""The second day is brought so near to the limit, in percent."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a day; nothing is wrong when `breaches` is empty."""

    breaches: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    thrown_at_loss: list[int] = field(default_factory=list)
    """What was lost, in micro-USDC, each time the drawdown switch was thrown."""
    most_lost_unthrown: int = 0
    """The greatest loss of the second day that threw nothing."""
    account: dict[str, str] = field(default_factory=dict)


def play(path: Path, *, seed: int, hours: float, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """Live through a day with its ledger in a new SQLite file at `path`, and judge what is left."""
    schema.upgrade(f"sqlite:///{path}")
    outcome = Outcome()
    start_ms = MIDNIGHT_MS - int(hours * HOUR_MS) // 2

    async def main() -> int:
        async with _open_stage(path, seed, start_ms, plan) as (stage, bustle, venue):
            witness = Witness(path, stage.world)
            await _Day(stage, bustle, venue=venue, witness=witness, outcome=outcome, hours=hours, say=say).live()
            return stage.clock.now_ms()

    with quiet_logs():
        now_ms = run_virtual(main, epoch_ms=start_ms, seed=seed, loop=HostLoop)
    say("audit")
    _audit(path, now_ms, outcome)
    asyncio.run(_add_up(path, outcome))
    return outcome


def settings_at(path: Path) -> Settings:
    """Return what the worker of a day runs with."""
    changes: dict[str, object] = {
        "database_url": type(Circumstances().settings().database_url)(f"sqlite:///{path}"),
        "copy_ratio": 400_000,
        "data_api_poll_interval_ms": 60_000,
        "polygon_poll_interval_ms": 6_000,
        "quote_fresh_ms": 5_000,
        "quote_stale_ms": 15_000,
        "chain_lag_max_ms": 60_000,
        "equity_interval_ms": 300_000,
        "risk_daily_drawdown_usdc": DRAWDOWN_USDC,
        "risk_max_open_usdc": OPEN_USDC,
        "risk_max_usdc_per_leader": 300 * MICRO,
        "risk_max_usdc_per_market": 80 * MICRO,
        "risk_max_usdc_per_event": 150 * MICRO,
        "risk_max_open_positions": 150,
        "halt_file": path.with_suffix(".halt"),
    }
    return Circumstances(is_sqlite=True).settings().model_copy(update=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting(Circumstances):
    path: Path

    def settings(self) -> Settings:
        return settings_at(self.path)


@asynccontextmanager
async def _open_stage(path: Path, seed: int, start_ms: int, plan: Plan) -> AsyncIterator[tuple[Stage, Bustle, Venue]]:
    config = WorldConfig(
        start_ms=start_ms, seed=seed, block_ms=BLOCK_MS, history_blocks=20, filler_markets=0, invented_flow=False
    )
    world = World(config, listings=())
    bustle = Bustle(world, plan)
    clock = HostClock()
    loop_clock = LoopClock(start_ms=start_ms)
    venue = Venue(world=world, now_ms=loop_clock.now_ms, recording=None)
    storage = SqliteStorage(path)
    stage = Stage(
        seed=seed,
        circumstances=_Setting(is_sqlite=True, path=path),
        venue=LocalVenue(venue),
        second_node=SecondNode(lambda faults: RpcService(chain=world.chain, faults=faults)),
        world=world,
        storage=storage,
        clock=clock,
        journal=Journal(clock.true_ms),
        conditions=Conditions(),
    )
    for leader in world.leaders:
        await stage.follow(leader.address, since_ms=start_ms)
    driving = asyncio.create_task(_drive(world, loop_clock), name="world")
    try:
        yield stage, bustle, venue
    finally:
        await _cancelled(driving)
        storage.close()


async def _drive(world: World, clock: LoopClock) -> None:
    """Let everything happen at its own time."""
    while True:
        world.advance(clock.now_ms())
        due_ms = world.timeline.next_ms
        wait_ms = 1_000 if due_ms is None else min(max(due_ms - clock.now_ms(), 1), 1_000)
        await asyncio.sleep(wait_ms / 1_000)


class _Day:
    def __init__(
        self,
        stage: Stage,
        bustle: Bustle,
        *,
        venue: Venue,
        witness: Witness,
        outcome: Outcome,
        hours: float,
        say: Callable[[str], None],
    ) -> None:
        self._stage = stage
        self._bustle = bustle
        self._witness = witness
        self._outcome = outcome
        self._length_s = hours * 3_600
        self._say = say
        self._life: Life | None = None
        self._down_s = RESTART_S
        self._well_since_ms = stage.clock.now_ms()
        """Since when nothing was out of order."""
        self._seen: set[int] = set()
        self._thrown_ms: int | None = None
        self._owed_since_ms: int | None = None
        self._is_second_day = False
        self._trouble = Trouble(stage, venue.faults, self._kill, length_s=self._length_s / 60)
        stage.announced.say = self._hear

    async def live(self) -> None:
        """Let the day pass, then rest, then stop."""
        self._bustle.begin()
        others = [
            asyncio.create_task(work(), name=work.__name__)
            for work in (self._keep_alive, self._watch, self._go_wrong, self._operate, self._turn_the_day)
        ]
        await asyncio.sleep(self._length_s)
        self._bustle.end()
        await _cancelled(*others[2:])
        await asyncio.sleep(CALM_S)
        self._judge_rest()
        await _cancelled(*others[:2])
        if self._life is not None:
            self._life.kill()
        self._count()
        self._witness.close()

    async def _keep_alive(self) -> None:
        """Start the worker again whenever it ended, as a service manager does."""
        number = 0
        while True:
            self._life = self._stage.new_life(number)
            number += 1
            self._outcome.counts["lives"] += 1
            for error in await self._life.live():
                if not isinstance(error, LedgerUnavailableError):
                    self._breach(f"the worker died of {type(error).__name__}: {error}")
            self._life = None
            await asyncio.sleep(self._down_s)
            self._down_s = RESTART_S
            self._well_since_ms = self._now_ms()

    def _kill(self, down_s: float) -> None:
        self._down_s = down_s
        if self._life is not None:
            self._life.kill()

    async def _go_wrong(self) -> None:
        """One thing after the other, with rest between; never around midnight, when the day is measured."""
        pause_s = self._length_s / (2 * len(OUTAGES) + 2)
        await asyncio.sleep(pause_s)
        while True:
            for name, outage in OUTAGES.items():
                while abs(self._now_ms() - MIDNIGHT_MS) < 4 * self._trouble.length_s * 1_000:
                    await asyncio.sleep(self._trouble.length_s)
                self._tell(name)
                self._well_since_ms = 1 << 62
                await outage(self._trouble)
                self._well_since_ms = self._now_ms()
                self._outcome.counts[f"outage {name}"] += 1
                await asyncio.sleep(pause_s * 0.6)

    async def _operate(self) -> None:
        """Resume what only a person may, a while after it was halted."""
        while True:
            await asyncio.sleep(PERSON_AFTER_S)
            for halt in await self._stage.storage.ledger.open_halts():
                lasts_ms = self._now_ms() - halt.started_at_ms
                if halt.cause.startswith(BY_GATE) and lasts_ms > PERSON_AFTER_S * 1_000:
                    await self._stage.storage.ledger.resume(halt.cause, by="somebody", at_ms=self._now_ms())
                    self._outcome.counts["resumed by a person"] += 1

    async def _turn_the_day(self) -> None:
        """Ruin the first day, begin another at midnight, and bring that one near to ruin."""
        await asyncio.sleep(self._length_s / 4)
        self._tell("the first day is ruined")
        self._bustle.ruin(self._witness.held(), up_to_usdc=3 * DRAWDOWN_USDC)
        await asyncio.sleep((MIDNIGHT_MS - self._now_ms()) / 1_000)
        self._witness.begin_day()
        self._is_second_day = True
        self._owed_since_ms = None
        await asyncio.sleep(self._length_s / 6)
        least, _ = NEAR_MISS
        missing = DRAWDOWN_USDC * least // 100 - self._witness.loss().most
        self._tell(f"the second day loses {format_micro(max(0, missing))}")
        self._bustle.ruin(self._witness.held(), up_to_usdc=max(0, missing))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            is_open = self._witness.drawdown_is_open()
            if not is_open:
                self._thrown_ms = None
            lost = self._witness.loss()
            if self._is_second_day and not is_open:
                self._outcome.most_lost_unthrown = max(self._outcome.most_lost_unthrown, lost.least)
            self._judge_owed(lost.least, is_open=is_open)

    def _judge_owed(self, lost: int, *, is_open: bool) -> None:
        """A loss beyond the limit throws the switch, unless the worker could not have seen it."""
        now_ms = self._now_ms()
        if is_open or lost < DRAWDOWN_USDC + TOLERANCE_USDC:
            self._owed_since_ms = None
            return
        self._owed_since_ms = self._owed_since_ms or now_ms
        seen_for_ms = now_ms - max(self._owed_since_ms, self._well_since_ms)
        if seen_for_ms > OWED_AFTER_S * 1_000:
            self._breach(f"{format_micro(lost)} USDC are lost, and the drawdown switch is not thrown")

    def _hear(self, happening: Happening) -> None:
        if isinstance(happening, Noted) and happening.code == "HALTED":
            self._outcome.counts[f"halt {happening.detail.get('cause')}"] += 1
            began_ms = drawdown_began(dict(happening.detail))
            if began_ms is not None and began_ms not in self._seen:
                self._seen.add(began_ms)
                self._judge_throw(began_ms)
        if isinstance(happening, Decided):
            self._judge_decision(happening)

    def _judge_throw(self, began_ms: int) -> None:
        lost = self._witness.loss().most
        self._thrown_ms = began_ms
        self._outcome.thrown_at_loss.append(lost)
        self._tell(f"the drawdown switch is thrown at a loss of {format_micro(lost)}")
        if lost < DRAWDOWN_USDC - TOLERANCE_USDC:
            self._breach(f"the drawdown switch was thrown at a loss of {format_micro(lost)} USDC")

    def _judge_decision(self, told: Decided) -> None:
        attempt = told.attempt
        self._outcome.counts[f"{attempt.decision} {attempt.side}"] += 1
        for one in attempt.reasons if attempt.decision is Decision.SKIP else ():
            self._outcome.counts[f"refused {one.code}"] += 1
        is_entry = attempt.decision is Decision.TRADE and attempt.side is Side.BUY
        is_after = self._thrown_ms is not None and attempt.decided_at_ms > self._thrown_ms
        if is_entry and is_after and self._witness.drawdown_is_open():
            self._breach(f"attempt {attempt.id} enters while the drawdown switch is thrown")

    def _judge_rest(self) -> None:
        for token in self._witness.unsettled():
            self._breach(f"token {token} is held although its market has resolved")
        for complaint in host_loop().complaints:
            self._breach(complaint)

    def _count(self) -> None:
        kept = self._stage.storage.kept()
        counts = self._outcome.counts
        counts["leaders"] = len(kept.leaders)
        counts["leader fills"] = len(kept.fills)
        counts["attempts"] = len(kept.attempts)
        counts["executions"] = len(kept.executions)
        counts["positions"] = len(kept.positions)
        counts["settlements"] = sum(map(len, kept.entries.values())) - len(kept.executions)
        counts["markets"] = self._bustle.opened
        counts["markets resolved"] = self._bustle.resolved
        counts["markets void"] = self._bustle.voids
        counts["simulated s"] = host_loop().elapsed_ns // 1_000_000_000

    def _now_ms(self) -> int:
        return self._stage.clock.now_ms()

    def _tell(self, text: str) -> None:
        hours = (self._now_ms() - MIDNIGHT_MS) / HOUR_MS
        self._say(f"{hours:+8.2f} h  {text}")

    def _breach(self, text: str) -> None:
        if text not in self._outcome.breaches:
            self._tell(f"BREACH {text}")
            self._outcome.breaches.append(text)


def _audit(path: Path, now_ms: int, outcome: Outcome) -> None:
    """Let the audit of the command line judge the file."""
    for verdict in app.audit_ledger(settings_at(path), now_ms=now_ms, tell=lambda *_: None):
        outcome.counts["rows audited"] += verdict.rows
        outcome.breaches += [f"audit: {breach}" for breach in verdict.breaches]


async def _add_up(path: Path, outcome: Outcome) -> None:
    """PnL by whatever it is cut must be the account's, to the micro-unit."""
    async with open_database(f"sqlite:///{path}") as database:
        reports = SqlReports(database)
        (account,) = await reports.accounts()
        cuts = {
            "leader": await reports.pnl_by_leader(),
            "market": await reports.pnl_by_market(),
            "category": await reports.pnl_by_category(),
            "day": await reports.pnl_by_day(),
        }
    for cut, rows in cuts.items():
        for column in ("realized_pnl_usdc", "fees_usdc"):
            total = sum(parse_micro(row[column]) for row in rows)
            if total != parse_micro(account[column]):
                outcome.breaches.append(f"{column} by {cut} is {format_micro(total)}, the account's {account[column]}")
    outcome.account = {name: str(account[name]) for name in ("cash_usdc", "realized_pnl_usdc", "fees_usdc")}


async def _cancelled(*tasks: asyncio.Task[None]) -> None:
    """End tasks, raising what else one may have ended of."""
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
