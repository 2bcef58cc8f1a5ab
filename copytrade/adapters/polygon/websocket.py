"""The node's push channel: new heads and logs, at once. A hint only: nothing is lost when it is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import msgspec
import structlog
from websockets.asyncio.client import connect

from copytrade.adapters.feeds.retrying import host_of, jitter_ms
from copytrade.adapters.feeds.sockets import Connect, Socket, SubscriptionRefused, until_it_ends
from copytrade.adapters.polygon.node import Header, LogFilter, RawLog, parse_header
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import LeaderRoll

PING_S: Final = 10.0
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
HEAD_SILENCE_S: Final = 7.5
"""Five blocks of 1.5 s without a new head: the subscription is dead, whatever the socket says."""
BACKOFF_FIRST_MS: Final = 250
BACKOFF_MAX_MS: Final = 30_000

_HEADS_ID: Final = 1

_log = structlog.get_logger()


class Listener(Protocol):
    """Who is told what the socket says."""

    async def on_head(self, header: Header) -> None:
        """Take a new head."""

    async def on_log(self, log: RawLog) -> None:
        """Take a log, `removed` ones too."""

    async def on_bad_frame(self, frame: bytes, reason: str) -> None:
        """Take a frame that made no sense."""

    async def on_reconnected(self, host: str, silent_ms: Millis) -> None:
        """Take note that data flows again after an interruption."""


async def open_socket(url: str) -> Socket:
    """Open a real socket with its own keepalive."""
    return await connect(
        url,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=FRAME_BYTES_MAX,
    )


class LogSocket:
    """Keeps one subscribed socket open, over as many connections as it takes."""

    def __init__(
        self,
        urls: tuple[str, ...],
        *,
        listener: Listener,
        filters: Callable[[], LogFilter],
        roll: LeaderRoll,
        clock: Clock,
        rng: random.Random,
        connector: Connect = open_socket,
    ) -> None:
        self._urls: Final = urls
        self._listener: Final = listener
        self._filters: Final = filters
        self._roll: Final = roll
        self._clock: Final = clock
        self._rng: Final = rng
        self._connector: Final = connector
        self._last_head_ms: Millis | None = None
        self._failures = 0

    async def run(self) -> None:
        """Stay connected until cancelled, with full jitter between attempts, over all URLs in turn."""
        while True:
            url = self._urls[self._failures % len(self._urls)]
            reason = await self._live_once(url)
            delay_ms = jitter_ms(self._rng, self._failures, first_ms=BACKOFF_FIRST_MS, most_ms=BACKOFF_MAX_MS)
            self._failures += 1
            _log.info("polygon.socket_lost", host=host_of(url), reason=reason, retry_in_ms=delay_ms)
            await self._clock.sleep_ms(delay_ms)

    async def _live_once(self, url: str) -> str:
        """Hold one connection until it ends; return why it did."""
        return await until_it_ends(url, self._connector, partial(self._converse, url), silence="no new heads")

    async def _converse(self, url: str, socket: Socket) -> None:
        """Subscribe, read, and subscribe anew when the leaders change."""
        session = _Session(socket)
        # No task group: it would turn a cancellation that meets a broken socket into the socket's error.
        subscribing = asyncio.create_task(self._keep_subscribed(session), name="polygon.socket.subscribe")
        try:
            await self._read(url, session)
        finally:
            subscribing.cancel()
            await asyncio.gather(subscribing, return_exceptions=True)

    async def _keep_subscribed(self, session: _Session) -> None:
        await session.subscribe_heads()
        while True:
            wanted = self._filters()
            await session.subscribe_logs(wanted)
            while self._filters() == wanted:
                await self._roll.changed()

    async def _read(self, url: str, session: _Session) -> None:
        while True:
            async with asyncio.timeout(HEAD_SILENCE_S):
                header = await self._next_head(session)
            await self._note_head(url, header)

    async def _next_head(self, session: _Session) -> Header:
        """Return the next head, handing on what comes before it."""
        while True:
            header = await self._take(await session.socket.recv(), session)
            if header is not None:
                return header

    async def _take(self, frame: str | bytes, session: _Session) -> Header | None:
        """Hand a frame on; return the header if it announces a head."""
        try:
            message = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            await self._listener.on_bad_frame(_bytes_of(frame), "not-json")
            return None
        if isinstance(message, dict) and "id" in message and "method" not in message:
            session.on_answer(message)
            return None
        params = message.get("params") if isinstance(message, dict) else None
        result = params.get("result") if isinstance(params, dict) else None
        if isinstance(result, dict) and "topics" in result:
            await self._listener.on_log(result)
            return None
        header = parse_header(result)
        if header is None:
            await self._listener.on_bad_frame(_bytes_of(frame), "not-a-notification")
        return header

    async def _note_head(self, url: str, header: Header) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._failures and self._last_head_ms is not None:
            silent_ms = now_ms - self._last_head_ms
            _log.info("polygon.reconnected", host=host_of(url), silent_ms=silent_ms)
            await self._listener.on_reconnected(host_of(url), silent_ms)
        self._failures = 0
        self._last_head_ms = now_ms
        await self._listener.on_head(header)


class _Session:
    """The subscriptions of one connection."""

    def __init__(self, socket: Socket) -> None:
        self.socket: Final = socket
        self._last_id = _HEADS_ID
        self._asked: Final[set[int]] = {_HEADS_ID}
        self._current: set[int] = set()
        self._names: Final[dict[int, str]] = {}

    async def subscribe_heads(self) -> None:
        await self._send(_HEADS_ID, "eth_subscribe", ["newHeads"])

    async def subscribe_logs(self, wanted: LogFilter) -> None:
        """Replace the log subscriptions: the new ones first, so that they overlap."""
        previous = self._current
        self._current = set()
        if wanted.makers:
            for criteria in wanted.criteria():
                request_id = self._next_id()
                self._current.add(request_id)
                self._asked.add(request_id)
                await self._send(request_id, "eth_subscribe", ["logs", criteria])
        for request_id in sorted(previous):
            name = self._names.pop(request_id, None)
            if name is not None:
                await self._send(self._next_id(), "eth_unsubscribe", [name])

    def on_answer(self, message: dict[str, Any]) -> None:
        """Take the answer to a request.

        :raises SubscriptionRefused: the node refused a subscription.
        """
        request_id, result = message.get("id"), message.get("result")
        if not isinstance(request_id, int) or request_id not in self._asked:
            return
        self._asked.discard(request_id)
        if not isinstance(result, str):
            raise SubscriptionRefused(str(message.get("error"))[:200])
        self._names[request_id] = result

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    async def _send(self, request_id: int, method: str, params: list[Any]) -> None:
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        await self.socket.send(msgspec.json.encode(request).decode())


def _bytes_of(frame: str | bytes) -> bytes:
    return frame.encode(errors="replace") if isinstance(frame, str) else frame
