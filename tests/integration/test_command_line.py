"""Each verb does what its help says, for people and for programs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from copytrade.adapters.sql import schema
from copytrade.cli.program import build
from copytrade.domain.risk import LimitName
from copytrade.ports.ledger import NoLedgerYetError
from copytrade.settings import Settings
from tests.makers import LEADER, OTHER
from tests.processes import copytrade, on_a_screen

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]


def _json(*words: str, folder: Path) -> Any:
    ended = copytrade(*words, "--json", folder=folder)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with nothing set."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def typed(*words: str) -> Result:
    """Run a verb in this process."""
    return CliRunner().invoke(build(), [*words])


@pytest.fixture(scope="module")
def after_a_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the demo for some seconds and keep its ledger; returns the folder and what was printed."""
    folder = tmp_path_factory.mktemp("demo")
    ended = copytrade("demo", "--for", "14", "--database", "sqlite:///copytrade.db", folder=folder)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return folder, ended.stdout


def test_the_demo_tells_a_fill_from_detection_to_pnl(after_a_demo: tuple[Path, str]) -> None:
    _, said = after_a_demo
    lines = said.splitlines()

    assert any("FILL " in line and "seen by polygon" in line and "ms after the block's stamp" in line for line in lines)
    assert any("DECIDE  TRADE" in line and "book" in line for line in lines)
    assert any("FILLED" in line and "fee" in line and "slippage" in line and "PnL" in line for line in lines)
    assert any(line.startswith("decisions") for line in lines)


def test_attempts_and_pnl_show_what_the_demo_did(after_a_demo: tuple[Path, str]) -> None:
    folder, _ = after_a_demo

    attempts = _json("attempts", "--limit", "500", folder=folder)["attempts"]
    filled = _json("attempts", "--status", "filled", folder=folder)["attempts"]
    pnl = _json("pnl", folder=folder)

    assert {"TRADE"} <= {row["decision"] for row in attempts}
    assert all(row["decision_reason"][0]["code"] for row in attempts)
    assert filled
    assert all(row["filled_shares"] == row["size_shares_target"] for row in filled)
    assert {"accounts", "positions", "by_leader", "by_market", "by_category", "by_day"} == set(pnl)
    assert any(float(row["shares"]) > 0 for row in pnl["positions"])


def test_status_counts_agree_with_each_other(after_a_demo: tuple[Path, str]) -> None:
    folder, _ = after_a_demo

    status = _json("status", folder=folder)

    assert status["leaders"]["enabled"] == 4
    assert sum(status["fills_by_first_source"].values()) == status["fills"]["stored"] > 0
    assert status["registry"]["markets"] > 100
    assert [row["leader_address"] for row in status["cursors"]] == ["*"]


@pytest.mark.parametrize("verb", ["status", "attempts", "pnl", "stats"])
def test_a_reading_verb_prints_a_table_for_people(after_a_demo: tuple[Path, str], verb: str) -> None:
    folder, _ = after_a_demo

    ended = copytrade(verb, folder=folder)

    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) > 10


@pytest.mark.parametrize("columns", [80, 100])
def test_on_a_terminal_each_table_fits_and_breaks_no_word(after_a_demo: tuple[Path, str], columns: int) -> None:
    folder, _ = after_a_demo
    [newest] = _json("attempts", "--limit", "1", folder=folder)["attempts"]
    shown = {
        verb: on_a_screen(*verb.split(), folder=folder, columns=columns)
        for verb in ("attempts --limit 3", "status", "limits list", "leaders list")
    }

    assert [line for lines in shown.values() for line in lines if len(line) > columns] == []
    words = {verb: {word for line in lines for word in line.split()} for verb, lines in shown.items()}
    assert {newest["attempt_id"][:8], newest["leader_label"], newest["side"], newest["leader_size"]} <= words[
        "attempts --limit 3"
    ]
    assert {name.value for name in LimitName} <= words["limits list"]
    assert {gate["gate"] for gate in _json("status", folder=folder)["gates"]} <= words["status"]
    assert {one["address"] for one in _json("leaders", "list", folder=folder)["leaders"]} <= words["leaders list"]


def test_a_fill_that_was_copied_is_explained(after_a_demo: tuple[Path, str]) -> None:
    folder, _ = after_a_demo
    with closing(sqlite3.connect(folder / "copytrade.db")) as database:
        (filled,) = database.execute("SELECT attempt_id FROM fill_markout ORDER BY fill_at LIMIT 1").fetchone()

    told = copytrade("explain", filled, folder=folder)
    unknown = copytrade("explain", "0" * 32, folder=folder)

    for words in ("seen by", "because", "book at the decision", "execution", "in all", "after the fill of"):
        assert words in told.stdout
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (2, 1)


