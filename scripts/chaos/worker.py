"""`copytrade` with something arranged by the environment: the program itself knows nothing of it.

- `CHAOS_KILL_AT`: a point of `points.py`, `POINT` or `POINT:COUNT`
- `CHAOS_CLOCK`: a file whose text is added to the wall clock (ms), read anew each time
- `CHAOS_FILE_BYTES`: no file of this process grows beyond, as on a full disk
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from copytrade import __main__ as program
from copytrade.adapters.system import SystemClock
from scripts.chaos.points import arrange_death


def main() -> None:
    """Arrange what is asked for and run the program."""
    if at := os.environ.get("CHAOS_KILL_AT"):
        point, _, count = at.partition(":")
        arrange_death(point, count=int(count or 1))
    if clock := os.environ.get("CHAOS_CLOCK"):
        _shift_clock(Path(clock))
    if limit := os.environ.get("CHAOS_FILE_BYTES"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    program.main()


def _shift_clock(file: Path) -> None:
    true_ms = SystemClock.now_ms

    def shifted_ms(self: SystemClock) -> int:
        return true_ms(self) + int(file.read_text() or 0)

    SystemClock.now_ms = shifted_ms


if __name__ == "__main__":
    main()
