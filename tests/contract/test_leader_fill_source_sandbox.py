"""Both sources against the sandbox, over real sockets: each tells exactly the fills its record holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from copytrade.adapters.data_api.source import DataApiSource
from copytrade.adapters.polygon.source import PolygonSource
from copytrade.adapters.system import SystemClock
from copytrade.domain.leaders import Leader
from copytrade.ports.leader_fills import (
    Cursor,
    CursorReader,
    CursorScope,
    FillsSeen,
    LeaderFillSource,
    LeaderRoll,
    StoredLog,
    StoredLogs,
)
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve
from tests.makers import a_leader
from tests.unit.polygon.raw_logs import BEFORE, LIVE

LIFE_S = 5
HISTORY_MS = 60_000


class FixedRoll(LeaderRoll):
    def __init__(self, sandbox: Sandbox, since_ms: int) -> None:
        addresses = [leader.address.lower() for leader in sandbox.leaders]
        self._leaders = {address: a_leader(address=address, followed_since_ms=since_ms) for address in addresses}

    def leaders(self) -> Mapping[str, Leader]:
        return self._leaders

    async def changed(self) -> None:
        await asyncio.Event().wait()


class NothingStored(CursorReader, StoredLogs):
    async def cursor(self, scope: CursorScope) -> Cursor | None:
        return None

    async def unconfirmed_logs(self) -> tuple[StoredLog, ...]:
        return ()


async def collect(source: LeaderFillSource, into: dict[str, tuple[str, ...]]) -> None:
    async for event in source.events():
        if isinstance(event, FillsSeen):
            for one in event.sightings:
                fill = one.fill
                into[one.source_key] = (fill.tx_hash, fill.leader, fill.token_id, fill.side, str(fill.size))


@pytest.mark.slow
async def test_both_sources_tell_what_the_sandbox_recorded():
    clock = SystemClock()
    chain_fills: dict[str, tuple[str, ...]] = {}
    api_fills: dict[str, tuple[str, ...]] = {}
    async with serve(SandboxConfig(port=0, seed=3, block_ms=500, index_delay_ms=500)) as sandbox:
        since_ms = (clock.now_ms() - HISTORY_MS) // 1000 * 1000
        roll = FixedRoll(sandbox, since_ms)
        chain = PolygonSource(
            http_urls=(sandbox.urls["POLYGON_HTTP_URL"],),
            ws_urls=(sandbox.urls["POLYGON_WS_URL"],),
            exchanges=LIVE,
            exchanges_v1=BEFORE,
            chain_id=137,
            poll_interval_ms=500,
            lag_max_ms=15_000,
            clock=clock,
            roll=roll,
            cursors=NothingStored(),
            stored=NothingStored(),
        )
        url = sandbox.urls["DATA_API_HTTP_URL"]
        api = DataApiSource(url=url, poll_interval_ms=500, clock=clock, roll=roll)
        tasks = [asyncio.create_task(collect(chain, chain_fills)), asyncio.create_task(collect(api, api_fills))]
        await asyncio.sleep(LIFE_S)
        until_ms = clock.now_ms()
        await asyncio.sleep(3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        records = [
            record
            for record in sandbox.world.ledger.records
            if record.canonical and record.fill.owner.lower() in roll.leaders() and record.timestamp * 1000 >= since_ms
        ]

    expected = Counter(
        (record.tx_hash, record.fill.owner.lower(), str(record.fill.token), ("BUY", "SELL")[record.fill.side])
        for record in records
        if record.mined_ms <= until_ms
    )
    assert sum(expected.values()) > 20
    for told in (chain_fills, api_fills):
        got = Counter(fill[:4] for fill in told.values())
        assert expected <= got
        assert got <= Counter(
            (record.tx_hash, record.fill.owner.lower(), str(record.fill.token), ("BUY", "SELL")[record.fill.side])
            for record in records
        )
    assert set(api_fills.values()) <= set(chain_fills.values())
