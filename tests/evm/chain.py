"""A chain on a real node, with the exchanges on it; blocks come when a test mines them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.evm import orders
from tests.evm.anvil import CHAIN_ID, Anvil, running_anvil
from tests.evm.orders import Match, Row
from tests.evm.proxy import SocketProxy

GENESIS_S = 1_790_000_000
BLOCK_S = 2
GAS_OF_CALL = 50_000
GAS_OF_ORDER = 25_000
EMITTER = "0x" + "608036038060806000376060356040356020356000358460" + "00a400"
"""Copies what follows the first four words of its input to memory and emits it under those: LOG4."""

Transaction = dict[str, str]


class EvmChain:
    """What happens on the chain; `sockets` is the WebSocket side as a source sees it."""

    def __init__(self, node: Anvil, client: httpx.AsyncClient, sockets: SocketProxy) -> None:
        self.http_url = f"http://{node.address}"
        self.hanging = node.hanging
        self.sockets = sockets
        self._client = client
        self._senders: list[str] = []
        self._sent = 0
        self._stamp_s = 0

    async def rpc(self, method: str, *params: Any) -> Any:
        """Return the result of one call, which must have one."""
        answer = await self.answer(method, *params)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    async def answer(self, method: str, *params: Any) -> dict[str, Any]:
        """Return the node's answer to one call: a result or an error."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = (await self._client.post(self.http_url, json=request)).json()
        return {key: answer[key] for key in ("result", "error") if key in answer}

    async def place_exchanges(self) -> None:
        """Put our contracts where the real ones are."""
        assert int(await self.rpc("eth_chainId"), 16) == CHAIN_ID
        for address, code in orders.CODE.items():
            await self.rpc("anvil_setCode", address, code)
        self._senders = await self.rpc("eth_accounts")
        self._stamp_s = int((await self.header())["timestamp"], 16)

    def settlement(self, *matches: Match, exchange: str = orders.STANDARD) -> Transaction:
        """Return a transaction that settles these matches; sent twice it has the same hash.

        No transaction depends on another: each sender's next one comes after all other senders had theirs.
        """
        gas = GAS_OF_CALL + GAS_OF_ORDER * sum(1 + len(match.makers) for match in matches)
        return self._transaction(exchange, orders.call(exchange, matches), gas=gas)

    def emission(self, contract: str, topics: Sequence[str], data: bytes) -> Transaction:
        """Return a transaction in which a contract placed by `place_emitter` emits a log of four topics."""
        return self._transaction(contract, "0x" + "".join(topic[2:] for topic in topics) + data.hex(), gas=100_000)

    async def place_emitter(self, address: str) -> None:
        """Put a contract there that emits what it is called with."""
        await self.rpc("anvil_setCode", address, EMITTER)

    def _transaction(self, to: str, data: str, *, gas: int) -> Transaction:
        turn, sender = divmod(self._sent, len(self._senders))
        self._sent += 1
        return {
            "from": self._senders[sender],
            "nonce": hex(turn),
            "to": to,
            "data": data,
            "gas": hex(gas),
            "maxFeePerGas": hex(10**11),
            "maxPriorityFeePerGas": "0x1",
        }

    def fill(self, maker: str, *, against: str = "0x" + "b2" * 20, **changes: Any) -> Transaction:
        """Return a transaction in which one resting order of `maker` is filled."""
        resting = orders.an_order(maker, **changes)
        crossing = orders.an_order(against, side=1 - resting.side, shares=resting.shares, usdc=resting.usdc)
        return self.settlement(Match(taker=crossing, makers=(resting,)))

    async def mine(self, *transactions: Transaction, seconds: int = BLOCK_S) -> list[str]:
        """Mine one block with exactly these; return their hashes."""
        hashes = [await self.rpc("eth_sendTransaction", transaction) for transaction in transactions]
        self._stamp_s += seconds
        await self.rpc("evm_mine", self._stamp_s)
        assert (await self.header())["transactions"] == hashes, "the block is not what was asked for"
        return hashes

    async def mine_empty(self, count: int) -> None:
        """Mine blocks without transactions."""
        await self.rpc("anvil_mine", hex(count), hex(BLOCK_S))
        self._stamp_s = int((await self.header())["timestamp"], 16)

    async def reorg(self, depth: int, *blocks: Iterable[Transaction], tell: bool = True) -> None:
        """Replace the newest blocks by others; subscribers hear of removed logs first, unless they are not told."""
        head = await self.head()
        gone = {(await self.header(number))["hash"] for number in range(head - depth + 1, head + 1)}
        await self.rpc("anvil_rollback", depth)
        await self.sockets.take_back(gone, tell=tell)
        self._stamp_s = int((await self.header())["timestamp"], 16)
        for block in blocks:
            await self.mine(*block, seconds=BLOCK_S + 1)

    async def header(self, which: int | str = "latest") -> dict[str, Any]:
        """Return a block by number or tag."""
        name = hex(which) if isinstance(which, int) else which
        header: dict[str, Any] = await self.rpc("eth_getBlockByNumber", name, False)
        return header

    async def head(self) -> int:
        """Return the newest block's number."""
        return int(await self.rpc("eth_blockNumber"), 16)

    async def rows(self, *leaders: str) -> list[Row]:
        """Return the fills of leaders on the canonical chain, as they must be stored."""
        makers = ["0x" + "0" * 24 + leader[2:] for leader in leaders]
        topics = [[orders.FILLED, orders.FILLED_V1], None, makers]
        where = {"fromBlock": "0x0", "toBlock": "latest", "address": list(orders.CODE)}
        return sorted(orders.row(log) for log in await self.rpc("eth_getLogs", where | {"topics": topics}))


@asynccontextmanager
async def a_chain(*, genesis_s: int = GENESIS_S, blocks: int = 10) -> AsyncIterator[EvmChain]:
    """Give a fresh chain of some empty blocks on a node of its own."""
    with running_anvil(genesis_s=genesis_s) as node:
        # Plain HTTP: the certificates of this machine need not be read for it.
        async with httpx.AsyncClient(verify=False) as client, SocketProxy(f"ws://{node.address}").serving() as sockets:
            chain = EvmChain(node, client, sockets)
            await chain.place_exchanges()
            await chain.mine_empty(blocks)
            yield chain
