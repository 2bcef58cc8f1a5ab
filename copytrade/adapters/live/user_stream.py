"""The user socket: news of our own orders and trades. It repeats nothing: what was missed is read first."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from copytrade.adapters.live.credentials import BadCredentialsError
from copytrade.adapters.live.transport import NeverLeft, NoAnswer
from copytrade.ports.signer import SigningRefusedError
from copytrade.ports.venue_account import VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from copytrade.adapters.live.transport import Transport
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

    class Connection(Protocol):
        """What is needed of an open websocket."""

        async def send(self, text: str, /) -> None:
            """Send a text frame."""

        async def recv(self, decode: bool | None = None) -> str | bytes:
            """Return the next message."""

        async def close(self) -> None:
            """Close, idempotent."""


PING_MS: Final[Millis] = 10_000
SILENCE_MS: Final[Millis] = 30_000
"""Without even a PONG for this long the other end is gone."""
RECONNECT_MIN_MS: Final[Millis] = 250
RECONNECT_MAX_MS: Final[Millis] = 30_000
CONNECT_TIMEOUT_MS: Final[Millis] = 10_000
FRAME_BYTES_MAX: Final = 4 * 2**20
FRAMES_HELD_MAX: Final = 10_000
"""Frames held back while what was missed is read; beyond it the connection is given up and read anew."""

_QUIET: Final = logging.getLogger("copytrade.user_socket")
_QUIET.setLevel(logging.WARNING)
"""The first frame holds the credentials, and the library logs whole frames when it is asked to debug."""
_log = structlog.get_logger()


class StreamLost(OSError):
    """The connection is given up from this side."""


async def connect_to_user(url: str) -> Connection:
    """Open a real websocket; the venue's own PING replaces the protocol's, and no level of logging shows frames."""
    return await connect(
        url, max_size=FRAME_BYTES_MAX, ping_interval=None, compression=None, close_timeout=1, logger=_QUIET
    )


class UserStream:
    """One connection, kept open. `heal` reads what was missed; `on_news` gets each object, in order, after that."""

    def __init__(
        self,
        *,
        url: str,
        transport: Transport,
        clock: Clock,
        open_connection: Callable[[str], Awaitable[Connection]],
        heal: Callable[[], Awaitable[None]],
        on_news: Callable[[dict[str, Any]], Awaitable[None]],
        note: Callable[[str, dict[str, object]], None],
    ) -> None:
        """Prepare; nothing is opened before `run`."""
        self._url = url
        self._transport = transport
        self._clock = clock
        self._open_connection = open_connection
        self._heal = heal
        self._on_news = on_news
        self._note = note
        self._heard_ms: Millis = 0
        self._failures = 0
        self._given_up: asyncio.Future[None] | None = None
        self.open_since_ms: Millis | None = None
        """Since when the present connection is healed, monotonic; None while there is none."""

    def restart(self, why: str) -> None:
        """Give this connection up and open another."""
        if self._given_up is not None and not self._given_up.done():
            self._given_up.set_exception(StreamLost(why))

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            why = await self._live_once()
            self._failures += 1
            ceiling_ms = min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** min(self._failures, 10))
            delay_ms = random.randint(RECONNECT_MIN_MS, ceiling_ms)
            _log.warning("live.user_stream_lost", reason=why, delay_ms=delay_ms)
            self._note("USER_STREAM_LOST", {"why": why, "failures": self._failures})
            await self._clock.sleep_ms(delay_ms)

    async def _live_once(self) -> str:
        """Connect, heal and listen; return why it ended, in words that hold no secret."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1_000):
                frame = await self._first_frame()
                connection = await self._open_connection(self._url)
        except (OSError, WebSocketException, TimeoutError) as error:
            return f"not opened: {type(error).__name__}"
        except (NeverLeft, NoAnswer, BadCredentialsError, SigningRefusedError) as error:
            return f"no credentials: {error}"
        try:
            return await self._serve(connection, frame)
        except (OSError, WebSocketException, VenueUnavailableError) as error:
            return f"{type(error).__name__}: {error}"[:200]
        finally:
            self.open_since_ms = None
            self._given_up = None
            await connection.close()

    async def _first_frame(self) -> str:
        api_key = await self._transport.api_key()
        shown = {"apiKey": api_key.key, "secret": api_key.encoded_secret, "passphrase": api_key.passphrase}
        return msgspec.json.encode({"type": "user", "auth": shown}).decode()

    async def _serve(self, connection: Connection, frame: str) -> str:
        self._heard_ms = self._clock.monotonic_ms()
        self._given_up = asyncio.get_running_loop().create_future()
        await connection.send(frame)
        held: asyncio.Queue[dict[str, Any]] = asyncio.Queue(FRAMES_HELD_MAX)
        parts: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(part)
            for part in (self._read(connection, held), self._keep_alive(connection), self._tell(held))
        ]
        try:
            done, _ = await asyncio.wait([*parts, self._given_up], return_when=asyncio.FIRST_COMPLETED)
            next(part for part in (*parts, self._given_up) if part in done).result()
            return "ended"
        finally:
            for part in (*parts, self._given_up):
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _read(self, connection: Connection, held: asyncio.Queue[dict[str, Any]]) -> None:
        """Take frames in at once, so that none is lost while what was missed is read."""
        while True:
            frame = await connection.recv()
            self._heard_ms = self._clock.monotonic_ms()
            text = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
            if text.strip() in {"PONG", ""}:
                continue
            for news in objects_of(text):
                if held.full():
                    raise StreamLost("more news than can be held back")
                held.put_nowait(news)

    async def _tell(self, held: asyncio.Queue[dict[str, Any]]) -> None:
        await self._heal()
        self.open_since_ms = self._clock.monotonic_ms()
        self._failures = 0
        while True:
            await self._on_news(await held.get())

    async def _keep_alive(self, connection: Connection) -> None:
        while True:
            await self._clock.sleep_ms(PING_MS)
            if self._clock.monotonic_ms() - self._heard_ms > SILENCE_MS:
                raise StreamLost("not even a PONG")
            await connection.send("PING")


def objects_of(text: str) -> list[dict[str, Any]]:
    """Return the objects of a frame; what is none is dropped, for the next reading of the account finds it."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        _log.warning("live.user_frame_unreadable", bytes=len(text))
        return []
    return [one for one in (told if isinstance(told, list) else [told]) if isinstance(one, dict)]