def test_leaders_are_added_listed_and_removed(tmp_path: Path) -> None:
    added = copytrade(
        *("leaders", "add", LEADER.upper().replace("0X", "0x"), "--label", "bob"),
        *("--ratio", "0.5", "--unchecked"),
        folder=tmp_path,
    )
    again = copytrade("leaders", "add", LEADER, "--unchecked", folder=tmp_path)
    copytrade("leaders", "add", OTHER, "--since", "2026-01-01T12:00", "--unchecked", folder=tmp_path)
    removed = copytrade("leaders", "remove", OTHER, folder=tmp_path)

    leaders = _json("leaders", "list", folder=tmp_path)["leaders"]

    assert "following" in added.stdout
    assert "already" in again.stdout
    assert removed.returncode == 0
    assert [(row["address"], row["label"], row["enabled"], row["copy_ratio"]) for row in leaders] == [
        (LEADER, "bob", True, "0.50"),
        (OTHER, "", False, None),
    ]
    assert leaders[1]["followed_since"] == "2026-01-01T12:00:00Z"


@pytest.mark.parametrize("page", ["https://polymarket.com/profile/{}?via=x", "polymarket.com/{}", "{}"])
@pytest.mark.usefixtures("at_home")
def test_a_leader_is_added_by_the_url_of_his_page(page: str) -> None:
    assert f"following {LEADER} since" in typed("leaders", "add", page.format(LEADER), "--unchecked").output


def test_the_program_says_its_version_and_every_verb_in_one_line() -> None:
    helped = CliRunner().invoke(build(), ["--help"], env={"COLUMNS": "80"}).output

    assert CliRunner().invoke(build(), ["--version"]).output == f"copytrade {version('copytrade')}\n"
    assert "..." not in helped.partition("Commands:")[2]
    assert max(map(len, helped.splitlines())) <= 80


def test_a_leader_goes_by_his_label_wherever_he_is_named(at_home: Path) -> None:
    assert typed("leaders", "add", LEADER, "--label", "steady bob", "--unchecked").exit_code == 0
    again = typed("leaders", "add", OTHER, "--label", "Steady Bob", "--unchecked")
    slip = typed("limits", "set", "MAX_OPEN_USDC", "9", "--leader", "stedy bob")
    asked = [typed(verb, "--leader", "steady bob", "--json").exit_code for verb in ("attempts", "stats")]

    assert again.exit_code == slip.exit_code == 2
    assert f"steady bob is {LEADER}" in " ".join(again.output.split())
    assert "did you mean steady bob?" in " ".join(slip.output.split())
    assert asked == [0, 0]
    assert f"{LEADER} (steady bob) is exits only" in typed("leaders", "set", "steady bob", "--exit-only").output
    limited = typed("limits", "set", "MAX_OPEN_USDC", "9", "--leader", "steady bob").output
    assert f"MAX_OPEN_USDC (leader {LEADER}): none -> 9.00" in limited
    assert f"{LEADER} (steady bob) is no longer followed" in typed("leaders", "remove", "steady bob").output
    assert [row["address"] for row in json.loads(typed("leaders", "list", "--json").output)["leaders"]] == [LEADER]
    assert [one.name for one in at_home.iterdir()] == ["copytrade.db"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["leaders", "add", "0x12"], "is not an address (0x and 40 hex digits); his profile page has it"),
        (["leaders", "add", "https://polymarket.com.evil.org/profile/" + LEADER], "is not an address"),
        (["leaders", "add", LEADER, "--ratio", "-1"], "COPY_RATIO is '-1'; accepted: a decimal above 0"),
        (["leaders", "set", LEADER, "--paused"], "is no leader of ours"),
        (["leaders", "add", LEADER, "--since", "soon"], "is no time"),
        (["leaders", "add", LEADER, "--since", "2999-01-01"], "is not in the past"),
        (["leaders", "remove", LEADER], "is no leader of ours"),
        (["attempts", "--status", "DONE"], "is none of"),
        (["attempts", "--leader", "nobody"], "nobody is no leader of ours"),
        (["stats", "--leader", LEADER], "is no leader of ours"),
        (["demo", "--recorded", "nowhere"], "is no folder"),
        (["sandbox", "--recorded", "nowhere"], "is no folder"),
        (["explain", "yesterday"], "is not an id"),
        (["stats", "--since", "soon"], "is no time"),
        (["replay", "nothing.jsonl"], "nothing.jsonl: No such file"),
        (["replay", "nothing.jsonl", "--set", "COPY_RATIO"], "is not NAME=VALUE"),
        (["fly"], "No such command"),
    ],
)
def test_wrong_use_exits_2_and_says_what_was_wrong(words: list[str], said: str, tmp_path: Path) -> None:
    schema.upgrade(f"sqlite:///{tmp_path}/copytrade.db")
    ended = copytrade(*words, folder=tmp_path)

    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_schema_is_shown_and_upgraded(tmp_path: Path) -> None:
    before = copytrade("db", "current", folder=tmp_path)
    upgraded = copytrade("db", "upgrade", folder=tmp_path)
    after = _json("db", "current", folder=tmp_path)

    assert before.returncode == 1
    assert "run copytrade db upgrade" in before.stdout
    assert "upgraded from nothing" in upgraded.stdout
    assert after["ok"] is True


