"""A run from its seed: a world, a worker that lives in it, more than once if need be, and what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import structlog

from copytrade.domain.attempts import Decision, ExecutionAttempt
from copytrade.domain.fills import RecordedFill
from copytrade.domain.happenings import Decided, Happening
from copytrade.ports.leader_fills import SourceUnusableError
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.ports.recording import Chronicle
from copytrade.sandbox.server import serve_in_process
from tests.simulation.checker import Checker, Touches
from tests.simulation.faults import Trouble, heal, strike
from tests.simulation.life import Life
from tests.simulation.stage import START_MS, Stage, open_stage, world_of
from tests.virtual_time import run_virtual

FAULTS_S = (25, 50)
RECOVERY_S_MAX = 120
BACKOFF_S_MAX = 32
"""Whoever failed last may wait so long before he tries again."""
CALM_S = 8
REST_S_MAX = 60
RESTART_S = 1.0
DOWN_S = (0.0, 0.0, 0.2, 2.0, 15.0)
NOT_READY = frozenset({"NO_BOOK", "BOOK_STALE", "BOOK_CROSSED", "UNMAPPED", "TOO_OLD"})


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
    breaches: tuple[str, ...]
    hits: Counter[str]
    ending: Ending
    lives: int
    recovered_ms: int
    simulated_ms: int


def ending_of(stage: Stage) -> Ending:
    """Read the ledger as it is now."""
    ledger = stage.ledger
    tried = tuple(ledger._attempts.values())
    return Ending(
        tried=tried,
        stored=tuple(one.recorded for one in ledger.stored.values()),
        executions=tuple(map(repr, ledger.executions)),
        attempts=tuple(map(repr, tried)),
        notes=tuple(f"{event.at_ms} {event.code} {json.dumps(event.detail)}" for event in ledger.events),
        fills=tuple(repr((one.recorded, one.confirmed_at_ms, one.orphaned_at_ms)) for one in ledger.stored.values()),
        journal=stage.journal.digest(),
    )


def quiet_day(seed: int, *, duration_ms: int, new_chronicle: Callable[[], Chronicle] | None = None) -> Ending:
    """Let a worker live for a while in a world where nothing breaks."""

    async def main() -> Ending:
        async with serve_in_process(world_of(seed)) as (venue, world):
            stage = await open_stage(seed, venue, world, new_chronicle=new_chronicle)
            life = stage.new_life(0)
            living = asyncio.create_task(life.live(), name="life")
            await asyncio.sleep(duration_ms / 1000)
            life.kill()
            died_of = await living
            if died_of:
                raise died_of[0]
            return ending_of(stage)

    with quiet_logs():
        return run_virtual(main, epoch_ms=START_MS, seed=seed)


def play(
    seed: int, *, say: Callable[[str], None] | None = None, new_chronicle: Callable[[], Chronicle] | None = None
) -> Run:
    """Play a seed: faults first, which nothing may break; then none, and all must come right within a bound."""

    async def main() -> Run:
        async with serve_in_process(world_of(seed)) as (venue, world):
            stage = await open_stage(seed, venue, world, followed=len(world.leaders) - 1, new_chronicle=new_chronicle)
            return await _Story(stage, say).play()

    with quiet_logs():
        return run_virtual(main, epoch_ms=START_MS, seed=seed)


class _Story:
    def __init__(self, stage: Stage, say: Callable[[str], None] | None) -> None:
        self._stage = stage
        self._rng = random.Random(f"{stage.seed}:faults")
        self._down = random.Random(f"{stage.seed}:down")
        self._checker = Checker(ledger=stage.ledger, world=stage.world, touches=Touches(stage.world))
        self._trouble = Trouble(stage=stage, rng=self._rng, kill=self._kill)
        self._breaches: dict[str, None] = {}
        self._life: Life | None = None
        self._lives = 0
        self._is_healed = False
        if say is not None:
            self._trouble.say = lambda text: say(f"{self._now_ms():>7} {text}")
            stage.announced.say = lambda happening: say(f"{self._now_ms():>7} {_told(happening)}")

    def _now_ms(self) -> int:
        return self._stage.clock.now_ms() - START_MS

    async def play(self) -> Run:
        keeping = asyncio.create_task(self._keep_alive(), name="keeper")
        judging = asyncio.create_task(self._judge(), name="judge")
        await strike(self._trouble, within_s=self._rng.uniform(*FAULTS_S))
        await heal(self._trouble)
        self._is_healed = True
        healed_ms = self._now_ms()
        self._trouble.say("healed")
        if not await self._until(self._is_ready, within_s=RECOVERY_S_MAX):
            self._breach(f"not recovered {RECOVERY_S_MAX} s after the faults stopped: {self._unready()}")
        recovered_ms = self._now_ms() - healed_ms
        self._trouble.say(f"recovered after {recovered_ms} ms")
        await asyncio.sleep(max(0, BACKOFF_S_MAX - recovered_ms / 1000))
        calm_from_ms = self._stage.clock.now_ms()
        await asyncio.sleep(CALM_S)
        if why := self._unready() or self._skipped_since(calm_from_ms):
            self._breach(f"not ready in calm weather: {why}")
        self._stage.world.flow.pause(paused=True)
        await self._until(lambda: not any(self._checker.finally_()), within_s=REST_S_MAX)
        for breach in (*self._checker.finally_(), *crossed_trades(self._stage)):
            self._breach(breach)
        for task in (keeping, judging):
            task.cancel()
            await _ended(task)
        if self._life is not None:
            self._life.kill()
        return Run(
            seed=self._stage.seed,
            breaches=tuple(self._breaches),
            hits=self._trouble.hits,
            ending=ending_of(self._stage),
            lives=self._lives,
            recovered_ms=recovered_ms,
            simulated_ms=self._now_ms(),
        )

    def _breach(self, text: str) -> None:
        if text not in self._breaches:
            self._trouble.say(f"BREACH {text}")
        self._breaches[text] = None

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
            await asyncio.sleep(RESTART_S if died_of else self._down.choice(DOWN_S))

    def _judge_death(self, error: BaseException) -> None:
        """Only a database that failed and, while it lies, a venue that makes no sense may end the worker."""
        if isinstance(error, LedgerUnavailableError):
            return
        if isinstance(error, SourceUnusableError) and not self._is_healed:
            return
        self._breach(f"the worker died of {type(error).__name__}: {error}")

    async def _judge(self) -> None:
        while True:
            await asyncio.sleep(1)
            for breach in self._checker.always():
                self._breach(breach)

    async def _until(self, is_true: Callable[[], bool], *, within_s: int) -> bool:
        for _ in range(within_s * 2):
            if is_true():
                return True
            await asyncio.sleep(0.5)
        return is_true()

    def _is_ready(self) -> bool:
        return not self._unready()

    def _unready(self) -> str:
        """Say what keeps the worker from copying right now."""
        behind = self._stage.world.chain.head.number - self._checker.covered()
        if behind > 2:
            return f"{behind} blocks behind"
        return ""

    def _skipped_since(self, since_ms: int) -> str:
        """Say which fill of a block mined since then was skipped for a reason that lies with us."""
        for attempt in self._stage.ledger._attempts.values():
            stored = self._stage.ledger.stored.get(attempt.leader_fill_id)
            codes = NOT_READY & {one.code for one in attempt.reasons}
            if stored is not None and stored.recorded.fill.fill_ts_ms >= since_ms and codes:
                return f"attempt {attempt.id} was skipped for {sorted(codes)}"
        return ""


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
    return text[:300]


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
