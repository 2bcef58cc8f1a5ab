"""The stages from a chain frame to the executor's queue, on a real ledger; the venue's side is still.

The head of the chain is older than the moment the leaders are followed from: no history is read meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from sqlalchemy import Connection, insert

from benchmarks.chain_logs import EXCHANGE, FIRST_BLOCK, block_hash
from copytrade.adapters.paper.executor import PaperExecutor
from copytrade.adapters.polygon.source import PolygonSource
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.rows import leader_values
from copytrade.adapters.sql.tables import leader
from copytrade.adapters.system import SystemClock
from copytrade.domain.copy_rules import CopyRules
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.domain.latency import Latency
from copytrade.domain.mirroring import parse_policies
from copytrade.domain.risk import LimitName
from copytrade.domain.sizing import SizingMode
from copytrade.domain.units import MICRO
from copytrade.engine.decide import Approved, Decide, Waits
from copytrade.engine.inbox import Inbox
from copytrade.engine.ingest import Ingest
from copytrade.engine.leader_events import LeaderEvents
from copytrade.engine.leader_values import LeaderValues
from copytrade.engine.listeners import Listeners
from copytrade.engine.mirror import Mirror
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.roll import LedgerRoll
from copytrade.ports.books import BookStore
from tests.fakes import FakeActivity, FakeBooks, FakeRegistry, FakeWalletValues, ScriptedSource
from tests.flow.guarding import a_guard
from tests.makers import a_book, a_leader, a_market, micro

CHAIN_ID = 137
NEVER_MS = 3_600_000
HEAD_EVERY_S = 2.0
HEAD_AGE_MS = 62_000
FOLLOWED_BEFORE_MS = 60_000

NewSource = Callable[[SqlLedger, SystemClock, LedgerRoll], PolygonSource]

RULES = CopyRules(
    copy_ratio=MICRO,
    max_usdc_per_trade=micro("100"),
    maker_leader_ratio=MICRO,
    sizing_mode=SizingMode.RATIO,
    slippage_bps_max=300,
    order_ttl_ms=5_000,
    fill_max_age_ms=NEVER_MS,
    carry_max_age_ms=600_000,
    order_window_ms=60_000,
)
LIMITS = dict.fromkeys((name for name in LimitName if name is not LimitName.LOSS_STREAK_COOLDOWN_MS), 10**6)
LIMITS |= {name: 10**15 for name in LIMITS if name.is_usdc}
"""Every limit in force, and none so near that it would cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """A running path: push frames in, take approved attempts out."""

    ledger: SqlLedger
    frames: asyncio.Queue[str]
    orders: asyncio.Queue[Approved]


def _follow(leaders: Sequence[str], connection: Connection, *, since_ms: int) -> None:
    rows = [leader_values(a_leader(address=address, followed_since_ms=since_ms)) for address in leaders]
    connection.execute(insert(leader), rows)


@asynccontextmanager
async def working(
    url: str,
    leaders: Sequence[str],
    books: BookStore | None = None,
    *,
    since_ms: int | None = None,
    source: NewSource | None = None,
) -> AsyncIterator[Working]:
    """Run source, ingest and decide with these leaders until the block ends; on one still book if none are given.

    The leaders are followed since a minute ago, or since `since_ms`; `source` makes another one than frames that are
    pushed.
    """
    async with open_database(url) as database:
        ledger, clock = SqlLedger(database), SystemClock()
        since_ms = clock.now_ms() - FOLLOWED_BEFORE_MS if since_ms is None else since_ms
        await database.write(partial(_follow, leaders, since_ms=since_ms))
        roll = LedgerRoll(ledger, clock)
        await roll.refresh()
        stamp_s = (clock.now_ms() - HEAD_AGE_MS) // 1000
        frames: asyncio.Queue[str] = asyncio.Queue()
        orders: asyncio.Queue[Approved] = asyncio.Queue(maxsize=1_000)
        ingest, decide = _stages(ledger, clock, roll, orders, books or await _still_book())
        read = source(ledger, clock, roll) if source else _source(ledger, clock, roll, frames, stamp_s=stamp_s)
        tasks = [
            asyncio.create_task(ingest.run("polygon", read)),
            asyncio.create_task(decide.run()),
            asyncio.create_task(_beat(frames, stamp_s)),
        ]
        try:
            yield Working(ledger=ledger, frames=frames, orders=orders)
            for task in tasks:
                assert not task.done(), repr(task)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _still_book() -> FakeBooks:
    books = FakeBooks()
    await books.show(a_book(asks="0.51:1000000"))
    return books


