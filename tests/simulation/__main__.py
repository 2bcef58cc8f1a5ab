"""`python -m tests.simulation`: play seeds, one of them in detail, or bugs planted on purpose."""

from __future__ import annotations

import argparse
import sys

from tests.simulation.planted import find_all
from tests.simulation.seeds import play_many, show_one


def main() -> int:
    """Return 0 if nothing was broken, 1 if something was, or if a run proved nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many seeds to play (default 50)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (default 0)")
    parser.add_argument("--jobs", type=int, default=0, help="processes to use (default: one for each core)")
    parser.add_argument("--seed", type=int, help="play this one only, and tell its trace hash")
    parser.add_argument("-v", "--verbose", action="store_true", help="with --seed: tell everything that happens")
    parser.add_argument("--planted", action="store_true", help="plant known bugs, and show that each is found")
    given = parser.parse_args()
    if given.planted:
        return find_all()
    if given.seed is not None:
        return show_one(given.seed, verbose=given.verbose)
    return play_many(range(given.first, given.first + given.seeds), jobs=given.jobs)


if __name__ == "__main__":
    sys.exit(main())
