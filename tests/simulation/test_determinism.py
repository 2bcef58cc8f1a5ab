"""The same seed is the same run: what was filled, decided and noted, and every message on the way, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from copytrade.domain.attempts import AttemptStatus
from tests.simulation.story import Ending, play, quiet_day

ROOT = Path(__file__).parents[2]
DURATION_MS = 120_000
TROUBLED_SEEDS = (0, 8)
IN_A_PROCESS = f"""
from tests.simulation.story import play, quiet_day
print(quiet_day(1, duration_ms={DURATION_MS}).digest(), *(play(seed).ending.digest() for seed in {TROUBLED_SEEDS}))
"""


@pytest.fixture(scope="module")
def day() -> Ending:
    return quiet_day(1, duration_ms=DURATION_MS)


def test_a_run_is_worth_comparing(day):
    roles = Counter(fill.fill.role for fill in day.stored)
    ends = Counter(attempt.status for attempt in day.tried)

    assert len(day.executions) >= 25
    assert len(day.tried) >= 25
    assert ends[AttemptStatus.FILLED] >= 5
    assert ends[AttemptStatus.CANCELED] >= 3
    assert sum(0 < attempt.filled_shares < attempt.size_shares_target for attempt in day.tried) >= 2
    assert min(roles["maker"], roles["taker"]) >= 3
    assert day.notes


def test_the_same_seed_fills_decides_and_notes_the_same_byte_for_byte(day):
    again = quiet_day(1, duration_ms=DURATION_MS)

    assert again.executions == day.executions
    assert again.attempts == day.attempts
    assert again.notes == day.notes
    assert again.digest() == day.digest()


def test_another_process_with_other_hashes_makes_the_same_runs(day):
    """A day without faults, a run with nearly all of them and a SQLite file, and one that counts its looks at books."""
    troubled = [play(seed) for seed in TROUBLED_SEEDS]
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "PYTHONPATH": str(ROOT)}

    told = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert told.stdout.split() == [day.digest(), *(run.ending.digest() for run in troubled)]
    assert len(troubled[0].hits) > 20


def test_another_seed_is_another_run(day):
    other = quiet_day(2, duration_ms=DURATION_MS)

    assert other.digest() != day.digest()
    assert set(other.executions).isdisjoint(day.executions)
