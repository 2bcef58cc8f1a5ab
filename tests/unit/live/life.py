"""A live account at a sandbox of the same process: the engine's last two stages on a real executor, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from copytrade.adapters.live.caps import Caps
from copytrade.adapters.live.clob_account import ClobAccount
from copytrade.adapters.live.executor import ClobExecutor
from copytrade.adapters.live.following import Following
from copytrade.adapters.live.posting import Posting
from copytrade.adapters.live.signer import LocalSigner
from copytrade.adapters.live.transport import Transport
from copytrade.adapters.live.user_stream import UserStream
from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import ExecutionAttempt, ExecutionMode, Reason, reason
from copytrade.domain.fills import Side
from copytrade.domain.market import Market
from copytrade.domain.orders import OrderType
from copytrade.domain.redaction import Redaction
from copytrade.domain.venue_orders import Account as Wallet
from copytrade.domain.venue_orders import Exchanges, SignatureType
from copytrade.engine.account import Account
from copytrade.engine.comparison import Comparison
from copytrade.engine.decide import Approved
from copytrade.engine.execute import Execute
from copytrade.engine.notes import Notes
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.ledger import Ledger
from copytrade.ports.order_logs import OrderLogs
from copytrade.sandbox import contracts, server
from copytrade.sandbox.inprocess import LocalSocket, LocalVenue
from copytrade.sandbox.server import SandboxConfig, serve_in_process
from copytrade.sandbox.trading.wallets import SignatureType as VenueType
from copytrade.sandbox.trading.wallets import derived_wallet
from copytrade.sandbox.world import World
from tests.fakes import RecordingNotifier
from tests.ledger_facts import a_stored_fill, an_attempt
from tests.makers import NO, NOW_MS, YES, a_market, a_place, micro
from tests.unit.sandbox.trader import KEY
from tests.virtual_time import VirtualClock, run_virtual

SLUG = "lisbon-mayor-reelected"
EXCHANGES = Exchanges(ctf=contracts.EXCHANGE_STANDARD, neg_risk=contracts.EXCHANGE_NEG_RISK, v3=contracts.EXCHANGE_V3)
TTL_MS = 5_000
QUIET_STEP_MS = 500


class Wire(httpx.AsyncBaseTransport):
    """One machine's way to the venue; `cut` ends it, as the death of the process does."""

    def __init__(self, venue: LocalVenue, *, way_ms: int = 1) -> None:
        self.venue = venue
        self.way_ms = way_ms
        self.is_cut = False
        self.sockets: list[WireSocket] = []
        self.requests: list[str] = []

    def cut(self) -> None:
        self.is_cut = True
        for socket in self.sockets:
            socket.hang_up()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body, target = await request.aread(), request.url.raw_path.decode()
        self.requests.append(f"{request.method} {target}")
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("read")):
                await self._travel(request)
                headers = {name: value for name, value in request.headers.items() if name.lower().startswith("poly")}
                # What is on its way arrives, whether or not its sender still lives.
                asked = asyncio.ensure_future(self.venue.request(request.method, target, body, headers=headers))
                asked.add_done_callback(lambda done: done.cancelled() or done.exception())
                answer = await asyncio.shield(asked)
                await self._travel(request)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        except ConnectionResetError:
            raise httpx.ReadError("connection lost", request=request) from None
        headers = {"content-type": answer.content_type, **dict(answer.headers)}
        return httpx.Response(answer.status, headers=headers, content=answer.body, request=request)

    async def _travel(self, request: httpx.Request) -> None:
        await asyncio.sleep(self.way_ms / 1_000)
        if self.is_cut:
            raise httpx.ReadError("this machine is dead", request=request)

    async def connect(self, url: str) -> WireSocket:
        await asyncio.sleep(self.way_ms / 1_000)
        if self.is_cut:
            raise ConnectionRefusedError("this machine is dead")
        socket = WireSocket(self.venue.connect(urlsplit(url).path))
        self.sockets.append(socket)
        return socket


