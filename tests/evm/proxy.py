"""What lies between a node and its clients: sockets that are cut, mute or in disorder, answers that lag or lie.

The node never takes a log back when blocks are replaced, as nodes of the real network do; here the proxy,
which knows what it has delivered, does so in its stead.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

END_DEADLINE_S = 10.0
POLL_S = 0.005

Notification = dict[str, Any]


class SocketProxy:
    """Passes frames on, with the faults that are switched on; `url` is where clients connect."""

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self.url = ""
        self.mute = False
        self.refusing = False
        self.copies = 1
        self.delay_s_max = 0.0
        """Each notification is late by up to so much, so that they overtake each other."""
        self._upstream = upstream
        self._rng = random.Random(seed)
        self._sessions: list[_Session] = []
        self._gone: set[str] = set()
        self.subscriptions = 0
        """How many subscriptions the clients that are connected now have had accepted."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[SocketProxy]:
        """Listen on a free port."""
        async with serve(self._converse, "127.0.0.1", 0, process_request=self._admit, ping_interval=None) as server:
            host, port = next(iter(server.sockets)).getsockname()[:2]
            self.url = f"ws://{host}:{port}"
            yield self
            self.cut()

    def cut(self) -> None:
        """Break every connection without a word."""
        for session in self._sessions:
            session.client.transport.abort()

    async def until_no_one_is_connected(self) -> None:
        """Wait until the last client is gone."""
        async with asyncio.timeout(END_DEADLINE_S):
            while self._sessions:
                await asyncio.sleep(POLL_S)

    async def take_back(self, gone: set[str], *, tell: bool) -> None:
        """Deliver nothing of these blocks any more, and take back what was delivered, the newest first."""
        self._gone |= gone
        for session in self._sessions:
            for notification in session.forget(gone):
                if tell:
                    result = notification["params"]["result"] | {"removed": True}
                    await self._pass_on(session, _with_result(notification, result))

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "") if self.refusing else None

    async def _converse(self, client: ServerConnection) -> None:
        # Without a bound nothing that is left unread stands before the answer to our closing.
        async with connect(self._upstream, max_size=None, max_queue=None) as node:
            session = _Session(client)
            self._sessions.append(session)
            try:
                await _until_one_ends(_copy(client, node), self._relay(node, session))
            finally:
                self._sessions.remove(session)
                self.subscriptions -= session.subscriptions
                await session.end()

    async def _relay(self, node: ClientConnection, session: _Session) -> None:
        with suppress(ConnectionClosed):
            async for frame in node:
                message = json.loads(frame)
                if message.get("method") == "eth_subscription":
                    await self._pass_on(session, message)
                else:
                    await session.client.send(frame)
                    session.subscriptions += 1
                    self.subscriptions += 1

    async def _pass_on(self, session: _Session, notification: Notification) -> None:
        if self.mute:
            return
        for _ in range(self.copies):
            if self.delay_s_max:
                session.later(self._deliver(session, notification, self._rng.uniform(0, self.delay_s_max)))
            else:
                await self._deliver(session, notification)

    async def _deliver(self, session: _Session, notification: Notification, delay_s: float = 0.0) -> None:
        await asyncio.sleep(delay_s)
        result = notification["params"]["result"]
        is_taken_back = bool(result.get("removed"))
        if not is_taken_back and result.get("blockHash", result.get("hash")) in self._gone:
            return
        with suppress(ConnectionClosed):
            await session.client.send(json.dumps(notification))
        if "topics" in result and not is_taken_back and notification not in session.delivered:
            session.delivered.append(notification)


class _Session:
    """One client and the logs it was sent."""

    def __init__(self, client: ServerConnection) -> None:
        self.client = client
        self.delivered: list[Notification] = []
        self.subscriptions = 0
        self._late: set[asyncio.Task[None]] = set()

    def later(self, delivery: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(delivery)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def forget(self, gone: set[str]) -> list[Notification]:
        """Return what was delivered of these blocks, the newest first."""
        stale = [one for one in self.delivered if one["params"]["result"]["blockHash"] in gone]
        self.delivered = [one for one in self.delivered if one not in stale]
        return sorted(stale, key=_place, reverse=True)

    async def end(self) -> None:
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


class DoubtfulHttp(httpx.AsyncBaseTransport):
    """Real HTTP to the node; what is asked under the path /doubtful gets answers that lag or lie."""

    def __init__(self) -> None:
        self.lag_blocks = 0
        self.hides_logs = False
        self.hides_receipts = False
        self.fails = False
        self._network = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/doubtful":
            return await self._network.handle_async_request(request)
        if self.fails:
            raise httpx.ConnectError("down", request=request)
        asked = json.loads(await request.aread())
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": asked["id"]} | await self._answer(request.url, asked))

    async def aclose(self) -> None:
        """Close what is open; the next request opens it anew."""
        await self._network.aclose()
        self._network = httpx.AsyncHTTPTransport()

    async def _answer(self, url: httpx.URL, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked["params"]
        if method == "eth_getLogs" and self.hides_logs:
            return {"result": []}
        answer = await self._ask(url, method, params)
        if method == "eth_getBlockReceipts" and self.hides_receipts:
            return {"result": [receipt | {"logs": []} for receipt in answer["result"]]}
        if not self.lag_blocks or not answer.get("result"):
            return answer
        known = int((await self._ask(url, "eth_blockNumber", []))["result"], 16) - self.lag_blocks
        if method == "eth_getBlockByNumber":
            number = int(answer["result"]["number"], 16)
            if params[0] in ("latest", "finalized"):
                return await self._ask(url, method, [hex(max(0, number - self.lag_blocks)), False])
            return answer if number <= known else {"result": None}
        if method == "eth_getLogs":
            seen = [log for log in answer["result"] if int(log["blockNumber"], 16) <= known]
            if "blockHash" in params[0] and not seen:
                return {"error": {"code": -32000, "message": "unknown block"}}
            return {"result": seen}
        return answer

    async def _ask(self, url: httpx.URL, method: str, params: list[Any]) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = httpx.Request("POST", url.copy_with(path="/"), json=body)
        response = await self._network.handle_async_request(request)
        found = json.loads(await response.aread())
        await response.aclose()
        return {key: found[key] for key in ("result", "error") if key in found}


async def _copy(client: ServerConnection, node: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        async for frame in client:
            await node.send(frame)


async def _until_one_ends(*pumps: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _place(notification: Notification) -> tuple[int, int]:
    log = notification["params"]["result"]
    return int(log["blockNumber"], 16), int(log["logIndex"], 16)


def _with_result(notification: Notification, result: dict[str, Any]) -> Notification:
    return notification | {"params": notification["params"] | {"result": result}}
