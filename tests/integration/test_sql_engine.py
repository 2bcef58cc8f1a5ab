"""Opening databases, saying what is wrong with them, and many tasks writing at once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, NullPool, create_engine, insert, make_url, select, text

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import open_database, parse_url, shown
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.rows import leader_values
from copytrade.adapters.sql.tables import leader
from copytrade.adapters.sql.writing import GROUP_MAX
from copytrade.domain.fills import Source
from copytrade.ports.leader_fills import FillsSeen
from copytrade.ports.ledger import LedgerUnavailableError
from tests.ledger_facts import a_log, a_row, a_stored_fill, a_submitted, an_attempt, an_execution
from tests.ledgers import sql_ledger
from tests.makers import NOW_MS, OTHER, a_leader, micro
from tests.statements import commits_heard


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = (
        f"sqlite:///{tmp_path}/ledger.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_database"))
    )
    schema.upgrade(database)
    return database


async def refusal(url: str) -> str:
    """Return the one line a person gets who starts on this database."""
    with pytest.raises(LedgerUnavailableError) as refused:
        async with open_database(url):
            pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("These are notes, long enough to fill a header." * 20)

    assert "notes.txt: file is not a database" in await refusal(f"sqlite:///{tmp_path}/notes.txt")


async def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    schema.upgrade(f"sqlite:///{path}")
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4_000)

    assert "ledger.db: database disk image is malformed" in await refusal(f"sqlite:///{path}")


async def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path}/nowhere" in await refusal(f"sqlite:///{tmp_path}/nowhere/ledger.db")
    with pytest.raises(LedgerUnavailableError, match="there is no folder"):
        schema.upgrade(f"sqlite:///{tmp_path}/nowhere/ledger.db")
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    assert "unable to open database file" in await refusal(f"sqlite:///{tmp_path}")


async def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    line = await refusal("postgresql+psycopg://ann:hunter2@127.0.0.1:1/ledger?sslpassword=hunter2")

    assert "postgresql+psycopg://ann:***@127.0.0.1:1/ledger" in line
    assert "hunter2" not in line
    assert "refused" in line


@pytest.mark.postgres
async def test_a_database_the_server_does_not_have_is_named(postgres_url: str) -> None:
    wrong = make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False)

    assert 'database "nowhere" does not exist' in await refusal(wrong)
    with pytest.raises(LedgerUnavailableError, match="does not exist"):
        schema.upgrade(wrong)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "postgresql://ann:hunter2@x/y", "ledger.db", ""]
)
async def test_another_kind_of_url_is_refused_without_the_password(url: str) -> None:
    line = await refusal(url)

    assert "hunter2" not in line
    assert "postgresql+psycopg://USER:PASSWORD@HOST/NAME" in line or "not a URL" in line


def test_a_shown_url_keeps_what_helps() -> None:
    url = parse_url("postgresql+psycopg://ann@/ledger?host=/run/pg&password=hunter2")

    assert shown(url) == "postgresql+psycopg://ann@/ledger?host=%2Frun%2Fpg&password=%2A%2A%2A"


async def test_sqlite_is_as_durable_as_it_can_be(tmp_path: Path) -> None:
    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]

    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    async with open_database(url) as database:
        assert await database.write(settings) == ["wal", 2, 1, 10_000]
        assert (await database.read(settings))[0] == "wal"


async def test_a_reader_cannot_write(url: str) -> None:
    async with open_database(url) as database:
        with pytest.raises(LedgerUnavailableError, match=r"read-?only"):
            await database.read(lambda connection: connection.execute(text("DELETE FROM worker_event")))


async def test_a_reader_does_not_wait_for_a_writer(url: str) -> None:
    async with sql_ledger(url) as ledger:
        await ledger.add_leader(a_leader())
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as writing:
            writing.execute(text("UPDATE leader SET label = 'not committed yet'"))

            assert await ledger.leaders() == (a_leader(),)


async def test_many_tasks_write_at_once(url: str) -> None:
    async with sql_ledger(url) as ledger:
        await ledger.add_leader(a_leader())
        logs = [a_log(7, tx_hash=f"0x{n:02x}") for n in range(40)]
        rows = [a_row(tx_hash=f"0x{n:02x}") for n in range(40)]

        async def see(sighting) -> None:
            await ledger.ingest(FillsSeen(source=sighting.fill.source, sightings=(sighting,)), now_ms=NOW_MS)

        async with asyncio.TaskGroup() as tasks:
            for sighting in [*logs, *rows, *logs]:
                tasks.create_task(see(sighting))

        assert len(await ledger.undecided(limit=1_000)) == 40


async def test_executions_of_one_token_booked_at_once_add_up(url: str) -> None:
    async with sql_ledger(url) as ledger:
        attempts = [await a_submitted(ledger, tx=f"{n:02x}") for n in range(10)]
        executions = [
            an_execution(attempt, trade=f"{n}-{part}", shares="50")
            for n, attempt in enumerate(attempts)
            for part in (1, 2)
        ]

        async with asyncio.TaskGroup() as tasks:
            for execution in [*executions, *executions]:
                tasks.create_task(ledger.book_execution(execution))

        (position,) = await ledger.positions()
        assert position.shares == micro("1000")
        assert await ledger.open_attempts() == ()


def add(address: str, label: str) -> Callable[[Connection], str]:
    """Return a unit of work that follows a leader; a label that is empty breaks a rule after the row is in."""

    def work(connection: Connection) -> str:
        connection.execute(insert(leader), [leader_values(a_leader(address=address, label=label))])
        if not label:
            raise ValueError(address)
        return address

    return work


async def test_a_write_that_fails_takes_none_with_it_that_came_at_the_same_time(url: str) -> None:
    addresses = [f"0x{n:040x}" for n in range(100)]
    async with sql_ledger(url) as ledger, open_database(url) as database:
        writes = (database.write(add(one, "" if n % 7 == 3 else "kept")) for n, one in enumerate(addresses))
        answers = await asyncio.gather(*writes, return_exceptions=True)

        kept = [one for n, one in enumerate(addresses) if n % 7 != 3]
        assert [one for one in answers if not isinstance(one, ValueError)] == kept
        assert [str(one) for one in answers if isinstance(one, ValueError)] == addresses[3::7]
        assert [one.address for one in await ledger.leaders()] == kept


async def test_writes_that_wait_share_a_commit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    commits: list[Connection] = []

    with commits_heard(commits.append):
        async with open_database(url) as database:
            await asyncio.gather(*(database.write(add(f"0x{n:040x}", "kept")) for n in range(2 * GROUP_MAX)))
            before = len(commits)
            await database.write(add(OTHER, "alone"))
            assert len(commits) == before + 1

    assert before < GROUP_MAX


async def test_a_commit_that_fails_fails_every_write_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)

    def undo_all(connection: Connection) -> None:
        connection.execute(text("ROLLBACK"))
        connection.execute(text("INSERT INTO nowhere VALUES (1)"))

    async with open_database(url) as database:
        writes = [*(database.write(add(f"0x{n:040x}", "kept")) for n in range(5)), database.write(undo_all)]
        answers = await asyncio.gather(*writes, database.write(add(OTHER, "kept")), return_exceptions=True)
        assert isinstance(answers[5], LedgerUnavailableError)
        written = [one for one in answers if isinstance(one, str)]
        stored = await database.read(lambda connection: connection.execute(select(leader.c.address)).scalars().all())
        assert list(stored) == written
        assert await database.write(add("0x" + "f" * 40, "kept")) == "0x" + "f" * 40


async def test_two_workers_by_mistake_still_store_each_fill_once(url: str) -> None:
    """The lock that decides is the database's: a second process has another of the first kind."""
    async with sql_ledger(url) as ledger, open_database(url) as other_database:
        await ledger.add_leader(a_leader())
        other = SqlLedger(other_database)
        async with asyncio.TaskGroup() as tasks:
            for n in range(40):
                log, row = a_log(7, tx_hash=f"0x{n:02x}"), a_row(tx_hash=f"0x{n:02x}")
                for worker, sighting in ((ledger, log), (other, row)):
                    seen = FillsSeen(source=sighting.fill.source, sightings=(sighting,))
                    tasks.create_task(worker.ingest(seen, now_ms=NOW_MS))

        assert len(await ledger.undecided(limit=1_000)) == 40


