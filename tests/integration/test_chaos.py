"""The chaos trials: short ones run as they are, and a loss that is planted on purpose is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.chaos import stories
from scripts.chaos.points import POINTS
from scripts.chaos.stories import Options
from scripts.chaos.trial import Trial, a_trial

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]


@pytest.fixture
def trial() -> Iterator[Trial]:
    with a_trial("smoke", seed=3) as trial:
        yield trial
        trial.breaches.clear()


def test_a_death_with_fills_stored_but_not_committed_loses_and_repeats_nothing(trial: Trial) -> None:
    stories.points(trial, Options(seconds=0, only="ingest.uncommitted"))

    assert trial.injected["ingest.uncommitted"] == 1
    assert trial.breaches == []


def test_a_fill_that_is_taken_out_of_the_ledger_is_missed(trial: Trial) -> None:
    with trial.worker() as worker:
        trial.wait_for("a fill", lambda: worker.said("FILL "))
        trial.settle()
    database = sqlite3.connect(Path(trial.folder) / "worker.db")
    with database:
        database.execute("DELETE FROM leader_fill WHERE id = (SELECT id FROM leader_fill LIMIT 1)")
    database.close()

    trial.compare()

    assert any("that the worker lacks" in breach for breach in trial.breaches)


def test_there_are_29_points_and_each_is_named_once() -> None:
    assert len(POINTS) == len(set(POINTS)) == 29