@pytest.mark.recorded
def test_the_recorded_demo_decides_real_fills_and_trades_on_a_real_book(recorded_data: Path, tmp_path: Path) -> None:
    words = [
        "demo",
        "--recorded",
        str(recorded_data),
        "--speed",
        "10",
        "--for",
        "25",
        "--database",
        "sqlite:///copytrade.db",
    ]
    ended = copytrade(*words, folder=tmp_path)

    assert ended.returncode == 0
    attempts = _json("attempts", "--limit", "500", folder=tmp_path)["attempts"]
    assert len(attempts) > 10
    assert {"TRADE", "SKIP"} == {row["decision"] for row in attempts}


def test_the_audit_of_a_demo_is_clean_and_that_of_a_changed_ledger_exits_1(
    after_a_demo: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = after_a_demo
    found = _json("audit", folder=folder)
    shutil.copy(folder / "copytrade.db", tmp_path)
    with sqlite3.connect(tmp_path / "copytrade.db") as connection:
        connection.execute("UPDATE position SET shares = shares + 1")
    connection.close()
    told = copytrade("audit", folder=tmp_path)
    broken = copytrade("audit", "--json", folder=tmp_path)

    assert found["ok"]
    assert [one["number"] for one in found["invariants"]] == list(range(1, 11))
    assert all(one["rows"] for one in found["invariants"])
    assert (told.returncode, broken.returncode) == (1, 1)
    assert "a position that is not its fold: copy|paper|" in told.stdout
    assert [one["number"] for one in json.loads(broken.stdout)["invariants"] if not one["ok"]] == [7]


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["attempts"],
        ["attempts", "--leader", "bob"],
        ["pnl"],
        ["stats"],
        ["audit"],
        ["explain", "0x12"],
        ["reconcile"],
        ["leaders", "list"],
        ["leaders", "set", "bob", "--paused"],
        ["leaders", "remove", LEADER],
        ["leaders", "verify", LEADER],
        ["limits", "list"],
        ["live", "status"],
        ["resume"],
    ],
    ids=" ".join,
)
def test_where_there_is_no_database_a_verb_says_so_and_makes_none(words: list[str], at_home: Path) -> None:
    ended = typed(*words)

    assert isinstance(ended.exception, NoLedgerYetError)
    assert f"no database here yet: there is no {at_home}/copytrade.db" in str(ended.exception)
    assert list(at_home.iterdir()) == []


def test_a_missing_database_is_told_in_one_line_with_exit_2(tmp_path: Path) -> None:
    ended = copytrade("attempts", folder=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr.startswith("copytrade: no database here yet: ")
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_halt_before_the_first_run_holds_and_says_that_the_database_is_new(tmp_path: Path) -> None:
    halted = copytrade("halt", "not today", folder=tmp_path)

    assert halted.returncode == 0
    assert "halted entries: not today" in halted.stdout
    assert halted.stderr.startswith("copytrade: no database here yet: ")
    assert "Is this the folder of the worker?" in halted.stderr
    assert "not today" in copytrade("status", folder=tmp_path).stdout


@pytest.mark.parametrize(
    "words",
    [["leaders", "add", LEADER, "--unchecked"], ["limits", "set", "MAX_OPEN_USDC", "5"], ["db", "upgrade"]],
    ids=" ".join,
)
def test_what_is_to_be_kept_makes_the_database(words: list[str], at_home: Path) -> None:
    assert typed(*words).exit_code == 0
    assert (at_home / "copytrade.db").is_file()
