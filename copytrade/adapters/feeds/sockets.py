"""Text sockets that break: what is needed of one, and how one is held until it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

import structlog
from websockets.exceptions import WebSocketException

REASON_CHARS_MAX: Final = 200

_log = structlog.get_logger()


class Socket(Protocol):
    """An open text socket; a broken one raises OSError or WebSocketException."""

    async def send(self, text: str, /) -> None:
        """Send one text frame."""

    async def recv(self) -> str | bytes:
        """Return the next frame."""

    async def close(self) -> None:
        """Close it."""


Connect: TypeAlias = Callable[[str], Awaitable[Socket]]


class SubscriptionRefused(Exception):
    """The other side does not accept a subscription."""


async def until_it_ends(
    url: str, connector: Connect, converse: Callable[[Socket], Awaitable[None]], *, silence: str
) -> str:
    """Hold one connection and return why it ended; `silence` is what is said of a TimeoutError of `converse`."""
    try:
        socket = await connector(url)
    except (OSError, WebSocketException, TimeoutError) as error:
        return f"not opened: {type(error).__name__}"
    try:
        await converse(socket)
    except TimeoutError:
        return silence
    except (OSError, WebSocketException, SubscriptionRefused) as error:
        return f"{type(error).__name__}: {error}"[:REASON_CHARS_MAX]
    finally:
        await _close(socket)
    return "ended"


async def _close(socket: Socket) -> None:
    try:
        await socket.close()
    except (OSError, WebSocketException):
        _log.debug("source.socket_close_failed")
