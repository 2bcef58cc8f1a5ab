"""`copytrade doctor` against the local venue: fine when all is there, and each thing that is not is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import World, a_world, clean_environment, copytrade

pytestmark = pytest.mark.processes
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with a_world() as world:
        yield world


def examined(environment: dict[str, str], folder: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    ended = copytrade("doctor", "--json", environment=environment, folder=folder)
    found: dict[str, Any] = json.loads(ended.stdout)
    return ended.returncode, {one["name"]: (one["verdict"], one["detail"]) for one in found["checks"]}


def test_everything_is_there(world: World, tmp_path: Path) -> None:
    environment = world.environment("sqlite:///a.db")

    code, found = examined(environment, tmp_path)
    told = copytrade("doctor", environment=environment, folder=tmp_path)

    assert code == 0, found
    assert {name for name, (verdict, _) in found.items() if verdict != "OK"} <= {"leaders", "second provider", "disk"}
    assert "final" in found["polygon 1"][1]
    assert told.stdout.splitlines()[-1] == "everything that is needed is there"


def test_each_thing_that_is_not_there_is_named(world: World, tmp_path: Path) -> None:
    wrong = {
        "POLYGON_HTTP_URL": (NOWHERE, "polygon 1", "ConnectError"),
        "CLOB_HTTP_URL": (NOWHERE, "clob", "ConnectError"),
        "GAMMA_HTTP_URL": (NOWHERE, "gamma", "ConnectError"),
        "DATA_API_HTTP_URL": (NOWHERE, "data api", "ConnectError"),
        "CLOB_MARKET_WS_URL": ("ws://127.0.0.1:9", "market socket", "ConnectionRefusedError"),
        "DATABASE_URL": ("postgresql+psycopg://nobody:secret@127.0.0.1:9/x", "database", "127.0.0.1"),
    }
    environment = world.environment("sqlite:///a.db") | {name: value for name, (value, *_) in wrong.items()}

    code, found = examined(environment, tmp_path)

    assert code == 1
    for _, check, says in wrong.values():
        assert found[check][0] == "FAILED"
        assert says in found[check][1]
    assert "secret" not in str(found)


def test_a_node_of_another_chain_a_late_head_and_a_wrong_clock_are_told(world: World, tmp_path: Path) -> None:
    environment = world.environment("sqlite:///a.db")
    world.command("error", target="eth_chainId", body={"code": -32000, "message": "no"})
    refused = examined(environment, tmp_path)[1]["polygon 1"]
    world.command("lag", blocks=40)
    late = examined(environment, tmp_path)[1]["polygon 1"]
    world.command("heal")
    world.command("error", target="/clob/time", status=200, body=1_700_000_000)
    skewed = examined(environment, tmp_path)[1]["clock"]

    assert refused[0] == "FAILED"
    assert "no" in refused[1]
    assert late[0] == "FAILED"
    assert "is behind" in late[1]
    assert skewed[0] == "FAILED"
    assert "off the venue's" in skewed[1]


def test_without_a_chain_source_a_chain_is_only_wished_for(world: World, tmp_path: Path) -> None:
    environment = clean_environment() | {
        name: url for name, url in world.urls.items() if not name.startswith(("POLYGON", "CONTROL"))
    }

    code, found = examined(environment | {"DATABASE_URL": "sqlite:///a.db"}, tmp_path)

    assert code == 0, found
    assert found["polygon"][0] == "WARNING"
