"""`halt`, `resume` and `limits` as people type them, and what `status` then says."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from copytrade.adapters.sql import schema
from copytrade.cli.program import build
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.settings import Settings
from tests.makers import LEADER
from tests.processes import WorkerProcess, a_world, copytrade

NO_SERVER = "postgresql+psycopg://me:hunter2@127.0.0.1:9/none"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in [*os.environ]:
        if name.lower() in Settings.model_fields:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    schema.upgrade(f"sqlite:///{tmp_path}/copytrade.db")
    return tmp_path


def typed(*words: str) -> Result:
    """Type a command and return how it ended."""
    return CliRunner().invoke(build(), list(words))


def said(*words: str) -> str:
    ended = typed(*words)
    assert ended.exit_code == 0, ended.output
    return ended.output


def halts() -> list[dict[str, Any]]:
    found = json.loads(said("status", "--json"))["halts"]
    return [{name: halt[name] for name in ("level", "cause", "why")} for halt in found]


def limit(name: str, scope: str = "global") -> dict[str, str]:
    rows = json.loads(said("limits", "list", "--json"))["limits"]
    [found] = [row for row in rows if (row["name"], row["scope"]) == (name, scope)]
    return found


def decisions(database: Path) -> dict[str, str]:
    """Return what was decided, by attempt."""
    connection = sqlite3.connect(database)
    with contextlib.closing(connection):
        return dict(connection.execute("SELECT id, decision FROM execution_attempt").fetchall())


def test_a_halt_is_shown_until_it_is_resumed() -> None:
    assert halts() == []
    assert "halted entries: looks odd" in said("halt", "looks  odd\n")
    assert halts() == [{"level": "entries", "cause": "operator", "why": "looks odd"}]
    assert "already" in said("halt", "looks odd")
    assert "halted all" in said("halt", "looks odd", "--level", "all")
    assert [halt["level"] for halt in halts()] == ["all"]
    assert "resumed all: looks odd (operator, by " in said("resume")
    assert halts() == []
    assert said("resume") == "nothing was halted\n"


@pytest.mark.parametrize("words", [["halt"], ["halt", " "], ["halt", "x", "--level", "some"]])
def test_a_halt_that_says_nothing_is_wrong_use(words: list[str]) -> None:
    assert typed(*words).exit_code == 2


def test_without_its_database_a_halt_goes_by_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NO_SERVER)
    ended = typed("halt", "the disk is gone", "--level", "all")

    assert ended.exit_code == 0
    assert "halted all by the file copytrade.halt" in ended.output
    assert "hunter2" not in ended.output
    assert (folder / "copytrade.halt").read_text() == "all: the disk is gone\n"
    monkeypatch.delenv("DATABASE_URL")
    assert "took away copytrade.halt" in said("resume")
    assert not (folder / "copytrade.halt").exists()


def test_without_its_database_and_a_place_for_the_file_a_halt_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NO_SERVER)
    monkeypatch.setenv("HALT_FILE", "no/such/folder/file")

    ended = typed("halt", "x")

    assert isinstance(ended.exception, LedgerUnavailableError)
    assert "no/such/folder/file cannot be written" in str(ended.exception)


def test_a_limit_is_set_listed_changed_and_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RISK_MAX_OPEN_USDC", "100")
    assert limit("MAX_OPEN_USDC") | {"used": ""} == {
        "name": "MAX_OPEN_USDC",
        "scope": "global",
        "value": "100.00",
        "used": "",
        "of": "",
        "source": "RISK_MAX_OPEN_USDC",
        "changed_at": "",
    }
    assert said("limits", "set", "max_open_usdc", "250.5").startswith("MAX_OPEN_USDC (global): 100.00 -> 250.50;")
    assert said("limits", "set", "RISK_MAX_OPEN_USDC", "none").startswith("MAX_OPEN_USDC (global): 250.50 -> none;")
    found = limit("MAX_OPEN_USDC")
    assert (found["value"], found["source"].startswith("set by ")) == ("none", True)


def test_a_limit_of_a_scope_stands_beside_the_general_one() -> None:
    said("limits", "set", "MAX_OPEN_POSITIONS", "9", "--global")
    said("limits", "set", "MAX_OPEN_POSITIONS", "3", "--leader", LEADER.upper().replace("0X", "0x"))
    said("limits", "set", "MAX_OPEN_POSITIONS", "5", "--account", "paper", "--strategy", "copy")

    assert limit("MAX_OPEN_POSITIONS")["value"] == "9"
    assert limit("MAX_OPEN_POSITIONS", f"leader {LEADER}")["value"] == "3"
    assert limit("MAX_OPEN_POSITIONS", "copy on paper")["value"] == "5"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["MAX_FUN", "1"], "MAX_FUN is none of MAX_USDC_PER_TRADE, "),
        (["MAX_OPEN_USDC", "lots"], "MAX_OPEN_USDC is 'lots'; accepted: a decimal of USDC from 0 to 1000000000.00"),
        (["MAX_OPEN_POSITIONS", "1.5"], "accepted: an integer from 0 to 1000000"),
        (["MAX_OPEN_USDC", "1", "--leader", "0x12"], "is not an address"),
        (["MAX_OPEN_USDC", "1", "--account", "paper"], "--account and --strategy go together"),
        (["MAX_OPEN_USDC", "1", "--global", "--leader", LEADER], "one of --leader"),
        (["DAILY_DRAWDOWN_USDC", "1", "--leader", LEADER], "cannot be set for one leader"),
    ],
)
def test_a_limit_that_cannot_be_set_is_refused_with_what_is_accepted(words: list[str], complaint: str) -> None:
    ended = typed("limits", "set", *words)

    assert ended.exit_code == 2
    assert complaint in " ".join(ended.output.split())


@pytest.mark.processes
@pytest.mark.timeout(120)
def test_a_running_worker_obeys_another_process_and_still_does_after_a_kill(folder: Path) -> None:
    database = folder / "worker.db"
    with a_world("--seed", "5", "--block-ms", "400") as world:
        environment = world.environment(f"sqlite:///{database}", POLYGON_POLL_INTERVAL_MS="300")
        worker = WorkerProcess(environment, folder)
        worker.read_until("DECIDE  TRADE")
        assert copytrade("halt", "a test", "--level", "all", environment=environment, folder=folder).returncode == 0
        worker.read_until("NOTE    HALTED")
        worker.kill()
        before = decisions(database)
        worker = WorkerProcess(environment, folder)
        worker.read_until("DECIDE ", count=3)
        assert worker.stop() == 0

    since = {attempt: made for attempt, made in decisions(database).items() if attempt not in before}
    assert len(since) >= 3
    assert {*since.values()} == {"SKIP"}
