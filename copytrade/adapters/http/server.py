"""A small HTTP/1.1 server on the worker's own loop: reading only, one request for each connection.

It answers only to names that nobody else can give to this machine: a web page that points a name of its own at a
loopback address (DNS rebinding) is refused, though the visitor's browser can reach the port.
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import h11
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONNECTIONS_MAX: Final = 32
"""Connections at once; further ones are closed unanswered."""
HEAD_MAX: Final = 16_384
READ_BYTES: Final = 4_096
TIMEOUT_S: Final = 10
"""How long a connection may take for its request and its answer."""
PLAIN: Final = "text/plain; charset=utf-8"

log = structlog.get_logger(__name__)


class CannotBindError(Exception):
    """The address cannot be listened on; the text says why in words of the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route says."""

    body: bytes
    kind: str = PLAIN
    status: int = 200


class HttpServer:
    """Answers GET and HEAD of fixed paths."""

    def __init__(self, routes: Mapping[str, Callable[[], Answer]], *, host: str) -> None:
        """Serve nothing yet; `host` is the name or address that `start` will listen on."""
        self._routes = routes
        self._host = host
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Listen, and return the port: a free one for 0.

        :raises CannotBindError: somebody else listens there, or the address is not of this machine.
        """
        try:
            self._server = await asyncio.start_server(self._connected, self._host, port)
        except (OSError, OverflowError) as error:
            raise CannotBindError(getattr(error, "strerror", None) or str(error)) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        try:
            if task is not None and len(self._connections) < CONNECTIONS_MAX:
                self._connections.add(task)
                async with asyncio.timeout(TIMEOUT_S):
                    await self._converse(reader, writer)
        except (OSError, TimeoutError) as error:
            log.debug("http.connection_ended", error=str(error))
        finally:
            if task is not None:
                self._connections.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        try:
            request = await _next_request(connection, reader)
        except h11.RemoteProtocolError as error:
            answer, is_head = Answer(body=f"{error}\n".encode(), status=error.error_status_hint), False
        else:
            if request is None:
                return
            answer, is_head = self._answer(request), request.method == b"HEAD"
        headers = [
            ("content-type", answer.kind),
            ("content-length", str(len(answer.body))),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("connection", "close"),
        ]
        writer.write(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
        if not is_head:
            writer.write(connection.send(h11.Data(data=answer.body)) or b"")
        await writer.drain()

    def _answer(self, request: h11.Request) -> Answer:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
        if not is_ours(headers.get("host", ""), self._host):
            return Answer(body=b"this server does not go by that name\n", status=421)
        route = self._routes.get(request.target.decode("latin-1").partition("?")[0])
        if route is None:
            paths = " ".join(sorted(self._routes))
            return Answer(body=f"nothing here; there is {paths}\n".encode(), status=404)
        if request.method not in {b"GET", b"HEAD"}:
            return Answer(body=b"only GET and HEAD\n", status=405)
        return route()


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    """Read the head of a request; whatever body follows is left unread."""
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(READ_BYTES))
    return event if isinstance(event, h11.Request) else None


def is_ours(named: str, bound: str) -> bool:
    """Tell whether a Host header is an address, localhost, or the very name that is listened on."""
    host = named.rpartition(":")[0] if not named.endswith("]") and ":" in named else named
    host = host.removeprefix("[").removesuffix("]").lower()
    return host in {"localhost", bound.lower()} or is_address(host)


def is_address(host: str) -> bool:
    """Tell whether a host is an IP address, which no name server can redirect."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
