"""The chain as a `LeaderFillSource`: a subscription for speed, block reads for truth, history beside them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

import httpx
import structlog

from copytrade.adapters.feeds.handover import Handover
from copytrade.adapters.feeds.quarantine import Quarantine
from copytrade.adapters.feeds.retrying import jitter_ms
from copytrade.adapters.feeds.sockets import Connect
from copytrade.adapters.polygon import decode, websocket
from copytrade.adapters.polygon.drift import DriftWatch
from copytrade.adapters.polygon.health import HealthWatch
from copytrade.adapters.polygon.history import History
from copytrade.adapters.polygon.live import Live
from copytrade.adapters.polygon.node import LogFilter, Node, chain_id_of
from copytrade.adapters.polygon.reading import LogReader
from copytrade.adapters.polygon.recent import Pushed, RecentBlocks
from copytrade.adapters.polygon.rpc import Endpoint, Pool, RpcError, RpcUnavailable, WrongChain
from copytrade.adapters.polygon.tip import Tip
from copytrade.domain.fills import Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import (
    CursorReader,
    CursorScope,
    LeaderFillSource,
    LeaderRoll,
    SourceEvent,
    SourceNote,
    SourceUnusableError,
    StoredLogs,
)

QUEUE_MAX: Final = 1_000
"""Events not yet taken; beyond this the readers wait."""
RETRY_FIRST_MS: Final = 250
RETRY_MAX_MS: Final = 30_000
OUTAGE_ROUNDS: Final = 3
"""Failed rounds in a row that make an outage worth a note."""

_log = structlog.get_logger()


class PolygonSource(LeaderFillSource):
    """Fills of leaders from the logs of the exchanges; one `events` at a time.

    Addresses are in lower case. Without socket URLs it polls only; without leaders it reads nothing.
    """

    def __init__(
        self,
        *,
        http_urls: tuple[str, ...],
        ws_urls: tuple[str, ...],
        exchanges: tuple[str, ...],
        exchanges_v1: tuple[str, ...],
        chain_id: int,
        poll_interval_ms: Millis,
        lag_max_ms: Millis,
        clock: Clock,
        roll: LeaderRoll,
        cursors: CursorReader,
        stored: StoredLogs,
        seed: int = 0,
        transport: httpx.AsyncBaseTransport | None = None,
        connector: Connect = websocket.open_socket,
    ) -> None:
        self._http_urls: Final = http_urls
        self._ws_urls: Final = ws_urls
        self._exchanges: Final = tuple(address.lower() for address in exchanges)
        self._exchanges_v1: Final = tuple(address.lower() for address in exchanges_v1)
        self._chain_id: Final = chain_id
        self._poll_interval_ms: Final = poll_interval_ms
        self._lag_max_ms: Final = lag_max_ms
        self._clock: Final = clock
        self._roll: Final = roll
        self._cursors: Final = cursors
        self._stored: Final = stored
        self._rng: Final = random.Random(seed)
        self._transport: Final = transport
        self._connector: Final = connector

    def events(self) -> AsyncIterator[SourceEvent]:
        return Handover(QUEUE_MAX).events(self._feed, name="polygon.source")

    async def _feed(self, outbox: Handover) -> None:
        """Run every reader until one fails for good."""
        pool = Pool(self._http_urls, clock=self._clock, rng=self._rng, transport=self._transport)
        try:
            await self._check_chain(pool)
            while not self._roll.leaders():
                await self._roll.changed()
            await self._run(pool, outbox)
        finally:
            await pool.close()

    async def _check_chain(self, pool: Pool) -> None:
        """Wait until a node answers with the right chain.

        :raises SourceUnusableError: a node is on another chain, or none will ever serve.
        """
        failures = 0
        while True:
            errors = [error for endpoint in pool.endpoints if (error := await self._fault_of(endpoint)) is not None]
            for error in errors:
                if isinstance(error, WrongChain):
                    raise SourceUnusableError(str(error))
            if len(errors) < len(pool.endpoints):
                pool.guard(self._admit)
                return
            if not any(isinstance(error, RpcUnavailable) for error in errors):
                raise SourceUnusableError("; ".join(str(error) for error in errors) or "no POLYGON_HTTP_URL")
            failures += 1
            _log.warning("polygon.unreachable", errors=[str(error) for error in errors], failures=failures)
            await self._clock.sleep_ms(self._backoff_ms(failures))

    async def _fault_of(self, endpoint: Endpoint) -> RpcError | None:
        try:
            await self._admit(endpoint)
        except RpcError as error:
            return error
        return None

    async def _admit(self, endpoint: Endpoint) -> None:
        found = await chain_id_of(endpoint)
        if found != self._chain_id:
            raise WrongChain(endpoint.host, f"is on chain {found}, expected chain {self._chain_id}")

    async def _run(self, pool: Pool, outbox: Handover) -> None:
        quarantine = Quarantine(Source.POLYGON, outbox.put, self._clock)
        node, recent, pushed = Node(pool), RecentBlocks(), Pushed()
        reader = LogReader(
            node,
            exchanges=self._exchanges,
            exchanges_v1=self._exchanges_v1,
            quarantine=quarantine,
            clock=self._clock,
        )
        history = History(
            node,
            reader,
            emit=outbox.put,
            roll=self._roll,
            cursors=self._cursors,
            clock=self._clock,
            rng=self._rng,
        )
        tip = Tip(
            node,
            reader,
            history=history,
            emit=outbox.put,
            clock=self._clock,
            recent=recent,
            pushed=pushed,
            stored=self._stored,
        )
        doorbell = asyncio.Event()
        live = Live(
            decoders=decode.registry(self._exchanges),
            emit=outbox.put,
            quarantine=quarantine,
            pushed=pushed,
            cursor=lambda: tip.at,
            final=lambda: tip.confirmed,
            roll=self._roll,
            clock=self._clock,
            doorbell=doorbell,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(history.run(), name="polygon.history")
            # The position comes first: pushed logs are judged by it.
            await self._start(tip, outbox)
            tasks.create_task(self._follow(tip, outbox, doorbell), name="polygon.tip")
            tasks.create_task(self._drift(node, tip, outbox).run(), name="polygon.drift")
            health = HealthWatch(pool, emit=outbox.put, clock=self._clock, lag_max_ms=self._lag_max_ms)
            tasks.create_task(health.run(), name="polygon.health")
            if self._ws_urls:
                tasks.create_task(self._socket(live).run(), name="polygon.socket")

    def _drift(self, node: Node, tip: Tip, outbox: Handover) -> DriftWatch:
        return DriftWatch(
            node,
            decoders=decode.registry(self._exchanges, self._exchanges_v1),
            emit=outbox.put,
            roll=self._roll,
            final=lambda: tip.confirmed,
            clock=self._clock,
        )

    def _socket(self, live: Live) -> websocket.LogSocket:
        return websocket.LogSocket(
            self._ws_urls,
            listener=live,
            filters=lambda: LogFilter(self._exchanges, (decode.TOPIC_V2,), tuple(self._roll.leaders())),
            roll=self._roll,
            clock=self._clock,
            rng=self._rng,
            connector=self._connector,
        )

    async def _start(self, tip: Tip, outbox: Handover) -> None:
        stored = await self._cursors.cursor(CursorScope())
        outage = _Outage(outbox, self._clock)
        while True:
            try:
                await tip.start(stored)
            except RpcError as error:
                await outage.on_failure(error)
                await self._clock.sleep_ms(self._backoff_ms(outage.rounds))
            else:
                await outage.on_success()
                return

    async def _follow(self, tip: Tip, outbox: Handover, doorbell: asyncio.Event) -> None:
        """Advance at each ring and at least every poll interval; wait longer while it fails."""
        outage = _Outage(outbox, self._clock)
        while True:
            doorbell.clear()
            try:
                await tip.advance()
            except RpcError as error:
                await outage.on_failure(error)
                await self._clock.sleep_ms(self._backoff_ms(outage.rounds))
            else:
                await outage.on_success()
                await self._wait(doorbell)

    async def _wait(self, doorbell: asyncio.Event) -> None:
        if not self._roll.leaders():
            await self._roll.changed()
            return
        try:
            async with asyncio.timeout(self._poll_interval_ms / 1000):
                await doorbell.wait()
        except TimeoutError:
            return

    def _backoff_ms(self, failures: int) -> Millis:
        return jitter_ms(self._rng, failures, first_ms=RETRY_FIRST_MS, most_ms=RETRY_MAX_MS)


class _Outage:
    """Failed rounds in a row, told once when they last and once when they end."""

    def __init__(self, outbox: Handover, clock: Clock) -> None:
        self._outbox: Final = outbox
        self._clock: Final = clock
        self._since_ms: Millis = 0
        self.rounds = 0

    async def on_failure(self, error: RpcError) -> None:
        if self.rounds == 0:
            self._since_ms = self._clock.monotonic_ms()
        self.rounds += 1
        _log.warning("polygon.read_failed", error=str(error), rounds=self.rounds)
        if self.rounds == OUTAGE_ROUNDS:
            await self._note("UNREACHABLE", {"error": str(error)})

    async def on_success(self) -> None:
        rounds, self.rounds = self.rounds, 0
        if rounds >= OUTAGE_ROUNDS:
            lasted_ms = self._clock.monotonic_ms() - self._since_ms
            await self._note("RECONNECTED", {"seconds_without_data": lasted_ms / 1000})

    async def _note(self, code: str, detail: dict[str, object]) -> None:
        await self._outbox.put(SourceNote(source=Source.POLYGON, code=code, detail=detail))
