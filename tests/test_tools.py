"""The devices the other tests stand on."""

from __future__ import annotations

import asyncio
import os
import random
import socket

import psycopg
import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.sql import text

from tests.conftest import NetworkUsedError
from tests.virtual_time import DeadlockError, VirtualClock, run_virtual

EPOCH_MS = 1_790_000_000_000


def test_an_hour_of_virtual_time_passes_at_once_and_to_the_millisecond() -> None:
    clock = VirtualClock()

    async def main() -> tuple[int, int]:
        for _ in range(36_000):
            await clock.sleep_ms(100)
        return clock.now_ms(), clock.monotonic_ms()

    assert run_virtual(main, epoch_ms=EPOCH_MS) == (EPOCH_MS + 3_600_000, 3_600_000)


def test_the_same_seed_gives_the_same_interleaving() -> None:
    async def main() -> list[tuple[str, int]]:
        clock = VirtualClock()
        seen: list[tuple[str, int]] = []

        async def walk(name: str) -> None:
            for _ in range(20):
                await clock.sleep_ms(random.randint(1, 50))
                seen.append((name, clock.now_ms()))

        async with asyncio.TaskGroup() as walkers:
            for name in "abc":
                walkers.create_task(walk(name))
        return seen

    first, again, other = (run_virtual(main, epoch_ms=0, seed=seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_tasks_of_a_group_are_cancelled_in_one_order_wherever_they_lie_in_memory() -> None:
    def order_of_cancels(*, between: int) -> list[int]:
        cancelled: list[int] = []
        kept: list[object] = []

        async def wait(number: int) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.append(number)
                raise

        async def fail() -> None:
            await asyncio.sleep(1)
            raise RuntimeError("the others are not needed any more")

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(50):
                    group.create_task(wait(number))
                    kept.extend(asyncio.Event() for _ in range(number * between % 17))
                    kept.append(bytes(between * number))
                group.create_task(fail())

        with pytest.raises(ExceptionGroup, match="unhandled"):
            run_virtual(main, epoch_ms=0)
        return cancelled

    assert order_of_cancels(between=0) == order_of_cancels(between=5) == order_of_cancels(between=31)


def test_a_hang_is_an_error_that_names_who_waits() -> None:
    async def main() -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="the one who waits")

    with pytest.raises(DeadlockError, match="the one who waits"):
        run_virtual(main, epoch_ms=0)


def test_a_run_leaves_the_generator_as_it_was() -> None:
    async def main() -> float:
        return random.random()

    before = random.getstate()

    run_virtual(main, epoch_ms=0, seed=7)

    assert random.getstate() == before


def test_no_test_reaches_another_machine() -> None:
    with socket.socket() as outward, pytest.raises(NetworkUsedError, match=r"192\.0\.2\.1"):
        outward.connect(("192.0.2.1", 80))


@pytest.mark.postgres
@pytest.mark.parametrize("round_", [1, 2])
async def test_every_test_has_a_database_of_its_own(postgres_database: str, round_: int) -> None:
    engine = create_async_engine(postgres_database)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE only_here (n integer)"))
        found = await connection.scalar(text("SELECT current_database()"))
    await engine.dispose()

    assert found == make_url(postgres_database).database


@pytest.mark.postgres
def test_a_database_is_gone_after_its_test(postgres_url: str) -> None:
    dsn = make_url(postgres_url).set(drivername="postgresql")
    with psycopg.connect(dsn.render_as_string(hide_password=False)) as server:
        own = f"copytrade_test_{os.getpid()}_%"
        left = server.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [own])

        assert left.fetchall() == []
