"""A run from its seed: a world, a worker that lives in it, more than once if need be, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from copytrade.domain.attempts import Decision, ExecutionAttempt
from copytrade.domain.fills import RecordedFill
from copytrade.domain.happenings import Decided, Happening
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.ledger import LedgerUnavailableError
from tests.simulation.checker import API_LAG_S, Checker
from tests.simulation.circumstances import PLAIN, START_MS, Circumstances, circumstances_of
from tests.simulation.faults import Trouble, drawn, heal, strike
from tests.simulation.host import HostLoop, host_loop
from tests.simulation.life import Life
from tests.simulation.signs import signs_of
from tests.simulation.stage import NewChronicle, Stage, open_stage
from tests.simulation.strikes_on_host import OFF_MS_MAX
from tests.simulation.venue_record import VenueRecord
from tests.simulation.weather import BOOK_TROUBLE, CLOCK_TROUBLE, FAULTS, left_out
from tests.virtual_time import run_virtual

FAULTS_S = (25, 50)
RECOVERY_S_MAX = 120
BACKOFF_S_MAX = 32
"""Whoever failed last may wait so long before he tries again."""
WARM_UP_S = 10
LULLS_OF = 4
"""One seed of so many has no lull."""
CALM_S = 8
REST_S_MAX = 60
RESTART_S = 1.0
DOWN_S = (0.0, 0.0, 0.0, 0.2, 0.2, 2.0, 2.0, 15.0, 15.0, 130.0)
"""The longest is so long that what happened meanwhile is read in ranges, not block by block."""
NOT_READY = frozenset({"NO_BOOK", "BOOK_STALE", "BOOK_CROSSED", "UNMAPPED", "TOO_OLD"})
POLLED_LAG_MS = 2_500
"""Polled books are as old as the interval and the way."""
SOCKET_LAG_MS = 300
TROUBLED_LAG_MS = 5_000 + 3_000 + 1_000
"""The oldest book that may be traded on, the slowest socket, and the way of a request."""
LOSSY_LAG_MS = 120_000
"""What a lost frame told is learnt from the next snapshot; once all is calm again, everybody has learnt it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What is left of a run: the ledger's rows, as text too, and the hash of all that was said on the way."""

    tried: tuple[ExecutionAttempt, ...]
    stored: tuple[RecordedFill, ...]
    executions: tuple[str, ...]
    attempts: tuple[str, ...]
    notes: tuple[str, ...]
    fills: tuple[str, ...]
    journal: str

    def digest(self) -> str:
        """Return one hash of everything."""
        rows = (*self.executions, *self.attempts, *self.notes, *self.fills, self.journal)
        return hashlib.blake2b("\n".join(rows).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a seed: every breach of a rule, and how much there was to break it."""

    seed: int
    circumstances: Circumstances
    breaches: tuple[str, ...]
    hits: Counter[str]
    signs: frozenset[str]
    deaths: Counter[str]
    ending: Ending
    lives: int
    is_recovered: bool
    recovered_ms: int
    simulated_ms: int


def ending_of(stage: Stage) -> Ending:
    """Read the ledger as it is now."""
    kept = stage.storage.kept()
    tried = tuple(kept.attempts.values())
    return Ending(
        tried=tried,
        stored=tuple(one.recorded for one in kept.fills.values()),
        executions=tuple(map(repr, kept.executions)),
        attempts=tuple(map(repr, tried)),
        notes=tuple(f"{at_ms} {code} {detail}" for at_ms, code, detail in stage.storage.events()),
        fills=tuple(repr((one.recorded, one.confirmed_at_ms, one.orphaned_at_ms)) for one in kept.fills.values()),
        journal=stage.journal.digest(),
    )


def quiet_day(
    seed: int,
    *,
    duration_ms: int,
    circumstances: Circumstances = PLAIN,
    new_chronicle: NewChronicle | None = None,
    meanwhile: Callable[[Stage], Coroutine[Any, Any, None]] | None = None,
) -> Ending:
    """Let a worker live for a while in a world where nothing breaks; `meanwhile` may do what an operator does."""

    async def main() -> Ending:
        async with open_stage(seed, circumstances, new_chronicle=new_chronicle) as stage:
            life = stage.new_life(0)
            living = asyncio.create_task(life.live(), name="life")
            operator = None if meanwhile is None else asyncio.create_task(meanwhile(stage), name="operator")
            await asyncio.sleep(duration_ms / 1000)
            if operator is not None:
                operator.cancel()
                await _ended(operator)
            life.kill()
            died_of = await living
            if died_of:
                raise died_of[0]
            return ending_of(stage)

    with quiet_logs():
        return run_virtual(main, epoch_ms=START_MS, seed=seed, loop=HostLoop)


def play(
    seed: int,
    *,
    say: Callable[[str], None] | None = None,
    without: Collection[str] = (),
    new_chronicle: NewChronicle | None = None,
) -> Run:
    """Play a seed: faults first, which nothing may break; then none, and all must come right within a bound."""

    async def main() -> Run:
        given = circumstances_of(seed)
        async with open_stage(seed, given, unfollowed=1, new_chronicle=new_chronicle) as stage:
            return await _Story(stage, say, without).play()

    with quiet_logs():
        return run_virtual(main, epoch_ms=START_MS, seed=seed, loop=HostLoop)


class _Story:
    def __init__(self, stage: Stage, say: Callable[[str], None] | None, without: Collection[str]) -> None:
        self._stage = stage
        self._storage = stage.storage
        self._down = random.Random(f"{stage.seed}:down")
        self._times = drawn(FAULTS, stage, without=left_out(stage.seed, without))
        self._checker = Checker(
            stage=stage,
            record=VenueRecord(stage.world),
            lag_ms=self._lag_ms,
            settings=stage.circumstances.settings(),
            clock_off_ms_max=OFF_MS_MAX if CLOCK_TROUBLE & set(self._times) else 0,
        )
        self._trouble = Trouble(stage=stage, kill=self._kill, life=self._number_of_life)
        self._breaches: dict[str, None] = {}
        self._life: Life | None = None
        self._lives = 0
        self._is_healed = False
        if say is not None:
            self._trouble.say = lambda text: say(f"{self._now_ms():>7} {text}")
            stage.announced.say = lambda happening: say(f"{self._now_ms():>7} {_told(happening)}")
            say(f"        {stage.circumstances}")
            say(f"        faults: {', '.join(self._times)}")

    def _now_ms(self) -> int:
        return self._stage.clock.true_ms() - START_MS

    async def play(self) -> Run:
        keeping = asyncio.create_task(self._keep_alive(), name="keeper")
        judging = asyncio.create_task(self._judge(), name="judge")
        length = random.Random(f"{self._stage.seed}:length").uniform(*FAULTS_S)
        await strike(self._trouble, FAULTS, times=self._times, within_s=length)
        await heal(self._trouble)
        self._is_healed = True
        healed_ms = self._now_ms()
        self._trouble.say("healed")
        is_recovered = await self._until(lambda: not self._checker.unready(), within_s=RECOVERY_S_MAX)
        if not is_recovered:
            self._breach(f"not recovered {RECOVERY_S_MAX} s after the faults stopped: {self._checker.unready()}")
        recovered_ms = self._now_ms() - healed_ms
        self._trouble.say(f"recovered after {recovered_ms} ms")
        await self._wait_out(max(0.0, BACKOFF_S_MAX - recovered_ms / 1000))
        await self._rest()
        for task in (keeping, judging):
            task.cancel()
            await _ended(task)
        if self._life is not None:
            self._life.kill()
        for complaint in host_loop().complaints:
            self._breach(complaint)
        ending = ending_of(self._stage)
        return Run(
            seed=self._stage.seed,
            circumstances=self._stage.circumstances,
            breaches=tuple(self._breaches),
            hits=self._trouble.hits,
            signs=signs_of(self._stage),
            deaths=self._stage.deaths,
            ending=ending,
            lives=self._lives,
            is_recovered=is_recovered,
            recovered_ms=recovered_ms,
            simulated_ms=self._now_ms(),
        )

    async def _wait_out(self, seconds: float) -> None:
        """Wait until the last failure is forgotten; mostly in a world that holds its breath, which costs nothing."""
        lull_s = max(0.0, seconds - WARM_UP_S) if self._stage.seed % LULLS_OF else 0.0
        flow = self._stage.world.flow
        flow.pause(paused=True)
        await asyncio.sleep(lull_s)
        flow.pause(paused=False)
        await asyncio.sleep(seconds - lull_s)

    async def _rest(self) -> None:
        """Copy for a while in calm weather; then let nothing new come, and judge what is left."""
        calm_from_ms = self._checker.calm_from_ms = self._stage.clock.true_ms()
        await asyncio.sleep(CALM_S)
        if why := self._checker.unready() or self._skipped_since(calm_from_ms):
            self._breach(f"not ready in calm weather: {why}")
        self._stage.world.flow.pause(paused=True)
        if not self._stage.circumstances.reads_the_chain:
            await asyncio.sleep(API_LAG_S + 1)
        await self._until(lambda: not any(self._checker.finally_()), within_s=REST_S_MAX)
        for breach in (*self._checker.finally_(), *crossed_trades(self._stage)):
            self._breach(breach)

    def _breach(self, text: str) -> None:
        if text not in self._breaches:
            self._trouble.say(f"BREACH {text}")
        self._breaches[text] = None

    def _number_of_life(self) -> int | None:
        return None if self._life is None else self._life.number

    def _kill(self) -> bool:
        if self._life is None:
            return False
        self._life.kill()
        self._checker.note_death()
        self._life = None
        return True

    async def _keep_alive(self) -> None:
        """Start the worker again whenever it ended, as a service manager does."""
        while True:
            self._life = self._stage.new_life(self._lives)
            self._lives += 1
            died_of = await self._life.live()
            self._trouble.say(f"the worker ended: {died_of or 'killed'}")
            for error in died_of:
                self._judge_death(error)
            if died_of:
                self._checker.note_death()
                self._life = None
            await self._stay_down(RESTART_S if died_of else self._down.choice(DOWN_S))

    async def _stay_down(self, seconds: float) -> None:
        """Wait so long, but not beyond the end of all trouble."""
        end_ms = self._now_ms() + seconds * 1000
        while (left_s := (end_ms - self._now_ms()) / 1000) > 0 and not self._is_healed:
            step_s = min(left_s, RESTART_S)
            self._checker.down_ms += round(step_s * 1000)
            await asyncio.sleep(step_s)

    def _judge_death(self, error: BaseException) -> None:
        """Only a database that failed and, while it lies, a venue that makes no sense may end the worker."""
        if isinstance(error, LedgerUnavailableError):
            return
        if isinstance(error, SourceUnusableError) and not self._is_healed:
            return
        self._breach(f"the worker died of {type(error).__name__}: {error}")

    async def _judge(self) -> None:
        while True:
            await asyncio.sleep(self._storage.judged_every_s)
            for breach in self._checker.always():
                self._breach(breach)

    async def _until(self, is_true: Callable[[], bool], *, within_s: int) -> bool:
        for _ in range(within_s * 2):
            if is_true():
                return True
            await asyncio.sleep(0.5)
        return is_true()

    def _skipped_since(self, since_ms: int) -> str:
        """Say which fill of a block mined since then was skipped for a reason that lies with us."""
        kept = self._storage.kept()
        for attempt in kept.attempts.values():
            stored = kept.fills.get(attempt.leader_fill_id)
            codes = NOT_READY & {one.code for one in attempt.reasons}
            if stored is not None and stored.recorded.fill.fill_ts_ms >= since_ms and codes:
                return f"attempt {attempt.id} was skipped for {sorted(codes)}"
        return ""

    def _lag_ms(self, token_id: str, at_ms: int) -> int:
        """Return how old what a worker saw of a book at a true time may be."""
        stage = self._stage
        market = stage.world.exchange.catalogue.by_token_text(token_id)
        condition = "" if market is None else market.condition
        late = (one for one in stage.conditions.losses if one.at_ms <= at_ms <= one.at_ms + LOSSY_LAG_MS)
        if at_ms < self._checker.calm_from_ms and any(one.is_about(condition) for one in late):
            return LOSSY_LAG_MS
        if BOOK_TROUBLE & set(self._times):
            return TROUBLED_LAG_MS
        return POLLED_LAG_MS if stage.circumstances.bookstore_mode == "rest" else SOCKET_LAG_MS


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for a cancelled task, raising what else it may have ended of."""
    with suppress(asyncio.CancelledError):
        await task


def _told(happening: Happening) -> str:
    text = f"{type(happening).__name__} {happening}"
    if isinstance(happening, Decided):
        attempt = happening.attempt
        codes = [one.as_json() for one in attempt.reasons]
        text = f"Decided {attempt.id} {attempt.decision} {attempt.side} of {happening.recorded.id} {codes}"
    return text[:900]


def crossed_trades(stage: Stage) -> list[str]:
    """Return the trades that were decided on a crossed book, by what the worker told of it."""
    return [
        f"attempt {told.attempt.id} was decided on a crossed book"
        for told in stage.announced.told
        if isinstance(told, Decided) and told.attempt.decision is Decision.TRADE and told.book and told.book.is_crossed
    ]


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep log events below critical to ourselves: rendering them would take most of the time."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
