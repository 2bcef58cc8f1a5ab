"""One worker for a database: another one is refused, and one that died leaves nothing in the way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.sole import sole_worker
from copytrade.ports.ledger import LedgerInUseError, LedgerUnavailableError
from tests.processes import WorkerProcess, a_world, copytrade

HOLDER = """
import asyncio, sys
from copytrade.adapters.sql.sole import sole_worker

async def main():
    async with sole_worker(sys.argv[1]):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return str(request.getfixturevalue("postgres_database"))


async def test_a_second_worker_is_refused_until_the_first_has_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copytrade.adapters.sql.sole.TAKE_OVER_TRIES", 2)
    async with sole_worker(url):
        with pytest.raises(LedgerInUseError, match="another worker runs on it"):
            async with sole_worker(url):
                pass
    async with sole_worker(url):
        pass


async def test_a_worker_that_was_killed_leaves_nothing_in_the_way(url: str) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()

    async with sole_worker(url):
        pass


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailableError, match="there is no folder"):
        async with sole_worker(f"sqlite:///{tmp_path}/nowhere/ledger.db"):
            pass


async def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db.lock").mkdir()

    with pytest.raises(LedgerUnavailableError, match=r"ledger\.db\.lock cannot be opened"):
        async with sole_worker(f"sqlite:///{tmp_path}/ledger.db"):
            pass


async def test_what_the_worker_fails_with_is_not_taken_for_another_worker(url: str) -> None:
    with pytest.raises(BlockingIOError, match="a socket"):
        async with sole_worker(url):
            raise BlockingIOError("a socket")


@pytest.mark.processes
@pytest.mark.timeout(120)
def test_run_refuses_a_database_that_a_worker_runs_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/worker.db"
    schema.upgrade(url)
    with a_world("--block-ms", "400") as world:
        environment = world.environment(url)
        worker = WorkerProcess(environment, tmp_path)
        worker.read_until("SEEN")
        second = copytrade("run", "--for", "5", environment=environment, folder=tmp_path)
        assert worker.stop() == 0

    assert second.returncode == 2
    assert "another worker runs on it" in second.stderr
