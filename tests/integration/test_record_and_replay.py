"""A worker that followed real sockets is played again from its file, the same byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.processes import WorkerProcess, a_world, copytrade

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def test_a_session_of_a_real_worker_is_replayed_and_a_cut_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl.gz"
    with a_world() as world:
        worker = WorkerProcess(world.environment(f"sqlite:///{tmp_path}/ledger.db"), tmp_path, "--record", str(path))
        worker.read_until("FILLED  ", count=3)
        assert worker.stop() == 0

    told = copytrade("replay", str(path), "--json", folder=tmp_path)
    found = json.loads(told.stdout)
    path.write_bytes(path.read_bytes()[:-20])
    cut = copytrade("replay", str(path), folder=tmp_path)

    assert (told.returncode, found["equal"]) == (0, True)
    assert sum(len(one["recorded"]["executions"]) for one in found["attempts"]) >= 3
    assert found["settings"]["SUBMIT_LATENCY_MS"] == "150"
    assert "sqlite" not in told.stdout
    assert (cut.returncode, len(cut.stderr.splitlines())) == (2, 1)
    assert "session.jsonl.gz" in cut.stderr
