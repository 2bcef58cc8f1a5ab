"""Whatever the order, repetition and grouping of reports, each fill is stored once; and money survives."""

from __future__ import annotations

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.sql.columns import Instant, Micro
from copytrade.adapters.sql.engine import open_database
from copytrade.domain.fills import LeaderRole, RecordedFill, Sighting, Source
from copytrade.ports.leader_fills import FillsRemoved, FillsSeen, LogRef
from copytrade.ports.ledger import Ledger
from tests.ledgers import sql_ledger
from tests.makers import LEADER, NOW_MS, OTHER, a_fill, a_leader, a_place, a_sighting

BLOCKS = {"A": ("0x" + "0a" * 32, 100, 0), "B": ("0x" + "0b" * 32, 101, 10), "C": ("0x" + "0c" * 32, 100, 1)}
SIZES = ["10", "10", "10.5", "99.999999"]
ORDERS = ["0x" + "0d" * 32, "0x" + "0e" * 32]

Facts = list[tuple[int, int, str, str]]
facts = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from(SIZES), st.sampled_from([LEADER, OTHER])),
    min_size=1,
    max_size=6,
)
"""Fills in log order: transaction, order, size, leader."""


def logs_in(block: str, fills: Facts) -> list[Sighting]:
    block_hash, number, shift = BLOCKS[block]
    return [
        a_sighting(
            a_fill(
                size=size,
                leader=leader,
                tx_hash=f"0x0{tx}",
                place=a_place(
                    block_hash=block_hash,
                    block_number=number,
                    log_index=index + shift,
                    order_hash=f"{ORDERS[order]}{leader}",
                ),
            )
        )
        for index, (tx, order, size, leader) in enumerate(fills)
    ]


def rows_of(source: Source, fills: Facts, *, noise: int = 0) -> list[Sighting]:
    counted: dict[tuple[int, str, str], int] = {}
    rows = []
    for tx, _, size, leader in fills:
        n = counted[tx, size, leader] = counted.get((tx, size, leader), -1) + 1
        fill = a_fill(source=source, size=size, leader=leader, tx_hash=f"0x0{tx}", place=None, fee=None)
        fill = replace(fill, role=LeaderRole.UNKNOWN, size=fill.size + noise)
        rows.append(a_sighting(fill, source_key=f"{fill.tx_hash}|{fill.leader}|{fill.size}|{n}"))
    return rows


async def followed(ledger: Ledger) -> Ledger:
    await ledger.add_leader(a_leader(address=LEADER))
    await ledger.add_leader(a_leader(address=OTHER))
    return ledger


async def see(ledger: Ledger, sightings: list[Sighting], *, batch: int = 1) -> None:
    """Store in batches of one source each, as sources report."""
    for source in Source:
        reported = [sighting for sighting in sightings if sighting.fill.source is source]
        for start in range(0, len(reported), batch):
            seen = FillsSeen(source=source, sightings=tuple(reported[start : start + batch]))
            await ledger.ingest(seen, now_ms=NOW_MS)


async def see_one_by_one(ledger: Ledger, sightings: list[Sighting]) -> None:
    for sighting in sightings:
        await ledger.ingest(FillsSeen(source=sighting.fill.source, sightings=(sighting,)), now_ms=NOW_MS)


def content(fills: tuple[RecordedFill, ...]) -> list[tuple[str, str, int, str]]:
    """Return what the chain says of each fill, whoever came first."""
    return sorted((fill.fill.tx_hash, fill.fill.leader, fill.fill.size, fill.dedupe_key) for fill in fills)


def expected(logs: list[Sighting]) -> list[tuple[str, str, int, str]]:
    places = [(log.fill, log.fill.place) for log in logs]
    return sorted(
        (fill.tx_hash, fill.leader, fill.size, place.dedupe_key(fill.tx_hash)) for fill, place in places if place
    )


async def check_two_sources(ledger: Ledger, fills: Facts, draw: Any) -> None:
    await followed(ledger)
    logs = logs_in("A", fills)
    noise = draw(st.sampled_from([-1, 0, 1]))
    reports = [*logs, *rows_of(Source.DATA_API, fills, noise=noise), *rows_of(Source.RTDS, fills)]
    order = draw(st.permutations([*reports, *draw(st.lists(st.sampled_from(reports), max_size=6))]))

    if draw(st.booleans()):
        await see_one_by_one(ledger, order)
    else:
        await see(ledger, order, batch=draw(st.integers(1, 4)))

    assert content(await ledger.undecided(limit=100)) == expected(logs)


