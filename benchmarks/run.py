"""Every benchmark that needs a ledger, in one table: `make bench`."""

from __future__ import annotations

from benchmarks import backfill, detection, leaders, live_path
from benchmarks.measuring import kinds, show


def main() -> None:
    """Measure and print; a few minutes."""
    figures = []
    with kinds() as found:
        for kind in found:
            for benchmark in (live_path, leaders, backfill, detection):
                print(f"measuring {benchmark.__name__.removeprefix('benchmarks.')} on {kind.name}", flush=True)
                figures += benchmark.measure(kind)
    show(figures)


if __name__ == "__main__":
    main()