class WireSocket:
    """An open websocket within the process."""

    def __init__(self, socket: LocalSocket) -> None:
        self._socket = socket

    async def send(self, text: str, /) -> None:
        await asyncio.sleep(0)
        self._socket.send_to_venue(text)

    async def recv(self, decode: bool | None = None) -> str:
        try:
            return await self._socket.receive()
        except EOFError:
            raise ConnectionResetError("closed") from None

    async def close(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        self._socket.hang_up()


class Floor:
    """The venue, with one market whose tokens are those of the tests' makers."""

    def __init__(self, venue: LocalVenue, world: World) -> None:
        self.venue = venue
        self.world = world
        self.market: Market = a_market(version="v2", fees=a_market().fees)
        known = next(one for one in world.exchange.catalogue.all() if one.slug == SLUG)
        fees = replace(known.fees, rate=self.market.fees.rate)
        world.exchange.open_market(
            replace(
                known,
                slug="rain",
                market_id="77",
                condition=self.market.condition_id,
                tokens=(int(YES), int(NO)),
                version="v2",
                fees=fees,
            )
        )

    async def control(self, command: str, **body: Any) -> Any:
        answer = await self.venue.request("POST", f"/control/{command}", json.dumps(body).encode())
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def read(self, name: str) -> Any:
        return json.loads((await self.venue.request("GET", f"/control/{name}")).body)

    async def show(self, *, bids: str = "0.49:40", asks: str = "0.50:40", token: str = YES) -> None:
        await self.control("book", token=token, bids=_levels(bids), asks=_levels(asks))


class Life:
    """One life of the executor with the engine around it; a second one on the same ledger is a restart."""

    def __init__(
        self,
        floor: Floor,
        *,
        ledger: Ledger | None = None,
        kind: SignatureType = SignatureType.EOA,
        order_type: OrderType = OrderType.GTC,
        per_order: str = "100",
        per_day: str = "100000",
        way_ms: int = 1,
        cancels_on_stop: bool = True,
        logs: OrderLogs | None = None,
    ) -> None:
        self.floor = floor
        self.clock = VirtualClock()
        self.ledger: Any = ledger or MemoryLedger()
        self.signer = LocalSigner(bytes.fromhex(KEY[2:]))
        self.wallet = derived_wallet(self.signer.address, VenueType(int(kind)))
        self.wire = Wire(floor.venue, way_ms=way_ms)
        self.notifier = RecordingNotifier()
        self.notes = Notes(ledger=self.ledger, notifier=self.notifier, clock=self.clock)
        account = Wallet(wallet=self.wallet, owner=self.signer.address, signature_type=kind)
        http = httpx.AsyncClient(transport=self.wire)
        transport = Transport(
            url="http://venue/clob", http=http, signer=self.signer, clock=self.clock, redaction=Redaction()
        )
        clob = ClobAccount(account=account, account_id=f"live-{self.wallet}", transport=transport, clock=self.clock)
        self.transport = transport
        self.posting = Posting(clob=clob, clock=self.clock, note=self.notes.take)
        self.following = Following(
            clob=clob,
            posting=self.posting,
            store=self.ledger,
            market_of=lambda token: floor.market if token in {YES, NO} else None,
            clock=self.clock,
            note=self.notes.take,
            logs=logs,
        )
        self.stream = UserStream(
            url="ws://venue/ws/user",
            transport=transport,
            clock=self.clock,
            open_connection=self.wire.connect,
            heal=self.following.heal,
            on_news=self.following.hear,
            note=self.notes.take,
        )
        bounds = {"per_order": micro(per_order), "per_day": micro(per_day)}
        self.executor = ClobExecutor(
            clob=clob,
            posting=self.posting,
            following=self.following,
            stream=self.stream,
            signer=self.signer,
            exchanges=EXCHANGES,
            order_type=order_type,
            market_of=lambda token: floor.market if token in {YES, NO} else None,
            clock=self.clock,
            caps=Caps(account_id=clob.account_id, store=self.ledger, clock=self.clock, **bounds),
            cancels_on_stop=cancels_on_stop,
        )
        self.halted: Reason | None = None
        self._running: asyncio.Task[None] | None = None
        self._wire_engine()

    def _wire_engine(self) -> None:
        known = {"ledger": self.ledger, "clock": self.clock}
        self.portfolio = Portfolio(strategy_id="copy", account_id=self.executor.account_id)
        shared = {"executor": self.executor, "notifier": self.notifier, "portfolio": self.portfolio}
        self.execute = Execute(orders=asyncio.Queue(), stopped_by=lambda _: self.halted, **shared, **known)
        self.account = Account(ledger=self.ledger, **shared)
        logs = self.following.logs
        own_logs = None if logs is None else partial(logs.logs_of_wallet, self.wallet)
        self.comparison = Comparison(
            venue=self.executor.clob, notes=self.notes, halt=self._halt, own_logs=own_logs, **known
        )

    async def _halt(self, why: str) -> None:
        self.halted = reason("HALTED", why=why)

    async def fund(self, **account: Any) -> None:
        """Give the wallet money, unless told otherwise."""
        given = {
            "collateral": "1000",
            "owner": self.signer.address,
            "type": int(self.executor.clob.account.signature_type),
        }
        await self.floor.control("account", wallet=self.wallet, **(given | account))

    async def start(self) -> None:
        await self.portfolio.load(self.ledger)
        self._running = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        await self.execute.recover(self.portfolio.open_attempts())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self.notes.run())
            loops.create_task(self.executor.run())
            loops.create_task(self.account.run())
            loops.create_task(self.comparison.run())

    async def stop(self) -> None:
        """End as Ctrl-C does; what failed while it ran is raised."""
        assert self._running is not None
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running

    async def kill(self) -> None:
        """End as a power cut does: nothing leaves this machine any more."""
        self.wire.cut()
        await self.stop()

    async def decide(self, name: str, *, ttl_ms: int = TTL_MS, **changes: Any) -> ExecutionAttempt:
        """Store a leader fill and the attempt on it."""
        number = int.from_bytes(name.encode()[-8:])
        side = changes.get("side", Side.BUY)
        place = a_place(log_index=number % 10**6, block_number=number % 10**9)
        fill = await a_stored_fill(
            self.ledger, tx_hash="0x" + name.encode().hex().rjust(64, "0"), place=place, side=side
        )
        now_ms = self.clock.now_ms()
        facts = {
            "account_id": self.executor.account_id,
            "mode": ExecutionMode.LIVE,
            "decided_at_ms": now_ms,
            "created_at_ms": now_ms,
            "ttl_ms": ttl_ms,
            "limit_price": micro("0.5"),
            "size_shares_target": micro("20"),
        }
        attempt = an_attempt(fill, **(facts | changes))
        await self.ledger.record_attempt(attempt)
        self.portfolio.follow(attempt)
        return attempt

    async def send(self, attempt: ExecutionAttempt) -> None:
        await self.execute.submit(Approved(attempt=attempt, market=self.floor.market))

    async def trade(self, name: str = "one", **changes: Any) -> ExecutionAttempt:
        """Decide and send; return the attempt as it was decided."""
        attempt = await self.decide(name, **changes)
        await self.send(attempt)
        return attempt

    async def now(self, attempt_id: UUID) -> ExecutionAttempt:
        found = await self.ledger.attempt(attempt_id)
        assert found is not None
        return found

    def noted(self) -> list[str]:
        return [event.code for event in self.ledger.events]


