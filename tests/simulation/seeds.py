"""Playing many seeds, in as many processes as there are cores, and telling what came of them."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.faults import COUNTED
from tests.simulation.story import Run, play

PROGRESS_S = 10.0
VACUOUS_BELOW = 20
"""Fewer seeds than this need not have met every class of fault."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What has come of the seeds played so far."""

    seeds: int = 0
    lives: int = 0
    fills: int = 0
    attempts: int = 0
    executions: int = 0
    simulated_ms: int = 0
    recovered_ms_max: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Count a run."""
        self.seeds += 1
        self.lives += run.lives
        self.fills += len(run.ending.fills)
        self.attempts += len(run.ending.attempts)
        self.executions += len(run.ending.executions)
        self.simulated_ms += run.simulated_ms
        self.recovered_ms_max = max(self.recovered_ms_max, run.recovered_ms)
        self.hits.update(run.hits)
        if run.breaches:
            self.failed.append(run.seed)

    def missing(self) -> list[str]:
        """Return the classes of faults that never struck, and what never happened, in enough seeds for all."""
        if self.seeds < VACUOUS_BELOW:
            return []
        happened = {"fills": self.fills, "attempts": self.attempts, "executions": self.executions}
        return [name for name in COUNTED if not self.hits[name]] + [name for name in happened if not happened[name]]


def show_one(seed: int, *, verbose: bool) -> int:
    """Play one seed and tell its trace hash."""
    run = play(seed, say=print if verbose else None)
    _tell_breaches(run)
    print(f"seed {seed}: {len(run.breaches)} breaches, {run.lives} lives, {sum(run.hits.values())} faults, ", end="")
    print(f"{len(run.ending.fills)} fills, trace {run.ending.digest()}")
    return 1 if run.breaches else 0


def play_many(seeds: Iterable[int], *, jobs: int = 0) -> int:
    """Play seeds, telling how far it has come; 1 if one of them broke a rule or all together proved nothing."""
    wanted = list(seeds)
    tally, begun_s, told_s = Tally(), time.monotonic(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1) as pool:
        for run in pool.imap_unordered(play, wanted):
            tally.add(run)
            if run.breaches:
                _tell_breaches(run)
            if time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                print(f"{tally.seeds} of {len(wanted)} seeds, {len(tally.failed)} failed", flush=True)
    _tell_tally(tally, time.monotonic() - begun_s)
    return 1 if tally.failed or tally.missing() else 0


def _tell_breaches(run: Run) -> None:
    for breach in run.breaches[:10]:
        print(f"seed {run.seed}: {breach}")
    if run.breaches:
        print(f"seed {run.seed}: trace {run.ending.digest()}; again with", end=" ")
        print(f"`.venv/bin/python -m tests.simulation --seed {run.seed} -v`", flush=True)


def _tell_tally(tally: Tally, took_s: float) -> None:
    hours = tally.simulated_ms / 3_600_000
    print(f"{tally.seeds} seeds in {took_s:.0f} s: {hours:.1f} simulated hours, {tally.lives} lives, ", end="")
    print(f"{tally.fills} fills, {tally.attempts} attempts, {tally.executions} executions")
    print(f"slowest recovery {tally.recovered_ms_max / 1000:.1f} s after the faults stopped")
    for name in COUNTED:
        print(f"  {name:<18} {tally.hits[name]:>6}")
    if missing := tally.missing():
        print(f"VACUOUS: never met {', '.join(missing)}")
    print(f"FAILED: {sorted(tally.failed)}" if tally.failed else "no rule was broken")
