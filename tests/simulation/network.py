"""The network of a simulated worker: its HTTP requests and sockets end in a venue of the same process."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from copytrade.sandbox.faults import Faults
from copytrade.sandbox.http_message import Response, json_response
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.rpc import RpcService
from tests.simulation.lies import Lie, told
from tests.simulation.sockets import Disorder, Loss, SimulatedSocket

FIRST_NODE, SECOND_NODE = "/rpc", "/rpc2"
TRADES = "/data/v2/trades"
ASKED_ROWS = re.compile(r"(?<=[?&]limit=)\d+")


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
    """What the way to the venue is like right now, and how often what is there struck."""

    socket_ms: int = 0
    disorder: dict[str, Disorder] = field(default_factory=dict)
    interferences: list[Interference] = field(default_factory=list)
    lies: dict[str, Lie] = field(default_factory=dict)
    """By path of a node: what it does to its answers."""
    page_rows_max: int = 1_000
    lost_rows: float = 0.0
    """The part of the Data API's rows that it never gives, the same ones each time."""
    rows_lost: int = 0
    losses: list[Loss] = field(default_factory=list)


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

    def __init__(
        self,
        venue: LocalVenue,
        journal: Journal,
        conditions: Conditions,
        *,
        second_node: SecondNode | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._venue = venue
        self._second_node = second_node
        self._journal = journal
        self._conditions = conditions
        self._rng = rng or random.Random(0)
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
        answer = await self._ask(request.method, target, body)
        if hit is not None:
            raise httpx.ReadError("connection lost", request=request)
        await self._reach(request)
        return answer

    async def _ask(self, method: str, target: str, body: bytes) -> Response:
        path = target.partition("?")[0]
        if path == SECOND_NODE:
            answer = await self._second_node.request(body)
        elif path == TRADES:
            return self._less(await self._venue.request(method, self._fewer(target), body))
        else:
            answer = await self._venue.request(method, target, body)
        lie = self._conditions.lies.get(path)
        return answer if lie is None else told(lie, body, answer, self._rng)

    def _fewer(self, target: str) -> str:
        most = self._conditions.page_rows_max
        return ASKED_ROWS.sub(lambda asked: str(min(int(asked.group()), most)), target)

    def _less(self, answer: Response) -> Response:
        """Leave out the rows that this API does not have."""
        if not self._conditions.lost_rows or answer.status != 200:
            return answer
        page = json.loads(answer.body)
        kept = [row for row in page["data"] if not self._is_lost(row["transaction_hash"])]
        self._conditions.rows_lost += len(page["data"]) - len(kept)
        return json_response(page | {"data": kept})

    def _is_lost(self, tx_hash: str) -> bool:
        return int(tx_hash[2:10], 16) / 0x1_0000_0000 < self._conditions.lost_rows

    async def _reach(self, request: httpx.Request) -> None:
        await asyncio.sleep(0.001)
        if self._is_cut:
            raise httpx.ConnectError("this machine is dead", request=request)

    def _interference(self, target: str) -> Interference | None:
        for hit in self._conditions.interferences:
            if _is_below(target, hit.path):
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
        socket = SimulatedSocket(self._venue.connect(target), target, self._journal.write, self._conditions, self._rng)
        self._sockets.append(socket)
        return socket


class SecondNode:
    """Another provider of the same chain, with troubles of its own."""

    def __init__(self, service: Callable[[Faults], RpcService]) -> None:
        self.faults = Faults()
        self._service = service(self.faults)

    async def request(self, body: bytes) -> Response:
        """Answer as the venue's node does, after whatever its faults ask for."""
        delay_ms = self.faults.delay_ms(SECOND_NODE)
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        rule = self.faults.path_error(SECOND_NODE)
        if rule is not None:
            return json_response(rule.body, status=rule.status)
        return Response(status=200, body=(self._service.answer_text(body.decode()) or "").encode())


def _is_below(target: str, path: str) -> bool:
    return target == path or target.startswith((f"{path}/", f"{path}?"))
