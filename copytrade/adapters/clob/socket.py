"""One market data connection and the tokens on it: subscribing, keeping it alive, coming back.

It knows nothing of books. The venue's feed has no sequence numbers and repeats nothing after a reconnect,
so whoever listens must take every loss for the loss of all books on the connection.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from msgspec import json
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

TOKENS_PER_SOCKET: Final = 200
"""Above some 500 the venue stops sending snapshots without a word (seen 2026-08)."""
TOKENS_PER_FRAME: Final = 100
"""One frame with thousands of ids makes the venue close the connection (seen 2026-09)."""
PING_INTERVAL_MS: Final = 10_000
SILENCE_MAX_MS: Final = 30_000
"""Without even a PONG for this long the other end is gone."""
RECONNECT_MIN_MS: Final = 250
RECONNECT_MAX_MS: Final = 30_000
CONNECT_TIMEOUT_MS: Final = 10_000
CONNECT_SPACING_MS: Final = 250
"""The venue answers 429 to many connects at once."""
FRAME_BYTES_MAX: Final = 16 * 2**20
FRAMES_BEFORE_YIELD: Final = 100

log = structlog.get_logger()


class Connection(Protocol):
    """What is needed of an open websocket."""

    async def send(self, message: str) -> None:
        """Send a text frame."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Return the next message; bytes if `decode` is false."""

    async def close(self) -> None:
        """Close, idempotent."""


class DeadConnectionError(OSError):
    """The connection is given up from this side."""


async def connect_to_market(url: str) -> Connection:
    """Open a real websocket; the venue's own PING replaces the protocol's."""
    return await connect(url, max_size=FRAME_BYTES_MAX, ping_interval=None, compression=None, close_timeout=1)


class ConnectGate:
    """Spaces the connects of all sockets."""

    def __init__(self, *, clock: Clock) -> None:
        """Let the first one through at once."""
        self._clock = clock
        self._lock = asyncio.Lock()
        self._next_at: Millis = 0

    async def pass_through(self) -> None:
        """Wait for this socket's turn."""
        async with self._lock:
            await self._clock.sleep_ms(self._next_at - self._clock.monotonic_ms())
            self._next_at = self._clock.monotonic_ms() + CONNECT_SPACING_MS


