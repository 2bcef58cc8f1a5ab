"""How much the worker holds on this machine: each load with its bound beside what was measured.

    python -m benchmarks.load [--long] [--only WORD]

A few minutes in all; `--long` takes the lengths and the history that the bounds are meant for. Exit code 1 if a
bound is missed. Other work on the machine shows in every figure: run it alone.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from benchmarks import load_chain, load_fills, load_history, load_market, load_orders
from benchmarks.measuring import kinds
from benchmarks.measuring_loads import Held

Load = Callable[[bool], Iterator[Held]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A load and what it is called."""

    name: str
    run: Load


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="the whole lengths: an hour or two")
    parser.add_argument("--only", default="", help="loads that have this in their name")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    busy = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {busy:.1f} at the start", flush=True)
    print(f"{'load':<52} {'measured':>22}  {'bound':>16}", flush=True)
    missed = 0
    with kinds() as found:
        for one in _loads(found):
            if given.only not in one.name:
                continue
            begun_s = time.monotonic()
            for held in one.run(given.long):
                print(held, flush=True)
                missed += not held.is_met
            print(f"  ({one.name}: {time.monotonic() - begun_s:.0f} s)", flush=True)
    print(f"{missed} bounds missed" if missed else "every bound is met", end="; ")
    print(f"load average {os.getloadavg()[0]:.1f} at the end")
    return 1 if missed else 0


def _loads(found: tuple) -> Iterator[Named]:
    yield Named(name="market socket", run=load_market.measure)
    for kind in found:
        yield Named(name=f"fills on {kind.name}", run=lambda long, kind=kind: load_fills.measure(kind, long=long))
        yield Named(name=f"orders on {kind.name}", run=lambda long, kind=kind: load_orders.measure(kind, long=long))
        yield Named(name=f"catch-up on {kind.name}", run=lambda long, kind=kind: load_chain.measure(kind, long=long))
        yield Named(name=f"history on {kind.name}", run=lambda long, kind=kind: load_history.measure(kind, long=long))


if __name__ == "__main__":
    sys.exit(main())
