"""The network of a simulated worker: its HTTP requests and sockets end in a venue of the same process."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from copytrade.sandbox.http_message import Response
from copytrade.sandbox.inprocess import LocalSocket, LocalVenue


class Journal:
    """A running hash of everything that was said, with its time: two equal ones are two equal runs."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.entries = 0
        self._now_ms = now_ms
        self._hash = hashlib.blake2b(digest_size=16)

    def write(self, kind: str, *parts: str | bytes) -> None:
        """Add an entry: parts as text or bytes."""
        self.entries += 1
        self._hash.update(f"{self._now_ms()}|{kind}".encode())
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            self._hash.update(len(data).to_bytes(4))
            self._hash.update(data)

    def digest(self) -> str:
        """Return the hash so far."""
        return self._hash.hexdigest()


@dataclass(slots=True, kw_only=True)
class Conditions:
    """What the way to the venue is like right now."""

    socket_ms: int = 0
    interferences: list[Interference] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Interference:
    """What happens to the next `remaining` requests of a path: a page instead of an answer, or no answer."""

    path: str
    remaining: int
    page: bytes | None = None
    status: int = 200
    is_lost_after: bool = False
    """The request arrives and its answer is lost; otherwise it never arrives."""


class Network(httpx.AsyncBaseTransport):
    """One machine's way to the venue. A dead one (`cut`) carries nothing any more, in either direction."""

    def __init__(self, venue: LocalVenue, journal: Journal, conditions: Conditions) -> None:
        self._venue = venue
        self._journal = journal
        self._conditions = conditions
        self._sockets: list[SimulatedSocket] = []
        self._is_cut = False

    def cut(self) -> None:
        """End everything at once, as the death of the process does."""
        self._is_cut = True
        self._journal = Journal(lambda: 0)
        for socket in self._sockets:
            socket.hang_up()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        target = request.url.raw_path.decode()
        limit_s = request.extensions.get("timeout", {}).get("read")
        self._journal.write("request", request.method, target, body)
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._answer(request, target, body)
        except TimeoutError:
            self._journal.write("timeout", target)
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        self._journal.write("answer", str(answer.status), answer.body)
        headers = {"content-type": answer.content_type, **dict(answer.headers)}
        return httpx.Response(answer.status, headers=headers, content=answer.body, request=request)

    async def _answer(self, request: httpx.Request, target: str, body: bytes) -> Response:
        await self._reach(request)
        hit = self._interference(target)
        if hit is not None and hit.page is not None:
            return Response(status=hit.status, body=hit.page, content_type="text/html; charset=utf-8")
        if hit is not None and not hit.is_lost_after:
            raise httpx.ConnectError("connection refused", request=request)
        answer = await self._venue.request(request.method, target, body)
        if hit is not None:
            raise httpx.ReadError("connection lost", request=request)
        await self._reach(request)
        return answer

    async def _reach(self, request: httpx.Request) -> None:
        await asyncio.sleep(0.001)
        if self._is_cut:
            raise httpx.ConnectError("this machine is dead", request=request)

    def _interference(self, target: str) -> Interference | None:
        for hit in self._conditions.interferences:
            if target.startswith(hit.path):
                hit.remaining -= 1
                if hit.remaining <= 0:
                    self._conditions.interferences.remove(hit)
                return hit
        return None

    async def connect(self, url: str) -> SimulatedSocket:
        """Open a socket as the adapters' connectors do; ConnectionError where the venue refuses."""
        await asyncio.sleep(0.001)
        if self._is_cut:
            raise ConnectionRefusedError("this machine is dead")
        target = urlsplit(url).path
        self._journal.write("connect", target)
        socket = SimulatedSocket(self._venue.connect(target), target, self._journal, self._conditions)
        self._sockets.append(socket)
        return socket


class SimulatedSocket:
    """An open websocket of the worker; a lost one raises ConnectionResetError.

    What the venue sends arrives in its order, each message at least `conditions.socket_ms` after it was sent.
    """

    def __init__(self, socket: LocalSocket, target: str, journal: Journal, conditions: Conditions) -> None:
        self._socket = socket
        self._target = target
        self._journal = journal
        self._conditions = conditions
        self._is_over = False
        self._due_s = 0.0
        self._arrivals: deque[float] = deque()
        self._deliver = socket.deliver
        socket.deliver = self._delay

    def _delay(self, text: str) -> None:
        now_s = asyncio.get_running_loop().time()
        self._due_s = max(self._due_s, now_s + self._conditions.socket_ms / 1000)
        self._arrivals.append(self._due_s)
        self._deliver(text)

    async def send(self, text: str, /) -> None:
        """Send one text frame."""
        await asyncio.sleep(0)
        if self._is_over:
            raise ConnectionResetError(self._target)
        self._journal.write("send", self._target, text)
        self._socket.send_to_venue(text)

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """Return the next message; bytes if `decode` is false."""
        try:
            text = await self._socket.receive()
        except EOFError:
            self._is_over = True
            raise ConnectionResetError(self._target) from None
        early_s = self._arrivals.popleft() - asyncio.get_running_loop().time()
        if early_s > 0:
            await asyncio.sleep(early_s)
        self._journal.write("receive", self._target, text)
        return text.encode() if decode is False else text

    async def close(self) -> None:
        """Close, idempotent."""
        self.hang_up()

    def hang_up(self) -> None:
        """End it without waiting."""
        self._is_over = True
        self._socket.hang_up()
