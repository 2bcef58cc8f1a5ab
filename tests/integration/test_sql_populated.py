"""Migrations go up, down and up again over a ledger that is full, step by step, and keep what both versions know."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from benchmarks import many_fills
from copytrade.adapters.sql import schema

FILLS = 300
FIRST = "0001"
KEPT = ("leader", "leader_fill_raw", "leader_fill", "execution_attempt", "execution_fill", "market_token", "position")
"""The tables that there are in every version."""
SUMS = "SELECT sum(filled_shares), sum(filled_shares * fill_price), sum(fee_usdc) FROM execution_fill"


def found(url: str) -> tuple[object, ...]:
    """Return how many rows each table has, and what all executions add up to, rounded as people read it."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        counts = [connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in KEPT]
        sums = [round(float(one), 3) for one in connection.execute(text(SUMS)).one()]
    return (*counts, *sums)


async def check_every_step(url: str) -> None:
    schema.upgrade(url)
    await many_fills.store(url, FILLS, tell=lambda _: None)
    full = found(url)
    steps = 0
    while schema.current(url) != FIRST:
        schema.downgrade(url, to="-1")
        assert found(url) == full, f"at {schema.current(url)}"
        steps += 1

    assert schema.upgrade(url) == (FIRST, schema.head())
    assert found(url) == full
    assert steps == int(schema.head()) - 1
    assert full[KEPT.index("leader_fill")] == FILLS


async def test_on_sqlite_every_step_keeps_a_full_ledger(tmp_path: Path) -> None:
    await check_every_step(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.postgres
async def test_on_postgres_every_step_keeps_a_full_ledger(postgres_database: str) -> None:
    await check_every_step(postgres_database)
