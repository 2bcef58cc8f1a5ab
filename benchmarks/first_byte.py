"""From an approved attempt to the first byte of its order at the venue, with whatever the ledger commits before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from copytrade.adapters.live.caps import Caps
from copytrade.adapters.live.clob_account import ClobAccount
from copytrade.adapters.live.executor import ClobExecutor
from copytrade.adapters.live.following import Following
from copytrade.adapters.live.posting import Posting
from copytrade.adapters.live.signer import LocalSigner
from copytrade.adapters.live.transport import Transport
from copytrade.adapters.live.user_stream import UserStream
from copytrade.adapters.system import SystemClock
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.orders import OrderType
from copytrade.domain.redaction import Redaction
from copytrade.domain.units import MICRO
from copytrade.domain.venue_orders import Account, Exchanges, SignatureType
from copytrade.engine.decide import Approved
from copytrade.engine.execute import Execute
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.ledger import Ledger
from tests.fakes import RecordingNotifier
from tests.ledger_facts import a_stored_fill, an_attempt
from tests.makers import a_market, a_place

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
EXCHANGES = Exchanges(
    ctf="0xe111180000d2663c0091e4f400237545b87b996b",
    neg_risk="0xe2222d279d744050d28e00520010520000310f59",
    v3="0xe3333700ca9d93003f00f0f71f8515005f6c00aa",
)
CHUNK = 65_536


class Doorstep:
    """Passes every byte on to a venue and back, and notes when the first one of each order came."""

    def __init__(self, venue_url: str) -> None:
        self._venue = urlsplit(venue_url)
        self.first_byte: list[float] = []
        self._passing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[str]:
        """Listen on a free port of loopback; gives the URL."""
        async with await asyncio.start_server(self._take, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{self._venue.path}"
        await asyncio.gather(*self._passing)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.create_task(self._pass_both(reader, writer))
        self._passing.add(passing)
        passing.add_done_callback(self._passing.discard)

    async def _pass_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(self._venue.hostname, self._venue.port)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass(reader, to_there))
            both.create_task(self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        order = f"POST {self._venue.path}/order ".encode()
        while data := await reader.read(CHUNK):
            if data.startswith(order):
                self.first_byte.append(time.perf_counter())
            writer.write(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def an_executor(url: str, http: httpx.AsyncClient, ledger: Ledger, signer: LocalSigner) -> ClobExecutor:
    """Wire an executor to a venue."""
    clock = SystemClock()
    account = Account(wallet=signer.address, owner=signer.address, signature_type=SignatureType.EOA)
    transport = Transport(url=url, http=http, signer=signer, clock=clock, redaction=Redaction())
    clob = ClobAccount(account=account, account_id="live", transport=transport, clock=clock)
    clob.may_post = lambda: True  # the limit would be what is measured
    facts: dict[str, Any] = {"clock": clock, "note": lambda *_: None}
    posting = Posting(clob=clob, **facts)
    following = Following(clob=clob, posting=posting, store=ledger, market_of=lambda _: None, **facts)
    stream = UserStream(
        url=url,
        transport=transport,
        open_connection=httpx.AsyncClient.get,
        heal=following.heal,
        on_news=following.hear,
        **facts,
    )
    huge = 10**15
    return ClobExecutor(
        clob=clob,
        posting=posting,
        following=following,
        stream=stream,
        signer=signer,
        exchanges=EXCHANGES,
        order_type=OrderType.GTC,
        market_of=lambda _: None,
        clock=clock,
        caps=Caps(account_id="live", per_order=huge, per_day=huge, store=ledger, clock=clock),
    )


async def to_first_byte(venue_url: str, ledger: Ledger, orders: int) -> list[float]:
    """Return the milliseconds from an approved attempt to the first byte of its order at the venue."""
    doorstep = Doorstep(venue_url)
    started: list[float] = []
    async with doorstep.opened() as url, httpx.AsyncClient() as http:
        executor = an_executor(url, http, ledger, LocalSigner(bytes.fromhex(KEY[2:])))
        execute = Execute(
            ledger=ledger,
            executor=executor,
            portfolio=Portfolio(strategy_id="copy", account_id="live"),
            orders=asyncio.Queue(),
            notifier=RecordingNotifier(),
            clock=SystemClock(),
            stopped_by=lambda _: None,
        )
        await executor.following.heal()
        for number in range(orders):
            approved = await _approved(ledger, number)
            started.append(time.perf_counter())
            await execute.submit(approved)
            executor.following.events.get_nowait()
    return [(came - began) * 1_000 for began, came in zip(started, doorstep.first_byte, strict=True)]


async def _approved(ledger: Ledger, number: int) -> Approved:
    place = a_place(log_index=number)
    fill = await a_stored_fill(ledger, tx_hash=f"0x{number:064x}", place=place)
    now_ms = SystemClock().now_ms()
    attempt = an_attempt(
        fill,
        account_id="live",
        mode=ExecutionMode.LIVE,
        decided_at_ms=now_ms,
        created_at_ms=now_ms,
        limit_price=MICRO // 2,
        ttl_ms=60_000,
    )
    await ledger.record_attempt(attempt)
    return Approved(attempt=attempt, market=a_market())
