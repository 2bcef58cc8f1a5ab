"""A client of a sandbox that runs in the same process, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from copytrade.sandbox import contracts
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve

DEADLINE_S = 10
ORDER_FILLED = contracts.ORDER_FILLED


class Venue:
    """A running sandbox and a client of it."""

    def __init__(self, sandbox: Sandbox, client: httpx.AsyncClient) -> None:
        self.sandbox = sandbox
        self.client = client
        self.tokens = [
            str(token)
            for market in sandbox.world.exchange.catalogue.all()
            if market.has_book
            for token in market.tokens
        ]

    async def rpc(self, method: str, *params: object):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = (await self.client.post(self.sandbox.urls["POLYGON_HTTP_URL"], json=body)).json()
        return answer.get("result", answer.get("error"))

    async def control(self, command: str, **body: object):
        url = f"{self.sandbox.urls['CONTROL_URL']}/{command}"
        answer = await self.client.post(url, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def fills(self) -> list[dict]:
        url = f"{self.sandbox.urls['CONTROL_URL']}/fills"
        return (await self.client.get(url)).json()

    def market_socket(self):
        return connect(self.sandbox.urls["CLOB_MARKET_WS_URL"], ping_interval=None)

    def chain_socket(self):
        return connect(self.sandbox.urls["POLYGON_WS_URL"], ping_interval=None)


@contextlib.asynccontextmanager
async def run_venue(**config: object) -> AsyncIterator[Venue]:
    defaults = {"history_blocks": 10, "filler_markets": 0, "seed": 3}
    async with (
        serve(SandboxConfig(**{**defaults, **config})) as sandbox,
        httpx.AsyncClient() as client,
    ):
        yield Venue(sandbox, client)


async def until(socket: ClientConnection, wanted: Callable[[dict], bool]) -> dict:
    async with asyncio.timeout(DEADLINE_S):
        async for text in socket:
            if text == "PONG":
                continue
            message = json.loads(text)
            for item in message if isinstance(message, list) else [message]:
                if wanted(item):
                    return item
    pytest.fail("the socket closed first")


async def subscribe_market(socket: ClientConnection, tokens: list[str]) -> list[dict]:
    frame = {"type": "market", "assets_ids": tokens, "custom_feature_enabled": True}
    await socket.send(json.dumps(frame))
    async with asyncio.timeout(DEADLINE_S):
        return json.loads(await socket.recv())


async def subscribe_chain(socket: ClientConnection, *params: object) -> str:
    request = {"jsonrpc": "2.0", "id": 9, "method": "eth_subscribe", "params": params}
    await socket.send(json.dumps(request))
    return (await until(socket, lambda message: message.get("id") == 9))["result"]


async def drain(socket: ClientConnection) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            await socket.recv()


def result_of(message: dict) -> dict:
    return message.get("params", {}).get("result", {})