async def test_an_order_is_submitted_once_by_many(url: str) -> None:
    async with sql_ledger(url) as ledger:
        attempt = an_attempt(await a_stored_fill(ledger))
        recorded = await asyncio.gather(*(ledger.record_attempt(attempt) for _ in range(10)))
        submitted = await asyncio.gather(
            *(ledger.submit_attempt(attempt.id, order_hash=f"0x{n}", placed_at_ms=NOW_MS) for n in range(10))
        )

    assert sorted(recorded) == sorted(submitted) == [False] * 9 + [True]


async def test_another_process_may_add_leaders_meanwhile(url: str) -> None:
    async with sql_ledger(url) as ledger, open_database(url) as other_database:
        other = SqlLedger(other_database)

        async def follow() -> None:
            for n in range(20):
                await other.add_leader(a_leader(address=f"0x{n:040x}"))

        async def see() -> None:
            for n in range(40):
                seen = FillsSeen(source=Source.POLYGON, sightings=(a_log(7, tx_hash=f"0x{n:02x}"),))
                await ledger.ingest(seen, now_ms=NOW_MS)

        await ledger.add_leader(a_leader())
        await asyncio.gather(follow(), see())

        assert len(await ledger.leaders()) == 21
        assert len(await other.undecided(limit=100)) == 40


async def test_a_cancelled_task_leaves_all_or_nothing(url: str) -> None:
    async with sql_ledger(url) as ledger:
        await ledger.add_leader(a_leader())
        for n in range(30):
            seen = FillsSeen(source=Source.POLYGON, sightings=(a_log(7, tx_hash=f"0x{n:02x}"),))
            task = asyncio.create_task(ledger.ingest(seen, now_ms=NOW_MS))
            for _ in range(n):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        for n in range(30):
            seen = FillsSeen(source=Source.POLYGON, sightings=(a_log(7, tx_hash=f"0x{n:02x}"),))
            await ledger.ingest(seen, now_ms=NOW_MS)
        await ledger.add_leader(a_leader(address=OTHER))

        assert len(await ledger.undecided(limit=100)) == 30


async def test_a_lock_held_too_long_by_another_is_an_outage_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("copytrade.adapters.sql.engine.SQLITE_BUSY_MS", 50)
    url = f"sqlite:///{tmp_path}/ledger.db"
    schema.upgrade(url)
    async with sql_ledger(url) as ledger:
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailableError, match="database is locked"):
            await ledger.add_leader(a_leader())
        other.execute("ROLLBACK")
        other.close()

        assert await ledger.add_leader(a_leader())


@pytest.mark.postgres
async def test_a_server_that_drops_us_is_an_outage_and_not_the_end(postgres_database: str) -> None:
    schema.upgrade(postgres_database)
    async with sql_ledger(postgres_database) as ledger, open_database(postgres_database) as other:
        await ledger.add_leader(a_leader())
        drop = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        await other.write(lambda connection: connection.execute(drop).all())

        with pytest.raises(LedgerUnavailableError, match=r"terminat|closed"):
            await ledger.leaders()
        assert await ledger.leaders() == (a_leader(),)
