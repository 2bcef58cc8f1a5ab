"""From a block of the sandbox being published to its leaders' fills being committed.

    python -m benchmarks.detection [SECONDS]

Once with the subscription to logs, once with it muted, so that only the reading of blocks finds them.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.measuring import Figure, Kind, kinds, percentile, show
from copytrade.adapters.polygon.source import PolygonSource
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.system import SystemClock
from copytrade.engine.roll import LedgerRoll
from copytrade.ports.leader_fills import ChainConfirmed, FillsConfirmed, FillsRemoved, FillsSeen
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve
from tests.makers import a_leader
from tests.unit.polygon.raw_logs import LIVE

SECONDS = 20
SETTLE_S = 3.0
POLL_MS = 1_000
"""As the worker's own default."""
PUSHED_MS_MAX, MUTED_MS_MAX = 500, 1_500


async def store(source: PolygonSource, ledger: SqlLedger, clock: SystemClock, committed: dict[str, int]) -> None:
    """Store what the source reports, as the worker does, and note when each log was first committed."""
    async for event in source.events():
        match event:
            case FillsSeen():
                await ledger.ingest(event, now_ms=clock.now_ms())
                for one in event.sightings:
                    committed.setdefault(one.source_key, clock.now_ms())
            case FillsRemoved():
                await ledger.orphan(event, now_ms=clock.now_ms())
            case ChainConfirmed() | FillsConfirmed():
                await ledger.confirm(event)
            case _:
                continue


async def latencies(kind: Kind, *, is_muted: bool, seconds: int) -> list[float]:
    """Return the milliseconds of every fill of a leader that was mined while we listened."""
    clock = SystemClock()
    committed: dict[str, int] = {}
    config = SandboxConfig(port=0, seed=3)
    async with serve(config) as sandbox, open_database(kind.new()) as database:
        sandbox.faults.logs_muted = is_muted
        ledger = SqlLedger(database)
        for leader in sandbox.leaders:
            await ledger.add_leader(a_leader(address=leader.address.lower(), followed_since_ms=clock.now_ms()))
        roll = LedgerRoll(ledger, clock)
        await roll.refresh()
        source = PolygonSource(
            http_urls=(sandbox.urls["POLYGON_HTTP_URL"],),
            ws_urls=(sandbox.urls["POLYGON_WS_URL"],),
            exchanges=LIVE,
            exchanges_v1=(),
            chain_id=137,
            poll_interval_ms=POLL_MS,
            lag_max_ms=15_000,
            clock=clock,
            roll=roll,
            cursors=ledger,
            stored=ledger,
        )
        storing = asyncio.create_task(store(source, ledger, clock, committed))
        await asyncio.sleep(SETTLE_S)
        since_ms = clock.now_ms()
        await asyncio.sleep(seconds)
        until_ms = clock.now_ms()
        await asyncio.sleep(SETTLE_S)
        assert not storing.done(), repr(storing)
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
        return _waited(sandbox, committed, since_ms=since_ms, until_ms=until_ms, followed=set(roll.leaders()))


def _waited(
    sandbox: Sandbox, committed: dict[str, int], *, since_ms: int, until_ms: int, followed: set[str]
) -> list[float]:
    return [
        committed[f"{record.block_hash}|{record.tx_hash}|{record.log_index}"] - record.mined_ms
        for record in sandbox.world.ledger.records
        if record.canonical and since_ms <= record.mined_ms <= until_ms and record.fill.owner.lower() in followed
    ]


def measure(kind: Kind, seconds: int = SECONDS) -> list[Figure]:
    """Measure on one kind of database; the bar is in milliseconds, so the ratio is to it."""
    figures = []
    for is_muted, name, bar_ms in ((False, "subscription", PUSHED_MS_MAX), (True, "muted", MUTED_MS_MAX)):
        waited = asyncio.run(latencies(kind, is_muted=is_muted, seconds=seconds))
        p95 = percentile(waited, 0.95)
        what = f"{kind.name}: block to committed fill, {name}, p95 of {len(waited)}"
        figures.append(Figure(what=what, ours=f"{p95:.0f} ms", peer=f"{bar_ms} ms, the bar", ratio=p95 / bar_ms, bar=1))
    return figures


def main() -> None:
    """Measure and print."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with kinds() as found:
        show([figure for kind in found for figure in measure(kind, seconds)])


if __name__ == "__main__":
    main()
