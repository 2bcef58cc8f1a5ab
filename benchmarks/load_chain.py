"""Catching up after a stop: the blocks and fills of a day, from a node that takes its time for each answer."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
from sqlalchemy import Connection, func, select

from benchmarks.chain_logs import addresses
from benchmarks.measuring import Kind
from benchmarks.measuring_loads import Held
from benchmarks.working import CHAIN_ID, working
from copytrade.adapters.polygon.source import PolygonSource
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.tables import leader_fill
from copytrade.adapters.system import SystemClock
from copytrade.domain.fills import Source
from copytrade.engine.roll import LedgerRoll
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsSeen
from tests.unit.polygon.fake_chain import Block, FakeChain
from tests.unit.polygon.raw_logs import STANDARD

ANSWER_S = 0.05
BLOCKS_OF_A_DAY, FILLS_OF_A_DAY = 43_200, 20_000
SHORT_PART = 4
"""Without --long a quarter of a day is caught up with, within a quarter of the time."""
CAUGHT_UP_S_MAX, WEEK_CAUGHT_UP_S_MAX = 600.0, 3_600.0
DAYS_OF_A_WEEK = 7
LEADERS = 20
CHECK_EVERY_S = 0.25
GIVE_UP_AT = 2.0
"""What takes so many times its bound is told as it is then."""


class LongChain(FakeChain):
    """A chain of very many blocks, whose node finds them quickly and answers slowly."""

    def at(self, number: int) -> Block | None:
        """Return a block by its number."""
        return self.blocks[number - 1] if 0 < number <= len(self.blocks) else None

    def by_number(self, number: int) -> Block | None:
        return self.at(number)

    def by_hash(self, block_hash: str) -> Block | None:
        self._index = getattr(self, "_index", {})
        if len(self._index) != len(self.blocks):
            self._index = {block.block_hash: block for block in self.blocks}
        return self._index.get(block_hash)

    def logs(self, criteria: dict[str, Any]) -> dict[str, Any]:
        if "blockHash" in criteria:
            block = self.by_hash(criteria["blockHash"])
            found = [] if block is None else [block]
        else:
            first, last = int(criteria["fromBlock"], 16), int(criteria["toBlock"], 16)
            found = self.blocks[max(0, first - 1) : last]
        wanted = {topic.lower() for topic in (criteria["topics"][2:] or [[]])[0] or []}
        owned = (log for block in found for log in block.logs)
        return {"result": [log for log in owned if not wanted or log["topics"][2] in wanted]}

    async def respond(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(ANSWER_S)
        return await super().respond(request)


def measure(kind: Kind, *, long: bool) -> Iterator[Held]:
    """Yield how long it takes until every block is read and every fill has its attempt; `long` has a week as well."""
    part = 1 if long else SHORT_PART
    yield from _caught_up(kind, BLOCKS_OF_A_DAY // part, FILLS_OF_A_DAY // part, bound_s=CAUGHT_UP_S_MAX / part)
    if long:
        blocks, fills = (DAYS_OF_A_WEEK * many for many in (BLOCKS_OF_A_DAY, FILLS_OF_A_DAY))
        yield from _caught_up(kind, blocks, fills, bound_s=WEEK_CAUGHT_UP_S_MAX)


def _caught_up(kind: Kind, blocks: int, fills: int, *, bound_s: float) -> Iterator[Held]:
    seconds, stored, calls = asyncio.run(_catch_up(kind, blocks, fills, give_up_s=GIVE_UP_AT * bound_s))
    what = f"{kind.name}: {blocks:,} blocks, {fills:,} fills caught up with"
    yield Held(what=what, figure=seconds, unit="s", bound=bound_s)
    what = f"{kind.name}: fills stored and decided"
    yield Held(what=what, figure=stored, unit="fills", bound=fills, is_least=True)
    yield Held(what=f"{kind.name}: calls to the node", figure=calls, unit="calls")


async def _catch_up(kind: Kind, blocks: int, fills: int, *, give_up_s: float) -> tuple[float, int, int]:
    leaders, url = addresses(LEADERS), kind.new()
    chain = _chain_of(blocks, fills, leaders)
    async with open_database(url) as database:
        cursor = Cursor(scope=CursorScope(), last_processed_block=1, proved_block=1)
        seen = FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor)
        await SqlLedger(database).ingest(seen, now_ms=SystemClock().now_ms())
        begun = time.monotonic()
        since_ms = chain.blocks[0].timestamp_s * 1000
        async with working(url, leaders, since_ms=since_ms, source=partial(_source, chain)):
            decided = 0
            while decided < fills and time.monotonic() - begun < give_up_s:
                await asyncio.sleep(CHECK_EVERY_S)
                decided = await database.read(_decided)
        return time.monotonic() - begun, decided, sum(chain.calls.values())


def _decided(connection: Connection) -> int:
    stored = select(func.count()).select_from(leader_fill).where(~leader_fill.c.awaits_decision)
    return int(connection.execute(stored).scalar_one())


def _chain_of(blocks: int, fills: int, leaders: list[str]) -> LongChain:
    draw, chain = random.Random(1), LongChain()
    places = sorted(draw.randrange(2, blocks - 10) for _ in range(fills))
    for number in range(1, blocks + 1):
        first, last = bisect_left(places, number), bisect_left(places, number + 1)
        chain.mine(*(chain.fill(f"load {at}", maker=draw.choice(leaders)) for at in range(first, last)))
    return chain


def _source(chain: LongChain, ledger: SqlLedger, clock: SystemClock, roll: LedgerRoll) -> PolygonSource:
    return PolygonSource(
        http_urls=("http://node.invalid",),
        ws_urls=("ws://node.invalid",),
        exchanges=(STANDARD,),
        exchanges_v1=(),
        chain_id=CHAIN_ID,
        poll_interval_ms=1_000,
        lag_max_ms=15_000,
        clock=clock,
        roll=roll,
        cursors=ledger,
        stored=ledger,
        transport=chain.transport(),
        connector=chain.connect,
    )
