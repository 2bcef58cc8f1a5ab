"""The chains that a source of fills is held to: a real EVM node and the sandbox, moved by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from copytrade.sandbox.scripting import Script
from copytrade.sandbox.server import Sandbox, SandboxConfig, serve
from copytrade.sandbox.world import ReorgFate
from tests.evm import orders
from tests.evm.anvil import FINAL_BEHIND
from tests.evm.chain import EvmChain, Transaction, a_chain
from tests.evm.following import Chain
from tests.evm.orders import Row
from tests.evm.proxy import SocketProxy

SANDBOX_FINAL_BEHIND = 3


class World(Chain, Protocol):
    """A chain that stands still until it is told to move; `rows` is the truth about it."""

    final_behind: int

    async def trade(self, *makers: str) -> None:
        """Mine a block in which one order of each maker is filled, each in a transaction of its own."""

    async def trade_twice(self, maker: str) -> None:
        """Mine a block in which two orders of one maker are filled in one transaction."""

    async def pass_blocks(self, count: int) -> None:
        """Mine blocks that hold nothing of interest."""

    async def replace(self, depth: int, *, drops: bool) -> None:
        """Replace the newest blocks by more others; their trades move there, or are dropped."""

    async def rows(self, *leaders: str) -> list[Row]:
        """Return the fills of leaders on the canonical chain, as they must be stored."""


class EvmWorld(World):
    """Our exchanges on anvil."""

    def __init__(self, chain: EvmChain) -> None:
        self.http_url = chain.http_url
        self.sockets = chain.sockets
        self.final_behind = FINAL_BEHIND
        self._chain = chain
        self._mined: list[list[Transaction]] = []

    async def trade(self, *makers: str) -> None:
        await self._mine([self._chain.fill(maker) for maker in makers])

    async def trade_twice(self, maker: str) -> None:
        resting = tuple(orders.an_order(maker, side=orders.SELL) for _ in range(2))
        crossing = orders.an_order("0x" + "b2" * 20, shares=2 * resting[0].shares, usdc=2 * resting[0].usdc)
        await self._mine([self._chain.settlement(orders.Match(taker=crossing, makers=resting))])

    async def pass_blocks(self, count: int) -> None:
        for _ in range(count):
            await self._mine([])

    async def replace(self, depth: int, *, drops: bool) -> None:
        gone = [transaction for block in self._mined[-depth:] for transaction in block]
        del self._mined[-depth:]
        kept = [] if drops else gone
        await self._chain.reorg(depth, *[[]] * depth, kept)
        self._mined += [*[[]] * depth, kept]

    async def head(self) -> int:
        return await self._chain.head()

    async def mine(self) -> object:
        return await self.pass_blocks(1)

    async def rows(self, *leaders: str) -> list[Row]:
        return await self._chain.rows(*leaders)

    async def _mine(self, transactions: list[Transaction]) -> None:
        await self._chain.mine(*transactions)
        self._mined.append(transactions)


class SandboxWorld(World):
    """The imitation of the venue that the demo and the chaos runs use."""

    def __init__(self, sandbox: Sandbox, sockets: SocketProxy) -> None:
        self.http_url = sandbox.urls["POLYGON_HTTP_URL"]
        self.sockets = sockets
        self.final_behind = SANDBOX_FINAL_BEHIND
        self._world = sandbox.world
        self._script = Script(sandbox.world)
        self._token = str(sandbox.world.exchange.catalogue.all()[0].tokens[0])

    async def trade(self, *makers: str) -> None:
        for maker in makers:
            self._script.post(self._a_trade(maker))
        self._world.mine()

    async def trade_twice(self, maker: str) -> None:
        self._script.post({"trades": [self._a_trade(maker), self._a_trade(maker)]})
        self._world.mine()

    async def pass_blocks(self, count: int) -> None:
        for _ in range(count):
            self._world.mine()

    async def replace(self, depth: int, *, drops: bool) -> None:
        self._world.reorg(depth=depth, fate=ReorgFate.DROPPED if drops else ReorgFate.MOVED)

    async def head(self) -> int:
        return self._world.chain.head.number

    async def mine(self) -> object:
        return self._world.mine()

    async def rows(self, *leaders: str) -> list[Row]:
        chain = self._world.chain
        logs = [log for number in range(chain.earliest.number, chain.head.number + 1) for log in _logs(chain, number)]
        return sorted(row for row in map(_row, logs) if row.maker in leaders)

    def _a_trade(self, maker: str) -> dict[str, Any]:
        trade = {"wallet": maker, "token": self._token, "side": "BUY", "role": "maker"}
        return trade | {"size": "25", "price": "0.4"}


def _logs(chain: Any, number: int) -> Sequence[Any]:
    return [log for log in chain.by_number(number).logs if log.topics[0] == orders.FILLED]


def _row(log: Any) -> Row:
    """Read a log of the sandbox with the other library, as those of the node are read."""
    return orders.row(
        {
            "address": log.address,
            "topics": list(log.topics),
            "data": log.data,
            "blockNumber": hex(log.block_number),
            "blockHash": log.block_hash,
            "blockTimestamp": hex(log.block_timestamp),
            "transactionHash": log.tx_hash,
            "logIndex": hex(log.log_index),
        }
    )


@asynccontextmanager
async def evm_world() -> AsyncIterator[World]:
    """Give a fresh chain on a node of its own."""
    async with a_chain() as chain:
        yield EvmWorld(chain)


@asynccontextmanager
async def sandbox_world() -> AsyncIterator[World]:
    """Give a fresh sandbox on which nothing happens by itself."""
    async with (
        serve(SandboxConfig(port=0, seed=3, block_ms=0, manual=True)) as sandbox,
        SocketProxy(sandbox.urls["POLYGON_WS_URL"]).serving() as sockets,
    ):
        yield SandboxWorld(sandbox, sockets)