async def check_reorg(ledger: Ledger, fills: Facts, draw: Any) -> None:
    await followed(ledger)
    first, second = draw(st.sampled_from([("A", "B"), ("B", "A"), ("A", "C"), ("C", "A")]))
    before = draw(st.permutations(logs_in(first, fills)))
    seen_before = before[: draw(st.integers(0, len(before)))]
    rows = draw(st.lists(st.sampled_from(rows_of(Source.DATA_API, fills)), max_size=4))
    await see_one_by_one(ledger, draw(st.permutations([*seen_before, *rows])))
    if draw(st.booleans()):
        await ledger.orphan(removed(seen_before), now_ms=NOW_MS)

    after = logs_in(second, fills)
    order = draw(st.permutations([*after, *rows_of(Source.DATA_API, fills), *draw(st.lists(st.sampled_from(after)))]))
    await see_one_by_one(ledger, order)
    await ledger.orphan(removed(seen_before), now_ms=NOW_MS)

    assert content(await ledger.undecided(limit=100)) == expected(after)


def removed(logs: list[Sighting]) -> FillsRemoved:
    places = [(log.fill.tx_hash, log.fill.place) for log in logs]
    refs = (LogRef(block_hash=place.block_hash, tx_hash=tx, log_index=place.log_index) for tx, place in places if place)
    return FillsRemoved(logs=tuple(refs))


def run(opened: AbstractAsyncContextManager[Ledger], check: Any, fills: Facts, draw: Any) -> None:
    async def main() -> None:
        async with opened as ledger:
            await check(ledger, fills, draw)

    asyncio.run(main())


@pytest.mark.parametrize("check", [check_two_sources, check_reorg])
@given(fills=facts, data=st.data())
@settings(max_examples=400)
def test_in_memory_each_fill_is_stored_once(check: Any, fills: Facts, data: st.DataObject) -> None:
    asyncio.run(_in_memory(check, fills, data.draw))


async def _in_memory(check: Any, fills: Facts, draw: Any) -> None:
    await check(MemoryLedger(), fills, draw)


@pytest.mark.parametrize("check", [check_two_sources, check_reorg])
@given(fills=facts, data=st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_a_database_each_fill_is_stored_once(
    migrated_url: str, check: Any, fills: Facts, data: st.DataObject
) -> None:
    run(sql_ledger(migrated_url), check, fills, data.draw)


# What a column gives back

amounts = Table("round_trip", MetaData(), Column("n", Integer), Column("amount", Micro), Column("at", Instant))
micro_up_to_a_billion = st.integers(-(10**15), 10**15)
milliseconds = st.integers(-62_135_596_800_000, 253_402_300_799_999)


def _round_trip(connection: Connection, kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
    amounts.create(connection)
    connection.execute(insert(amounts), [{"n": n, "amount": amount, "at": at} for n, (amount, at) in enumerate(kept)])
    found = connection.execute(select(amounts.c.amount, amounts.c.at).order_by(amounts.c.n))
    given_back = [(row.amount, row.at) for row in found]
    amounts.drop(connection)
    return given_back


def come_back(url: str, kept: list[tuple[int, int]]) -> list[tuple[int, int]]:
    async def main() -> list[tuple[int, int]]:
        async with open_database(url) as database:
            return await database.write_alone(partial(_round_trip, kept=kept))

    return asyncio.run(main())


@given(kept=st.lists(st.tuples(micro_up_to_a_billion, milliseconds), min_size=1, max_size=50))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_money_and_time_come_back_exactly(migrated_url: str, kept: list[tuple[int, int]]) -> None:
    assert come_back(migrated_url, kept) == kept


@pytest.mark.parametrize("digits", [4, 8, 12, 15])
def test_ten_thousand_amounts_of_a_size_come_back_exactly(migrated_url: str, digits: int) -> None:
    draw = random.Random(digits)
    kept = [(draw.randrange(10**digits), NOW_MS) for _ in range(10_000)]

    assert come_back(migrated_url, kept) == kept