class MarketSocket:
    """A connection that is kept open while it has tokens.

    `on_frame` gets every frame but PONGs and empty ones; `on_subscribed` the tokens just asked for;
    `on_lost` the reason, each time an open connection is lost.
    """

    def __init__(
        self,
        *,
        number: int,
        url: str,
        clock: Clock,
        gate: ConnectGate,
        open_connection: Callable[[str], Awaitable[Connection]],
        on_frame: Callable[[MarketSocket, bytes], None],
        on_subscribed: Callable[[MarketSocket, Sequence[str]], None],
        on_lost: Callable[[MarketSocket, str], None],
    ) -> None:
        """Prepare; nothing is opened before `run`."""
        self.number = number
        self.wanted: dict[str, None] = {}
        self.subscribed: set[str] = set()
        self.is_open = False
        self.opened_at: Millis = 0
        self.proven_at: Millis = 0
        """When the connection was last known to carry data; monotonic. Zero before it ever did."""
        self.heard_at: Millis = 0
        """When the newest frame arrived; monotonic."""
        self.frames = 0
        """How many were handed over."""
        self._url = url
        self._clock = clock
        self._gate = gate
        self._open_connection = open_connection
        self._on_frame = on_frame
        self._on_subscribed = on_subscribed
        self._on_lost = on_lost
        self._wanted_changed = asyncio.Event()
        self._given_up: asyncio.Future[str] | None = None
        self._failures = 0

    @property
    def room(self) -> int:
        """How many tokens more it takes."""
        return TOKENS_PER_SOCKET - len(self.wanted)

    def want(self, token_id: str) -> None:
        """Subscribe to a token, now or with the next connection."""
        self.wanted[token_id] = None
        self._wanted_changed.set()

    def forget(self, token_id: str) -> None:
        """Stop wanting a token."""
        if token_id in self.wanted:
            del self.wanted[token_id]
            self._wanted_changed.set()

    def restart(self, reason: str) -> None:
        """Give this connection up and open another."""
        if self._given_up is not None and not self._given_up.done():
            self._given_up.set_result(reason)

    def prove(self, at: Millis) -> None:
        """Note that what it carries was true at this monotonic instant."""
        self.proven_at = max(self.proven_at, at)
        self._failures = 0

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            while not self.wanted:
                self._wanted_changed.clear()
                await self._wanted_changed.wait()
            reason = await self._live_once()
            self._failures += 1
            ceiling_ms = min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2**self._failures)
            delay_ms = random.randint(RECONNECT_MIN_MS, ceiling_ms)
            log.warning("market_socket.reconnecting", socket=self.number, reason=reason, delay_ms=delay_ms)
            await self._clock.sleep_ms(delay_ms)

    async def _live_once(self) -> str:
        """Connect and serve; return why it ended."""
        await self._gate.pass_through()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1000):
                connection = await self._open_connection(self._url)
        except (OSError, WebSocketException) as error:
            return f"connect: {type(error).__name__}: {error}"[:200]
        try:
            reason = await self._serve(connection)
            self._on_lost(self, reason)
            return reason
        finally:
            self.is_open = False
            self.subscribed.clear()
            self._given_up = None
            await connection.close()

    async def _serve(self, connection: Connection) -> str:
        self.is_open = True
        self.opened_at = self.heard_at = self._clock.monotonic_ms()
        self._given_up = asyncio.get_running_loop().create_future()
        parts: list[asyncio.Future[str]] = [
            asyncio.ensure_future(part)
            for part in (self._read(connection), self._subscribe(connection), self._keep_alive(connection))
        ]
        try:
            done, _ = await asyncio.wait([*parts, self._given_up], return_when=asyncio.FIRST_COMPLETED)
            return _reason_of(next(part for part in (*parts, self._given_up) if part in done))
        finally:
            for part in (*parts, self._given_up):
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _read(self, connection: Connection) -> str:
        while True:
            frame = await connection.recv(decode=False)
            if self._given_up is None or self._given_up.done():
                return "given up"
            self.heard_at = self._clock.monotonic_ms()
            if isinstance(frame, str):
                frame = frame.encode()
            if len(frame) > 4 or frame.strip() not in (b"PONG", b""):
                self._on_frame(self, frame)
                self.frames += 1
            if self.frames % FRAMES_BEFORE_YIELD == 0:
                await asyncio.sleep(0)

    async def _subscribe(self, connection: Connection) -> str:
        is_first = True
        while True:
            self._wanted_changed.clear()
            for token_ids in _frames_of([token_id for token_id in self.wanted if token_id not in self.subscribed]):
                # The books are asked for after the frame is sent, so that nothing falls between the two.
                self.subscribed.update(token_ids)
                await connection.send(_subscription(token_ids, is_first=is_first))
                self._on_subscribed(self, token_ids)
                is_first = False
            for token_ids in _frames_of(sorted(self.subscribed - self.wanted.keys())):
                self.subscribed.difference_update(token_ids)
                await connection.send(json.encode({"operation": "unsubscribe", "assets_ids": token_ids}).decode())
            if not self.wanted:
                return "nothing to listen to"
            await self._wanted_changed.wait()

    async def _keep_alive(self, connection: Connection) -> str:
        while True:
            await self._clock.sleep_ms(PING_INTERVAL_MS)
            if self._clock.monotonic_ms() - self.heard_at > SILENCE_MAX_MS:
                raise DeadConnectionError("not even a PONG")
            await connection.send("PING")


def _subscription(token_ids: Sequence[str], *, is_first: bool) -> str:
    # Without initial_dump some tokens never got their book (seen 2026-04).
    kind = {"type": "market", "initial_dump": True, "level": 2} if is_first else {"operation": "subscribe"}
    return json.encode({**kind, "assets_ids": token_ids, "custom_feature_enabled": True}).decode()


def _frames_of(token_ids: Sequence[str]) -> list[Sequence[str]]:
    return [token_ids[start : start + TOKENS_PER_FRAME] for start in range(0, len(token_ids), TOKENS_PER_FRAME)]


def _reason_of(ended: asyncio.Future[str]) -> str:
    """Return why a part ended; anything but a lost connection is a bug and is raised."""
    error = ended.exception()
    if error is None:
        return ended.result()
    if isinstance(error, OSError | WebSocketException):
        return f"{type(error).__name__}: {error}"[:200]
    raise error