def _stages(
    ledger: SqlLedger, clock: SystemClock, roll: LedgerRoll, orders: asyncio.Queue[Approved], books: BookStore
) -> tuple[Ingest, Decide]:
    executor = PaperExecutor(
        books=books,
        clock=clock,
        decision_latency=Latency(median_ms=0),
        submit_latency=Latency(median_ms=150),
        seed=0,
        quote_stale_ms=5_000,
    )
    portfolio = Portfolio(strategy_id=COPY_STRATEGY_ID, account_id=executor.account_id)
    facts: dict[str, Any] = {
        "ledger": ledger,
        "portfolio": portfolio,
        "notifier": Listeners(),
        "roll": roll,
        "registry": FakeRegistry(a_market()),
        "inbox": Inbox(),
        "clock": clock,
    }
    idle = ScriptedSource()
    guard = a_guard(executor=executor, books=books, polygon=idle, limits=LIMITS, **facts)
    waits = Waits(unmapped_ms=5_000, book_ms=5_000)
    known = {name: facts[name] for name in ("ledger", "roll", "notifier", "clock")}
    ingest = Ingest(**facts)
    mirror = Mirror(ingest=ingest, portfolio=portfolio, registry=facts["registry"], books=books)
    decide = Decide(
        strategy_id=COPY_STRATEGY_ID,
        rules=RULES,
        waits=waits,
        books=books,
        leader_events=LeaderEvents(
            activity=FakeActivity(), interval_ms=NEVER_MS, policies=parse_policies(""), mirror=mirror, **known
        ),
        leader_values=LeaderValues(
            values=FakeWalletValues(), roll=roll, rules=RULES, clock=clock, note=lambda *_: None
        ),
        executor=executor,
        orders=orders,
        risk=guard.risk,
        **facts,
    )
    return ingest, decide


def _source(
    ledger: SqlLedger, clock: SystemClock, roll: LedgerRoll, frames: asyncio.Queue[str], *, stamp_s: int
) -> PolygonSource:
    async def connect(_url: str) -> _Socket:
        return _Socket(frames)

    return PolygonSource(
        http_urls=("http://node.invalid",),
        ws_urls=("ws://node.invalid",),
        exchanges=(EXCHANGE,),
        exchanges_v1=(),
        chain_id=CHAIN_ID,
        poll_interval_ms=NEVER_MS,
        lag_max_ms=15_000,
        clock=clock,
        roll=roll,
        cursors=ledger,
        stored=ledger,
        transport=httpx.MockTransport(lambda request: _answer(request, stamp_s)),
        connector=connect,
    )


class _Socket:
    """Receives what is pushed; every subscription is confirmed."""

    def __init__(self, frames: asyncio.Queue[str]) -> None:
        self._frames = frames

    async def send(self, text: str) -> None:
        asked = json.loads(text)
        self._frames.put_nowait(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": hex(asked["id"])}))

    async def recv(self) -> str:
        return await self._frames.get()

    async def close(self) -> None:
        return


def _header(stamp_s: int, number: int = FIRST_BLOCK - 1) -> dict[str, Any]:
    """Return a block, usually the head of a chain on which nothing moves: pushed logs lie ahead of it."""
    return {
        "number": hex(number),
        "hash": block_hash(number),
        "parentHash": block_hash(number - 1),
        "timestamp": hex(stamp_s),
        "logsBloom": "0x" + "00" * 256,
    }


def _answer(request: httpx.Request, stamp_s: int) -> httpx.Response:
    asked = json.loads(request.content)
    many = asked if isinstance(asked, list) else [asked]
    answers = [{"jsonrpc": "2.0", "id": one["id"], "result": _result(one, stamp_s)} for one in many]
    return httpx.Response(200, json=answers if isinstance(asked, list) else answers[0])


def _result(asked: dict[str, Any], stamp_s: int) -> Any:
    match asked["method"]:
        case "eth_chainId":
            return hex(CHAIN_ID)
        case "eth_getLogs":
            return []
        case _:
            block = str(asked["params"][0])
            return _header(stamp_s, int(block, 16)) if block.startswith("0x") else _header(stamp_s)


async def _beat(frames: asyncio.Queue[str], stamp_s: int) -> None:
    """Announce a head now and then, as a living node does."""
    while True:
        params = {"subscription": "0x1", "result": _header(stamp_s)}
        frames.put_nowait(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}))
        await asyncio.sleep(HEAD_EVERY_S)
