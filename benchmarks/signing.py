"""A live order on its way out: signing against the official client in the same run, and attempt to first byte.

Run `python -m benchmarks.signing [ORDERS]`. The second part sends to the sandbox, a process of its own, through a relay
on loopback that stamps the first byte of each order: from the approved attempt, with the commit that goes before it
(SQLite, synchronous=FULL), and without. The sandbox refuses each, as one of a market that it does not know.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from eth_account import Account as OfficialAccount
from polymarket._internal.actions.orders.typed_data import build_order_signature, build_order_typed_data
from polymarket._internal.actions.orders.types import UnsignedOrder

from benchmarks.measuring import Figure, percentile, show
from copytrade.adapters.live.caps import Caps
from copytrade.adapters.live.clob_account import ClobAccount
from copytrade.adapters.live.executor import ClobExecutor
from copytrade.adapters.live.following import Following
from copytrade.adapters.live.posting import Posting
from copytrade.adapters.live.signer import LocalSigner
from copytrade.adapters.live.transport import Transport
from copytrade.adapters.live.typed_data import checksummed, order_hash
from copytrade.adapters.live.user_stream import UserStream
from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.sql import schema
from copytrade.adapters.system import SystemClock
from copytrade.domain.attempts import ExecutionMode
from copytrade.domain.orders import OrderType
from copytrade.domain.redaction import Redaction
from copytrade.domain.units import MICRO
from copytrade.domain.venue_orders import Account, Exchanges, SignatureType, VenueOrder, venue_order
from copytrade.engine.decide import Approved
from copytrade.engine.execute import Execute
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.ledger import Ledger
from tests.fakes import RecordingNotifier
from tests.ledger_facts import a_stored_fill, an_attempt
from tests.ledgers import sql_ledger
from tests.makers import a_market, a_place, recorded
from tests.processes import a_world

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ORDERS = 300
ROUNDS = 3
CTF, NEG = "0xe111180000d2663c0091e4f400237545b87b996b", "0xe2222d279d744050d28e00520010520000310f59"
V3 = "0xe3333700ca9d93003f00f0f71f8515005f6c00aa"
KINDS = (SignatureType.EOA, SignatureType.WALLET)
CHUNK = 65_536


def an_order(signer: LocalSigner, kind: SignatureType) -> VenueOrder:
    """Return an order of a kind of wallet."""
    account = Account(wallet=signer.address, owner=signer.address, signature_type=kind)
    exchanges = Exchanges(ctf=CTF, neg_risk=NEG, v3=V3)
    attempt = an_attempt(recorded())
    return venue_order(attempt, a_market(), order_type=OrderType.GTC, account=account, exchanges=exchanges)


def best_us(run: Callable[[], object], times: int) -> float:
    """Return microseconds a call, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            run()
        best = min(best, time.perf_counter() - started)
    return best / times * 1_000_000


def signing(orders: int) -> list[Figure]:
    """Measure hash and signature of an order, ours and the official client's with the same native curve."""
    signer, official = LocalSigner(bytes.fromhex(KEY[2:])), OfficialAccount.from_key(KEY)
    figures = []
    for kind in KINDS:
        order = an_order(signer, kind)
        facts = {
            "maker_amount": order.maker_amount,
            "taker_amount": order.taker_amount,
            "salt": order.salt,
            "token_id": order.token_id,
            "timestamp": order.timestamp_ms,
        }
        unsigned = UnsignedOrder(
            chain_id=137,
            builder=order.builder,
            exchange_address=checksummed(order.exchange),
            expiration=0,
            maker=checksummed(order.maker),
            metadata=order.metadata,
            order_type="GTC",
            side="BUY",
            signature_type=int(kind),
            signer=checksummed(order.signer),
            protocol_version=order.protocol,
            **facts,
        )

        def theirs(unsigned: UnsignedOrder = unsigned) -> str:
            signature = official.sign_typed_data(full_message=build_order_typed_data(unsigned)).signature
            return build_order_signature(unsigned, "0x" + signature.hex())

        def ours(order: VenueOrder = order) -> tuple[str, bytes]:
            return order_hash(order), _run(signer.sign_order(order))

        if ours()[1].hex() != theirs()[2:]:
            raise SystemExit("the two signatures differ")
        mine, peer = best_us(ours, orders), best_us(theirs, orders)
        name = f"hash and signature, {kind.name} (official client: signature alone)"
        figures.append(Figure(what=name, ours=f"{mine:.0f} us", peer=f"{peer:.0f} us", ratio=mine / peer, bar=0.5))
    return figures


def _run(coroutine: Any) -> Any:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("it waits")


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
        exchanges=Exchanges(ctf=CTF, neg_risk=NEG, v3=V3),
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


async def on_the_way(venue_url: str, orders: int) -> None:
    """Print how long it takes with a ledger in memory and with one that commits."""
    await _tell("without a commit", venue_url, MemoryLedger(), orders)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/ledger.db"
        schema.upgrade(url)
        async with sql_ledger(url) as ledger:
            await _tell("with the commit before it (SQLite, synchronous=FULL)", venue_url, ledger, orders)


async def _tell(what: str, venue_url: str, ledger: Ledger, orders: int) -> None:
    took = await to_first_byte(venue_url, ledger, orders)
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    print(f"attempt to first byte at the sandbox, {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms of {orders}")


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else ORDERS
    show(signing(orders))
    with a_world("--manual") as world:
        asyncio.run(on_the_way(world.urls["CLOB_HTTP_URL"], orders))


if __name__ == "__main__":
    main()
