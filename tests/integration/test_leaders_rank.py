"""`leaders rank` and the warning of `leaders add`, over real sockets to the local venue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import World, a_world, clean_environment, copytrade

pytestmark = pytest.mark.processes
NOBODY = "0x" + "ab" * 20


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world("--manual") as world:
        yield world


def test_accounts_of_the_venues_table_are_ranked_with_their_figures(world: World, tmp_path: Path) -> None:
    ended = copytrade("leaders", "rank", "--json", environment=world.environment("sqlite:///a.db"), folder=tmp_path)

    accounts = json.loads(ended.stdout)["accounts"]
    assert ended.returncode == 0
    assert {one["address"] for one in accounts} == {leader["address"] for leader in world.leaders}
    assert all(one["warnings"] and one["copyability"] is None for one in accounts)


def test_following_somebody_unproved_is_warned_of_and_done(world: World, tmp_path: Path) -> None:
    environment = world.environment("sqlite:///a.db")

    warned = copytrade("leaders", "add", NOBODY, environment=environment, folder=tmp_path)

    assert warned.returncode == 0
    assert "following" in warned.stdout
    assert "beware: nothing that can be judged" in warned.stdout


def test_a_venue_that_cannot_be_asked_hinders_nobody(tmp_path: Path) -> None:
    environment = clean_environment() | {"DATA_API_HTTP_URL": "http://127.0.0.1:9"}

    added = copytrade("leaders", "add", NOBODY, environment=environment, folder=tmp_path)
    ranked = copytrade("leaders", "rank", environment=environment, folder=tmp_path)

    assert added.returncode == 0
    assert "not judged: data_api: 127.0.0.1: ConnectError" in added.stdout
    assert (ranked.returncode, ranked.stderr) == (1, "copytrade: data_api: 127.0.0.1: ConnectError\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--period", "year"], "year is none of"), (["0x12"], "is not an address"), (["--since", "soon"], "is no time")],
)
def test_wrong_use_exits_2_with_a_reason(tmp_path: Path, words: list[str], said: str) -> None:
    ended = copytrade("leaders", "rank", *words, folder=tmp_path)

    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.replace("│", " ").split())
