"""Whether a worker runs, as `status` says it first."""

from __future__ import annotations

import pytest

from copytrade.cli.reading import worker_line


@pytest.mark.parametrize(
    ("silent_ms", "said"),
    [
        (-3, "worker: running, seen 0 s ago"),
        (15_999, "worker: running, seen 15 s ago"),
        (16_000, "worker: NOT RUNNING for 0 min 16 s; what follows is as it left it"),
        (7_260_000, "worker: NOT RUNNING for 2 h 1 min; what follows is as it left it"),
        (180_000_000, "worker: NOT RUNNING for 2 d 2 h; what follows is as it left it"),
    ],
)
def test_a_worker_is_told_by_when_it_last_kept_its_gates(silent_ms: int, said: str) -> None:
    assert worker_line([{"checked_ms_ago": silent_ms + 5}, {"checked_ms_ago": silent_ms}]) == said


def test_without_gates_no_worker_ever_ran() -> None:
    assert worker_line([]) == "worker: none has run on this database yet"
