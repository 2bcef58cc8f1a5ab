"""`python -m tests.simulation`: play seeds, one of them in detail, or bugs planted on purpose."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.live_seeds import play_live
from tests.simulation.planted import SEEDS_MAX, find_all
from tests.simulation.seeds import play_many, show_one

SEEDS = 50


def main() -> int:
    """Return 0 if nothing was broken, 1 if something was, or if a run proved nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=0, help=f"how many seeds to play (default {SEEDS})")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (default 0)")
    parser.add_argument("--jobs", type=int, default=0, help="processes to use (default: one for each core)")
    parser.add_argument("--seed", type=int, help="play this one only, and tell its trace hash")
    parser.add_argument("--without", default="", help="classes of faults to leave out, comma-separated")
    parser.add_argument("--minimal", action="store_true", help="with --seed: leave out what is not needed to break it")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: tell everything that happens")
    parser.add_argument("--live", action="store_true", help="play seeds of live mode, with its faults and deaths")
    parser.add_argument("--planted", action="store_true", help="plant known bugs, and show that each is found")
    parser.add_argument("--only", default="", help="with --planted: those that have this in their name")
    given = parser.parse_args()
    if given.live:
        first = given.first if given.seed is None else given.seed
        count = (given.seeds or SEEDS) if given.seed is None else 1
        return play_live(range(first, first + count), jobs=given.jobs)
    without = [name for name in given.without.split(",") if name]
    if given.planted:
        return find_all(only=given.only, first=given.first, seeds_max=given.seeds or SEEDS_MAX, jobs=given.jobs)
    if given.seed is not None:
        return show_one(given.seed, verbose=given.verbose, without=without, minimal=given.minimal)
    return play_many(range(given.first, given.first + (given.seeds or SEEDS)), jobs=given.jobs, without=without)


if __name__ == "__main__":
    sys.exit(main())