Story = Callable[[Life], Awaitable[None]]


async def quiet(seconds: int) -> None:
    """Let a long time pass. The world is moved less often; what happens in it has times of its own."""
    with mock.patch.object(server, "STEP_MS", QUIET_STEP_MS):
        await asyncio.sleep(seconds)


async def on_floor(story: Callable[[Floor], Awaitable[Any]], *, seed: int = 3) -> Any:
    """Play a story at a fresh venue; call it within `run_virtual`."""
    config = SandboxConfig(manual=True, history_blocks=3, filler_markets=0, seed=seed, start_ms=VirtualClock().now_ms())
    async with serve_in_process(config) as (venue, world):
        return await story(Floor(venue, world))


def live(story: Story, *, account: dict[str, Any] | None = None, **settings: Any) -> None:
    """Play a story of one life at a fresh venue, in virtual time."""

    async def on(floor: Floor) -> None:
        life = Life(floor, **settings)
        await life.fund(**(account or {}))
        await floor.show()
        await life.start()
        await asyncio.sleep(1)
        try:
            await story(life)
        finally:
            await life.stop()

    run_virtual(lambda: on_floor(on), epoch_ms=NOW_MS)


def _levels(text: str) -> list[list[str]]:
    return [pair.split(":") for pair in text.split()]
