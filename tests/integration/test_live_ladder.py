"""The ladder at a sandbox, as a person goes up it: nothing is sent on shadow, little on tiny, and both are compared."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.integration.live_world import WALLET, ready
from tests.processes import WorkerProcess, a_world, copytrade, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

OVER = "SELECT 1 FROM shadow_order WHERE done_at IS NOT NULL"


def test_on_shadow_everything_runs_on_paper_and_on_tiny_a_little_is_real(tmp_path: Path) -> None:
    database = tmp_path / "worker.db"
    with a_world("--seed", "5", "--block-ms", "500") as world:
        world.command("account", wallet=WALLET, collateral="1000")
        environment = ready(world, tmp_path, f"sqlite:///{database}")

        def said(*words: str, code: int = 0) -> str:
            ended = copytrade(*words, environment=environment, folder=tmp_path)
            assert ended.returncode == code, ended.stdout + ended.stderr
            return ended.stderr if code else ended.stdout

        assert "ladder: not on it" in said("live", "status")
        assert "stands on no rung" in said("live", "demote", code=1)
        assert f"live-{WALLET} stands on shadow" in said("live", "promote")

        _run_until(environment, tmp_path, database, OVER, count=3)

        assert world.control("posts") == []
        shadows = json.loads(said("stats", "--shadow", "--json"))
        assert shadows["all"]["attempts"] == 0
        assert shadows["only_shadow"] >= 3
        assert any(one["paper"]["filled_shares"] != "0.00" for one in shadows["attempts"])
        assert "are needed" in said("live", "promote", code=1)
        ladder = json.loads(said("live", "status", "--json"))["ladder"]
        assert (ladder["rung"], ladder["next"]) == ("shadow", "tiny")
        assert ladder["measured"]["orders"] == 0

        _go_up(database)
        session = tmp_path / "session.jsonl"
        _run_until(environment, tmp_path, database, f"{OVER} AND {_SENT}", "--record", str(session), count=2)

        assert world.control("posts")
        assert _dearest(database) <= 5
        shadows = json.loads(said("stats", "--shadow", "--json"))
        assert shadows["all"]["attempts"] >= 1
        text = said("stats", "--shadow")
        assert "real orders and the same on paper" in text
        assert "not sent" in text
        _compare_recorded(session, shadows, environment, tmp_path)
        assert "stands on shadow" in said("live", "demote", "--why", "enough for today")


_SENT = "attempt_id IN (SELECT attempt_id FROM live_order)"


def _compare_recorded(session: Path, kept: dict[str, Any], environment: dict[str, str], folder: Path) -> None:
    """Hold what the worker kept to what the recording says on a machine without the key and without the database."""
    foreign = {name: value for name, value in environment.items() if not name.startswith("LIVE_")}
    foreign |= {"EXECUTION_MODE": "paper", "DATABASE_URL": f"sqlite:///{folder / 'none.db'}"}
    ended = copytrade("stats", "--shadow", "--recorded", str(session), "--json", environment=foreign, folder=folder)
    assert ended.returncode == 0, ended.stderr
    told = {one["attempt_id"]: one["live"] for one in json.loads(ended.stdout)["attempts"] if one["live"]}
    real = {one["attempt_id"]: one["live"] for one in kept["attempts"] if one["live"]}
    assert told
    assert told == {attempt: live for attempt, live in real.items() if attempt in told}
    assert not (folder / "none.db").exists()


def _run_until(
    environment: dict[str, str], folder: Path, database: Path, query: str, *options: str, count: int
) -> None:
    worker = WorkerProcess(environment, folder, *options)
    worker.read_until("SEEN")
    wait_until(lambda: len(_rows(database, query)) >= count)
    assert worker.stop() == 0


def _go_up(database: Path) -> None:
    """Have the account on tiny, without the day and the twenty attempts that takes."""
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO live_rung SELECT account_id, revision + 1, 'tiny', moved_by, why, since FROM live_rung"
        )


def _dearest(database: Path) -> float:
    query = (
        "SELECT MAX(size_shares_target * limit_price) AS dearest FROM execution_attempt "
        "WHERE side = 'BUY' AND id IN (SELECT attempt_id FROM live_order)"
    )
    return float(_rows(database, query)[0]["dearest"])


def _rows(database: Path, query: str) -> list[dict[str, Any]]:
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]
