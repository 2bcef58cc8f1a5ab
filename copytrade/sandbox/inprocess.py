"""The venue without sockets, for virtual time: the same services, called directly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from copytrade.sandbox.http_message import BadRequestError, Request, Response, json_response, split_target
from copytrade.sandbox.venue import Venue, socket_kind


class LocalSocket:
    """A connection within the process; `receive` raises EOFError once it is closed."""

    def __init__(self, venue: Venue, kind: str) -> None:
        """Connect to a socket of the kind `chain`, `market`, `rtds` or `user`."""
        self._venue = venue
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._open = True
        self._session = venue.attach(kind, _Inbox(self))

    def send_to_venue(self, text: str) -> None:
        """Send a message as a client does; lost when the connection is closed."""
        if self._open:
            self._venue.hear(self._session, text)

    async def receive(self) -> str:
        """Wait for the next message of the venue."""
        text = await self._inbox.get()
        if text is None:
            raise EOFError
        return text

    def hang_up(self) -> None:
        """End the connection from either side; what was sent before is still received."""
        if self._open:
            self._open = False
            self._venue.detach(self._session)
            self._inbox.put_nowait(None)

    def deliver(self, text: str) -> None:
        """Put a message of the venue into the inbox."""
        if self._open:
            self._inbox.put_nowait(text)


class _Inbox:
    def __init__(self, socket: LocalSocket) -> None:
        self._socket = socket

    def send(self, text: str) -> None:
        self._socket.deliver(text)

    def close(self, *, code: int = 1000, reason: str = "") -> None:
        self._socket.hang_up()

    def abort(self) -> None:
        self._socket.hang_up()


class LocalVenue:
    """A client's view of a venue in the same process, with the paths of the one port."""

    def __init__(self, venue: Venue) -> None:
        """Call the given venue."""
        self._venue = venue

    async def request(
        self, method: str, target: str, body: bytes = b"", *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Answer an HTTP request; `target` as in "/gamma/markets/keyset?limit=5".

        Raises ConnectionResetError where the connection ends without an answer.
        """
        path, query = split_target(target)
        given = {name.lower(): value for name, value in (headers or {}).items()}
        try:
            return await self._venue.respond(Request(method=method, path=path, query=query, headers=given, body=body))
        except BadRequestError as error:
            return json_response(error.body, status=error.status)

    def connect(self, target: str) -> LocalSocket:
        """Open a socket at "/rpc", "/ws/market", "/ws/rtds" or "/ws/user".

        Raises ConnectionRefusedError as faults say.
        """
        path, query = split_target(target)
        if self._venue.gate(Request(method="GET", path=path, query=query)) is not None:
            raise ConnectionRefusedError(target)
        return LocalSocket(self._venue, socket_kind(path) or "")
