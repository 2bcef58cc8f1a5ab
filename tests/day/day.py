"""A day of the whole worker on virtual time: dozens of leaders, hundreds of markets, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from copytrade.domain.units import format_micro, parse_micro
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.sandbox.venue import Venue
from tests.day.bustle import Bustle, Plan
from tests.day.outages import OUTAGES, Trouble
from tests.day.reckoning import Reckoning, reckon
from tests.day.setting import DRAWDOWN_USDC, cancelled, open_stage, settings_at
from tests.day.storm import Storm
from tests.day.witness import Witness, drawdown_began
from tests.simulation import fill_rules
from tests.simulation.host import HostLoop, host_loop
from tests.simulation.life import Life
from tests.simulation.stage import Stage
from tests.simulation.story import DOWN_S, quiet_logs
from tests.virtual_time import run_virtual

MIDNIGHT_MS = 1_795_046_400_000
"""A UTC midnight: the day of the account begins anew in the middle of the run."""
HOUR_MS = 3_600_000
TOLERANCE_USDC = DRAWDOWN_USDC // 10
"""By so much the worker's marks may differ from the books of this very instant."""
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
    faults: Counter[str] = field(default_factory=Counter)
    """By class, those that had an effect, beside the outages."""
    reckoning: Reckoning | None = None


def play(path: Path, *, seed: int, hours: float, plan: Plan, say: Callable[[str], None], faults: int = 0) -> Outcome:
    """Live through a day with its ledger in a new SQLite file at `path`, and judge what is left.

    With `faults`, so many of those of the simulation strike beside the day's own outages.
    """
    schema.upgrade(f"sqlite:///{path}")
    outcome = Outcome()
    start_ms = MIDNIGHT_MS - int(hours * HOUR_MS) // 2

    async def main() -> int:
        async with open_stage(path, seed, start_ms, plan, has_second_node=faults > 0) as (stage, bustle, venue):
            witness = Witness(path, stage.world)
            day = _Day(
                stage, bustle, venue=venue, witness=witness, outcome=outcome, hours=hours, say=say, faults=faults
            )
            await day.live()
            return stage.clock.now_ms()

    with quiet_logs():
        now_ms = run_virtual(main, epoch_ms=start_ms, seed=seed, loop=HostLoop)
    say("audit")
    _audit(path, now_ms, outcome)
    asyncio.run(_add_up(path, outcome))
    return outcome


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
        faults: int,
    ) -> None:
        self._stage = stage
        self._bustle = bustle
        self._witness = witness
        self._outcome = outcome
        self._length_s = hours * 3_600
        self._say = say
        self._life: Life | None = None
        self._down_s = RESTART_S
        self._amiss_now = 0
        self._well_since_ms = stage.clock.now_ms()
        """Since when nothing was out of order, if nothing is."""
        self._seen: set[int] = set()
        self._thrown_ms: int | None = None
        self._owed_since_ms: int | None = None
        self._is_second_day = False
        self._trouble = Trouble(stage, venue.faults, self._kill, length_s=self._length_s / 60)
        self._storm = Storm(
            stage=stage,
            faults=faults,
            length_s=self._length_s,
            kill=lambda: self._kill(self._trouble.rng.choice(DOWN_S)),
            life=lambda: None if self._life is None else self._life.number,
            amiss=self._amiss,
        )
        stage.announced.say = self._hear

    async def live(self) -> None:
        """Let the day pass, then rest, then stop."""
        self._bustle.begin()
        others = [
            asyncio.create_task(work(), name=work.__name__)
            for work in (self._keep_alive, self._watch, self._go_wrong, self._operate, self._turn_the_day)
        ]
        raging = asyncio.create_task(self._storm.rage(), name="storm")
        await asyncio.sleep(self._length_s)
        self._bustle.end()
        await cancelled(raging, *others[2:])
        await self._storm.calm()
        await asyncio.sleep(CALM_S)
        self._judge_rest()
        await cancelled(*others[:2])
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
                is_lied_to = self._storm.faults and isinstance(error, SourceUnusableError)
                if not isinstance(error, LedgerUnavailableError) and not is_lied_to:
                    self._breach(f"the worker died of {type(error).__name__}: {error}")
            self._life = None
            await asyncio.sleep(self._down_s)
            self._down_s = RESTART_S
            self._well_since_ms = self._now_ms()

    def _kill(self, down_s: float) -> bool:
        """End the worker; False if none lives."""
        life, self._life = self._life, None
        if life is not None:
            self._down_s = down_s
            life.kill()
        return life is not None

    @contextmanager
    def _amiss(self) -> Iterator[None]:
        """Tell those who judge that something is out of order meanwhile."""
        self._amiss_now += 1
        try:
            yield
        finally:
            self._amiss_now -= 1
            self._well_since_ms = self._now_ms()

    async def _go_wrong(self) -> None:
        """One thing after the other, with rest between; never around midnight, when the day is measured."""
        pause_s = self._length_s / (2 * len(OUTAGES) + 2)
        await asyncio.sleep(pause_s)
        while True:
            for name, outage in OUTAGES.items():
                while abs(self._now_ms() - MIDNIGHT_MS) < 4 * self._trouble.length_s * 1_000:
                    await asyncio.sleep(self._trouble.length_s)
                self._tell(name)
                with self._amiss():
                    await outage(self._trouble)
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
        if not self._amiss_now and seen_for_ms > OWED_AFTER_S * 1_000:
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
        kept = self._stage.storage.kept()
        self._outcome.reckoning = reckon(kept, self._stage.world)
        for breach in (
            *fill_rules.fills_are_the_chains(kept, self._stage.world),
            *fill_rules.identities_hold(kept, self._stage.world),
            *fill_rules.every_fill_has_an_end(kept),
        ):
            self._breach(breach)
        self._outcome.faults = self._storm.struck
        if self._outcome.faults.total() < self._storm.faults:
            self._breach(f"only {self._outcome.faults.total()} faults struck")

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
