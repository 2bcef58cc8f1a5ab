"""`python -m tests.day`: the whole worker through a day on virtual time, and what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from copytrade.domain.units import format_micro
from tests.day.bustle import Plan
from tests.day.day import Outcome, play
from tests.day.setting import DRAWDOWN_USDC


def main() -> int:
    """Return 0 if nothing was broken, 1 if something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.day", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="how long the day is (default 24)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed is the same day (default 0)")
    parser.add_argument("--keep", type=Path, help="keep the ledger in this new SQLite file")
    parser.add_argument("--faults", type=int, default=0, help="so many faults of the simulation beside the outages")
    given = parser.parse_args()
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="copytrade-day-") as folder:
        path = given.keep or Path(folder) / "day.db"
        outcome = play(
            path,
            seed=given.seed,
            hours=given.hours,
            plan=Plan(),
            say=lambda text: print(text, flush=True),
            faults=given.faults,
        )
    _show(outcome, took_s=time.monotonic() - begun_s)
    return 1 if outcome.breaches else 0


def _show(outcome: Outcome, *, took_s: float) -> None:
    for name, count in sorted(outcome.counts.items()):
        print(f"{name:<36} {count:>9,}")
    for name, amount in outcome.account.items():
        print(f"{name:<36} {amount:>16}")
    thrown = ", ".join(map(format_micro, outcome.thrown_at_loss)) or "never"
    print(f"drawdown limit {format_micro(DRAWDOWN_USDC)}: thrown at a loss of {thrown};", end=" ")
    print(f"most lost on the second day without it {format_micro(outcome.most_lost_unthrown)}")
    _show_faults(outcome)
    for breach in outcome.breaches[:20]:
        print(f"BREACH {breach}")
    print(f"{len(outcome.breaches)} breaches, {took_s:.0f} s")


def _show_faults(outcome: Outcome) -> None:
    if outcome.faults:
        print(f"faults: {outcome.faults.total():,}")
        for name, count in sorted(outcome.faults.items()):
            print(f"  {name:<34} {count:>9,}")
    found = outcome.reckoning
    if found is not None:
        print(f"leader fills on the venue {found.venue:,}, in the ledger {found.ledger:,}:", end=" ")
        print(f"missed {found.missed}, invented {found.invented}, undecided {found.undecided}")


if __name__ == "__main__":
    sys.exit(main())
