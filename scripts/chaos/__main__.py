"""`python -m scripts.chaos NAME|all`: run trials, print what was done, what was compared, and the verdict."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.chaos import evm, stories
from scripts.chaos.stories import Options
from scripts.chaos.trial import Trial, a_trial


@dataclass(frozen=True, kw_only=True)
class Story:
    """What is done, on which database, with which settings of the worker."""

    tell: Callable[[Trial, Options], None]
    kind: str = "sqlite"
    settings: dict[str, str] = field(default_factory=dict)


TRIALS = {
    "sockets": Story(tell=stories.sockets, kind="postgresql", settings={"TRIGGER_MODE": "all"}),
    "restarts": Story(tell=stories.restarts, kind="postgresql"),
    "points": Story(tell=stories.points),
    "freeze": Story(tell=stories.freeze, settings={"BOOKSTORE_MODE": "ws"}),
    "lies": Story(tell=stories.lies),
    "database": Story(tell=stories.database, kind="postgresql"),
    "disk": Story(tell=stories.disk),
    "reorgs": Story(tell=stories.reorgs),
    "clock": Story(tell=stories.clock),
    "evm": Story(tell=evm.evm, settings={"TRIGGER_MODE": "polygon"}),
}
SECONDS = 20.0


def main() -> int:
    """Return 0 if every trial held, 1 if one did not."""
    parser = argparse.ArgumentParser(prog="scripts/chaos/all", description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*TRIALS, "all"], metavar="NAME", help=f"all, {', '.join(TRIALS)}")
    parser.add_argument("--seed", type=int, default=1, help="draws the world and what is done to it (default 1)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each trial disturbs (default 20)")
    parser.add_argument("--long", action="store_true", help="every pair of kill points, not 20 of them")
    parser.add_argument("--point", default="", help="only this kill point")
    given = parser.parse_args()
    names = list(TRIALS) if "all" in given.names else given.names
    lines = [_run(name, given) for name in names]
    print(f"\n{'trial':10} {'seed':>6} {'seconds':>8} {'faults':>7}  verdict")
    print("\n".join(line for line, _ in lines))
    return 0 if all(is_fine for _, is_fine in lines) else 1


def _run(name: str, given: argparse.Namespace) -> tuple[str, bool]:
    story = TRIALS[name]
    print(f"== {name}, seed {given.seed}: {story.tell.__doc__}", flush=True)
    started = time.monotonic()
    with a_trial(name, seed=given.seed, kind=story.kind, **story.settings) as trial:
        story.tell(trial, Options(seconds=given.seconds, long=given.long, only=given.point))
    took = time.monotonic() - started
    print("injected:", ", ".join(f"{what} x{count}" for what, count in sorted(trial.injected.items())))
    for what in trial.compared:
        print(f"compared: {what}")
    for breach in trial.breaches:
        print(f"BREACH: {breach}")
    verdict = "ok" if not trial.breaches else f"BREACH ({len(trial.breaches)}): {trial.breaches[0][:60]}"
    if trial.breaches:
        print(f"again: scripts/chaos/all {name} --seed {given.seed} --seconds {given.seconds:g}")
    line = f"{name:10} {given.seed:>6} {took:>8.0f} {sum(trial.injected.values()):>7}  {verdict}"
    return line, not trial.breaches


if __name__ == "__main__":
    sys.exit(main())
