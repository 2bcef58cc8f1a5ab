"""The race of the sources: the same table from both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.race import percentile
from copytrade.adapters.sql.reports import SqlReports
from copytrade.domain.fills import Sighting, Source
from copytrade.ports.leader_fills import FillsRemoved, FillsSeen, LogRef
from tests.ledger_facts import a_log, a_row
from tests.ledgers import sql_ledger
from tests.makers import NOW_MS, a_leader

LATER_MS = NOW_MS + 600_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = (
        f"sqlite:///{tmp_path}/ledger.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_database"))
    )
    schema.upgrade(database)
    return database


def chain(name: int, at_ms: int, **changes: Any) -> Sighting:
    return a_log(name, tx_hash=f"0x{name:02x}", fill_ts_ms=NOW_MS, detected_at_ms=NOW_MS + at_ms, **changes)


def api(name: int, at_ms: int, source: Source) -> Sighting:
    return a_row(tx_hash=f"0x{name:02x}", source=source, fill_ts_ms=NOW_MS, detected_at_ms=NOW_MS + at_ms)


async def race(url: str, *sightings: Sighting, removed: tuple[LogRef, ...] = (), now_ms: int = LATER_MS) -> Any:
    """Store the reports in the order given; return the table by source."""
    async with sql_ledger(url) as ledger:
        await ledger.add_leader(a_leader(followed_since_ms=NOW_MS + 999))
        for sighting in sightings:
            await ledger.ingest(FillsSeen(source=sighting.fill.source, sightings=(sighting,)), now_ms=NOW_MS)
        await ledger.orphan(FillsRemoved(logs=removed), now_ms=NOW_MS)
        return {row.pop("source"): row for row in (await SqlReports(ledger._database).status(now_ms=now_ms))["race"]}


async def test_who_was_first_by_how_much_and_who_missed_what(url: str) -> None:
    table = await race(
        url,
        *(api(1, 1_900, Source.RTDS), chain(1, 2_200), api(1, 5_400, Source.DATA_API)),
        *(chain(2, 2_100), api(2, 2_500, Source.RTDS), api(2, 7_100, Source.DATA_API)),
        *(chain(3, -250), api(3, 4_000, Source.DATA_API)),
        *(api(4, 1_000, Source.RTDS), chain(4, 3_000)),
    )

    assert list(table) == ["polygon", "rtds", "data_api"]
    assert table["polygon"] == {
        "fills": 4,
        "first": 2,
        "first_share": 0.5,
        "behind_block_p50_ms": 2_100,
        "behind_block_p95_ms": 3_000,
        "behind_first_p50_ms": 0,
        "behind_first_p95_ms": 2_000,
        "gaps": 0,
    }
    assert (table["rtds"]["fills"], table["rtds"]["first"], table["rtds"]["gaps"]) == (3, 2, 0)
    assert (table["data_api"]["behind_first_p50_ms"], table["data_api"]["behind_first_p95_ms"]) == (4_250, 5_000)


async def test_a_gap_is_a_fill_of_others_since_the_source_runs_and_not_of_this_minute(url: str) -> None:
    reports = [chain(1, 100), api(2, 1_000, Source.RTDS), chain(3, 2_000), chain(4, 50_000)]

    table = await race(url, *reports, now_ms=NOW_MS + 65_000)

    assert table["rtds"]["gaps"] == 1, "the first is from before its time, the last may still come"
    assert table["polygon"]["gaps"] == 1
    assert (table["polygon"]["fills"], table["rtds"]["fills"]) == (3, 1)


async def test_history_and_what_a_reorg_took_away_is_no_race(url: str) -> None:
    gone = chain(2, 100)
    assert gone.fill.place is not None
    ref = LogRef(block_hash=gone.fill.place.block_hash, tx_hash=gone.fill.tx_hash, log_index=2)
    old = a_row(tx_hash="0x05", fill_ts_ms=NOW_MS - 1_000, detected_at_ms=NOW_MS + 86_400_000)

    table = await race(url, chain(1, 100), gone, old, removed=(ref,))

    assert {source: row["fills"] for source, row in table.items()} == {"polygon": 1}


async def test_without_fills_there_is_no_race(url: str) -> None:
    assert await race(url) == {}


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50), st.integers(1, 100))
def test_a_percentile_is_one_of_the_values_and_not_exceeded_by_that_many(values: list[int], percent: int) -> None:
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)
