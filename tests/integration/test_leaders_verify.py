"""`leaders verify` against the sandbox, over real sockets: what is whole and what is missing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from copytrade.adapters.sql import schema
from tests.makers import OTHER
from tests.processes import WorkerProcess, a_world, clean_environment, copytrade, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

BLOCK_MS = "300"


def verified(environment: dict[str, str], folder: Path, *words: str) -> tuple[int, Any, str]:
    ended = copytrade("leaders", "verify", *words, "--json", environment=environment, folder=folder)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout else None, ended.stderr


def test_a_leader_is_verified_and_a_lost_row_is_named(tmp_path: Path) -> None:
    with a_world("--block-ms", BLOCK_MS) as world:
        environment = world.environment(f"sqlite:///{tmp_path}/whole.db")
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("FILLED", count=2)
        wait_until(lambda: confirmed_fills(tmp_path / "whole.db") != [])
        leader, _ = confirmed_fills(tmp_path / "whole.db")[0]
        code, found, errors = verified(environment, tmp_path, leader)
        assert (code, errors) == (0, ""), found
        assert found["complete"]
        (day, *_) = found["ranges"]
        assert day["from_block"] <= day["to_block"]
        assert day["ours"]["missing"] == day["ours"]["extra"] == day["data_api"]["extra"] == []
        on_chain, ours = (
            sum(one["chain"] for one in found["ranges"]),
            sum(one["ours"]["count"] for one in found["ranges"]),
        )
        # A block that is not final yet may have the second of the last one that is.
        assert ours >= on_chain > 0
        worker.stop()

        shutil.copy(tmp_path / "whole.db", tmp_path / "holed.db")
        lost = lose_a_fill(tmp_path / "holed.db", leader)
        holed = environment | {"DATABASE_URL": f"sqlite:///{tmp_path}/holed.db"}
        code, found, _ = verified(holed, tmp_path, leader)
        assert code == 1
        assert not found["complete"]
        assert lost in [trade["tx_hash"] for one in found["ranges"] for trade in one["ours"]["missing"]]

        schema.upgrade(f"sqlite:///{tmp_path}/fresh.db")
        fresh = environment | {"DATABASE_URL": f"sqlite:///{tmp_path}/fresh.db"}
        code, found, errors = verified(fresh, tmp_path, leader, "--since", "10s")
        assert "is not a leader of ours" in errors
        assert code == 0, errors
        assert (found["complete"], found["ranges"][0]["ours"]) == (True, None)


@pytest.mark.parametrize(
    ("words", "variables", "said"),
    [
        ((OTHER,), {}, "POLYGON_HTTP_URL is not set"),
        ((OTHER,), {"POLYGON_HTTP_URL": "http://127.0.0.1:9"}, "POLYGON_HTTP_URL: "),
        (("0x12",), {}, "is not an address"),
        (("bob",), {}, "bob is no leader of ours"),
        ((OTHER, "--since", "soon"), {}, "--since"),
    ],
)
def test_wrong_use_exits_2_with_a_reason(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    schema.upgrade(f"sqlite:///{tmp_path}/empty.db")
    environment = clean_environment() | {"DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"} | variables

    ended = copytrade("leaders", "verify", *words, environment=environment, folder=tmp_path)

    assert ended.returncode == 2
    assert said in ended.stderr


def lose_a_fill(path: Path, leader: str) -> str:
    """Delete one of a leader's fills and all that hangs on it; return its transaction."""
    with sqlite3.connect(path) as database:
        fill, tx_hash = database.execute(
            "SELECT f.id, f.tx_hash FROM leader_fill f JOIN leader l ON l.id = f.leader_id"
            " WHERE l.address = ? AND f.confirmed_at IS NOT NULL ORDER BY f.fill_ts LIMIT 1",
            (leader,),
        ).fetchone()
        database.execute("DELETE FROM leader_fill WHERE id = ?", (fill,))
    return str(tx_hash)


def confirmed_fills(path: Path) -> list[tuple[str, int]]:
    """Return the leaders with confirmed fills and how many they have, most first."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(
            "SELECT l.address, count(*) FROM leader_fill f JOIN leader l ON l.id = f.leader_id"
            " WHERE f.confirmed_at IS NOT NULL GROUP BY l.address ORDER BY count(*) DESC"
        ).fetchall()
