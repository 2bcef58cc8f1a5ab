"""Playing many seeds, in as many processes as there are cores, and telling what came of them."""

from __future__ import annotations

import functools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tests.simulation.mortal import AFTER, BEFORE, WRITES
from tests.simulation.signs import OWED
from tests.simulation.story import Run, play
from tests.simulation.weather import COUNTED, FAULTS

PROGRESS_S = 10.0
VACUOUS_BELOW = 200
"""Fewer seeds than this need not have met every class of fault."""
DEATHS = tuple(f"{method}:{side}" for method in WRITES for side in (BEFORE, AFTER))


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
    strikes: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    """Seeds that were struck by a class at least once."""
    recovered: Counter[str] = field(default_factory=Counter)
    """Those of them that came right again."""
    signs: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
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
        self.strikes.update(run.hits)
        self.struck.update(run.hits.keys())
        if run.is_recovered:
            self.recovered.update(run.hits.keys())
        self.signs.update(run.signs)
        self.deaths.update(run.deaths)
        given = run.circumstances
        self.kinds.update((given.trigger_mode, f"books {given.bookstore_mode}", f"sqlite {given.is_sqlite}"))
        if run.breaches:
            self.failed.append(run.seed)

    def missing(self) -> list[str]:
        """Return what never happened, in enough seeds for all of it."""
        if self.seeds < VACUOUS_BELOW:
            return []
        happened = {"fills": self.fills, "attempts": self.attempts, "executions": self.executions}
        return [
            *(name for name in happened if not happened[name]),
            *(f"a recovery from {name}" for name in COUNTED if not self.recovered[name]),
            *(f"a death {name}" for name in DEATHS if not self.deaths[name]),
            *(f"a sign of {name}" for name in OWED if not self.signs[name]),
        ]


def show_one(seed: int, *, verbose: bool, without: Collection[str] = (), minimal: bool = False) -> int:
    """Play one seed and tell its trace hash; `minimal` looks for the fewest classes of faults that still break it."""
    run = play(seed, say=print if verbose else None, without=without)
    _tell_breaches(run, without)
    if minimal and run.breaches:
        run, without = _minimised(run, without)
        _tell_breaches(run, without)
    print(f"seed {seed}: {len(run.breaches)} breaches, {run.lives} lives, {sum(run.hits.values())} faults, ", end="")
    print(f"{len(run.ending.fills)} fills, trace {run.ending.digest()}")
    return 1 if run.breaches else 0


def _minimised(run: Run, without: Collection[str]) -> tuple[Run, list[str]]:
    """Leave out one class after the other, as long as something still breaks."""
    left_out = list(without)
    for name in FAULTS:
        if name in left_out:
            continue
        tried = play(run.seed, without=[*left_out, name])
        if tried.breaches:
            run = tried
            left_out.append(name)
    return run, left_out


def play_many(seeds: Iterable[int], *, jobs: int = 0, without: Collection[str] = ()) -> int:
    """Play seeds, telling how far it has come; 1 if one of them broke a rule or all together proved nothing."""
    wanted = list(seeds)
    tally, begun_s, told_s = Tally(), time.monotonic(), time.monotonic()
    play_one = functools.partial(play, without=without)
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1) as pool:
        for run in pool.imap_unordered(play_one, wanted):
            tally.add(run)
            if run.breaches:
                _tell_breaches(run, without)
            if time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                print(f"{tally.seeds} of {len(wanted)} seeds, {len(tally.failed)} failed", flush=True)
    _tell_tally(tally, time.monotonic() - begun_s)
    return 1 if tally.failed or tally.missing() else 0


def _tell_breaches(run: Run, without: Collection[str]) -> None:
    for breach in run.breaches[:10]:
        print(f"seed {run.seed}: {breach}")
    if run.breaches:
        options = f" --without {','.join(without)}" if without else ""
        print(f"seed {run.seed}: {run.circumstances}; trace {run.ending.digest()}; again with", end=" ")
        print(f"`.venv/bin/python -m tests.simulation --seed {run.seed}{options} -v`", flush=True)


def _tell_tally(tally: Tally, took_s: float) -> None:
    hours = tally.simulated_ms / 3_600_000
    print(f"{tally.seeds} seeds in {took_s:.0f} s: {hours:.1f} simulated hours, {tally.lives} lives, ", end="")
    print(f"{tally.fills} fills, {tally.attempts} attempts, {tally.executions} executions")
    print(
        f"{sum(tally.strikes.values())} faults; slowest recovery {tally.recovered_ms_max / 1000:.1f} s after the last"
    )
    print(f"{'fault':<28} {'strikes':>8} {'seeds':>6} {'came right':>10}")
    for name in COUNTED:
        print(f"{name:<28} {tally.strikes[name]:>8} {tally.struck[name]:>6} {tally.recovered[name]:>10}")
    print("deaths:", ", ".join(f"{name} {tally.deaths[name]}" for name in DEATHS))
    print("seeds by circumstances:", ", ".join(f"{name} {count}" for name, count in sorted(tally.kinds.items())))
    print("seeds with a sign of:", ", ".join(f"{name} {count}" for name, count in sorted(tally.signs.items())))
    if missing := tally.missing():
        print(f"VACUOUS: never met {', '.join(missing)}")
    print(f"FAILED: {sorted(tally.failed)}" if tally.failed else "no rule was broken")
