"""Seeds of live mode: the account at the venue, its orders and their settlement, with faults on the way and deaths.

The venue's own record judges: no attempt has two hashes there, no fill of ours is untracked, no limit is exceeded.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.story import quiet_logs
from tests.unit.live.seeds import FAULTS, Outcome, play

VACUOUS_BELOW = 50
"""Fewer seeds than this need not have met every class of fault."""


@dataclass(slots=True, kw_only=True)
class LiveTally:
    """What has come of the seeds played so far."""

    seeds: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count a story."""
        self.seeds += 1
        self.seen.update({"orders": len(outcome.attempts)} | outcome.seen)
        self.struck.update(outcome.struck)
        if outcome.complaints:
            self.failed.append(seed)

    def missing(self) -> list[str]:
        """Return what never happened, in enough seeds for all of it."""
        if self.seeds < VACUOUS_BELOW:
            return []
        happened = self.struck | self.seen
        return [name for name in (*FAULTS, "posts", "fills") if not happened[name]]


def play_live(seeds: Iterable[int], *, jobs: int = 0) -> int:
    """Play seeds; 1 if one of them broke a rule or all together proved nothing."""
    tally, begun_s = LiveTally(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(jobs or os.cpu_count() or 1) as pool:
        for seed, outcome in pool.imap_unordered(_play, list(seeds)):
            tally.add(seed, outcome)
            for complaint in outcome.complaints:
                print(f"live seed {seed}: {complaint}", flush=True)
    print(f"{tally.seeds} live seeds in {time.monotonic() - begun_s:.0f} s: ", end="")
    print(", ".join(f"{count} {name}" for name, count in sorted(tally.seen.items())))
    print("faults:", ", ".join(f"{name} {tally.struck[name]}" for name in FAULTS))
    if missing := tally.missing():
        print(f"VACUOUS: never met {', '.join(missing)}")
    print(f"FAILED: {sorted(tally.failed)}" if tally.failed else "no rule was broken")
    return 1 if tally.failed or tally.missing() else 0


def _play(seed: int) -> tuple[int, Outcome]:
    with quiet_logs():
        return seed, play(seed)
