"""One loopback port for HTTP/1.1 and WebSockets, told apart by the upgrade header."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import h11
import structlog

from copytrade.sandbox.http_message import (
    BadRequestError,
    Request,
    Response,
    json_response,
    split_target,
)
from copytrade.sandbox.websocket import WebSocket

READ_BYTES = 65_536
BODY_MAX = 8 * 1024 * 1024
HEAD_MAX = 128 * 1024
"""A lookup of 100 tokens alone has a 9 kB target."""
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    425: "Too Early",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

HttpHandler = Callable[[Request], Awaitable[Response]]
SocketHandler = Callable[[Request, WebSocket], Awaitable[None]]
SocketGate = Callable[[Request], Response | None]
Step: TypeAlias = h11.Event | type[h11.NEED_DATA | h11.PAUSED]

log = structlog.get_logger(__name__)


class HttpServer:
    """Accepts connections and hands requests to one handler, upgrades to another.

    `gate` may refuse an upgrade with an HTTP answer.
    """

    def __init__(self, *, on_request: HttpHandler, on_socket: SocketHandler, gate: SocketGate) -> None:
        """Serve nothing until `start`."""
        self._on_request = on_request
        self._on_socket = on_socket
        self._gate = gate
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, which is a free one when 0 was asked for."""
        self._server = await asyncio.start_server(self._connected, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError) as error:
            log.debug("sandbox.connection_ended", error=str(error))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        while True:
            try:
                received = await _receive(connection, reader)
            except (h11.RemoteProtocolError, BadRequestError) as error:
                await _refuse(connection, writer, error)
                return
            if received is None:
                return
            raw, request = received
            if request.headers.get("upgrade", "").lower() == "websocket":
                await self._upgrade(request, raw, reader, writer, connection)
                return
            if not await _answer(connection, writer, request, await self._respond(request)):
                return
            connection.start_next_cycle()

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._on_request(request)
        except BadRequestError as error:
            return json_response(error.body, status=error.status)

    async def _upgrade(
        self,
        request: Request,
        raw: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: h11.Connection,
    ) -> None:
        refused = self._gate(request)
        if refused is not None:
            await _answer(connection, writer, request, refused)
            return
        socket = WebSocket(reader, writer)
        if socket.accept(raw + connection.trailing_data[0]):
            await self._on_socket(request, socket)


async def _next_event(connection: h11.Connection, reader: asyncio.StreamReader) -> Step:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        if connection.they_are_waiting_for_100_continue:
            message = "expectations are not supported"
            raise BadRequestError({"error": message}, status=417)
        connection.receive_data(await reader.read(READ_BYTES))


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[bytes, Request] | None:
    head = await _next_event(connection, reader)
    if not isinstance(head, h11.Request):
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    body = bytearray()
    if headers.get("upgrade", "").lower() != "websocket":
        while isinstance(event := await _next_event(connection, reader), h11.Data):
            body += event.data
            if len(body) > BODY_MAX:
                raise BadRequestError({"error": "Payload exceeds the limit"}, status=413)
        if not isinstance(event, h11.EndOfMessage):
            return None
    target = head.target.decode("latin-1")
    path, query = split_target(target)
    request = Request(
        method=head.method.decode("latin-1"),
        path=path,
        query=query,
        headers=headers,
        body=bytes(body),
    )
    return _raw_head(head), request


def _raw_head(head: h11.Request) -> bytes:
    lines = [head.method + b" " + head.target + b" HTTP/1.1"]
    lines.extend(name + b": " + value for name, value in head.headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _answer(
    connection: h11.Connection, writer: asyncio.StreamWriter, request: Request, response: Response
) -> bool:
    """Send the answer; say whether the connection can carry another request."""
    headers = [
        ("content-type", response.content_type),
        ("content-length", str(len(response.body))),
        *response.headers,
    ]
    head = h11.Response(status_code=response.status, headers=headers, reason=REASONS.get(response.status, ""))
    data = connection.send(head) or b""
    if request.method != "HEAD":
        data += connection.send(h11.Data(data=response.body)) or b""
    data += connection.send(h11.EndOfMessage()) or b""
    writer.write(data)
    await writer.drain()
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE


async def _refuse(connection: h11.Connection, writer: asyncio.StreamWriter, error: Exception) -> None:
    status = error.status if isinstance(error, BadRequestError) else 400
    if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
        response = json_response({"error": str(error)}, status=status)
        request = Request(method="GET", path="")
        await _answer(connection, writer, request, response)
