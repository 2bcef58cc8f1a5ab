"""A small chain behind a fake HTTP node and a fake socket, with the lies real nodes tell."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from copytrade.sandbox import trie
from copytrade.sandbox.digest import Rlp, logs_bloom, rlp
from tests.unit.polygon.raw_logs import STANDARD, STRANGER, raw_log

GENESIS_S = 1_790_000_000
BLOCK_S = 2
CHAIN_ID = 137


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    block_hash: str
    parent_hash: str
    timestamp_s: int
    logs: tuple[dict[str, Any], ...]

    def header(self) -> dict[str, Any]:
        return {
            "number": hex(self.number),
            "hash": self.block_hash,
            "parentHash": self.parent_hash,
            "timestamp": hex(self.timestamp_s),
            "logsBloom": logs_bloom(item for log in self.logs for item in (log["address"], *log["topics"])),
            "receiptsRoot": trie.root([encoded_receipt(receipt) for receipt in self.receipts()]),
            "transactions": [log["transactionHash"] for log in self.logs],
        }

    def receipts(self) -> list[dict[str, Any]]:
        """Return a receipt for each log."""
        return [
            {
                "type": "0x2",
                "status": "0x1",
                "cumulativeGasUsed": hex(21_000 * (at + 1)),
                "logsBloom": logs_bloom((log["address"], *log["topics"])),
                "logs": [log],
                "transactionHash": log["transactionHash"],
                "from": STRANGER,
                "to": STANDARD,
            }
            for at, log in enumerate(self.logs)
        ]


def encoded_receipt(receipt: dict[str, Any]) -> bytes:
    """Return a receipt as the root in a header covers it."""
    spent = int(receipt["cumulativeGasUsed"], 16).to_bytes(8).lstrip(b"\0")
    logs: list[Rlp] = [
        [_bytes(log["address"]), [_bytes(topic) for topic in log["topics"]], _bytes(log["data"])]
        for log in receipt["logs"]
    ]
    kind, status = int(receipt["type"], 16), int(receipt["status"], 16)
    body = rlp([b"\x01" if status else b"", spent, _bytes(receipt["logsBloom"]), logs])
    return bytes([kind]) + body if kind else body


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def tx(name: object) -> str:
    return "0x" + hashlib.sha256(str(name).encode()).hexdigest()


@dataclass
class FakeChain:
    """The truth; `faults` may answer a call in the node's stead (None: no fault)."""

    finality: int = 4
    with_stamps: bool = True
    blocks: list[Block] = field(default_factory=list)
    sockets: list[FakeSocket] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    faults: Callable[[str, list[Any]], Any] = lambda method, params: None
    forks: int = 0
    finalized: int = 1
    stalled_at: int | None = None

    def mine(self, *logs: dict[str, Any]) -> Block:
        number = self.blocks[-1].number + 1 if self.blocks else 1
        parent = self.blocks[-1].block_hash if self.blocks else tx("genesis")
        block_hash = tx((number, parent, self.forks))
        stamp_s = GENESIS_S + BLOCK_S * number
        placed = tuple(
            log
            | {"blockNumber": hex(number), "blockHash": block_hash, "logIndex": hex(at)}
            | ({"blockTimestamp": hex(stamp_s)} if self.with_stamps else {})
            for at, log in enumerate(logs)
        )
        if not self.with_stamps:
            placed = tuple({key: log[key] for key in log if key != "blockTimestamp"} for log in placed)
        block = Block(number, block_hash, parent, stamp_s, placed)
        self.blocks.append(block)
        for socket in self.sockets:
            socket.tell(block)
        return block

    def mine_empty(self, count: int) -> None:
        for _ in range(count):
            self.mine()

    def reorg(self, depth: int, *, tell: bool = True) -> list[Block]:
        """Take the newest blocks away; whatever is mined next has other hashes."""
        gone = self.blocks[-depth:]
        del self.blocks[-depth:]
        self.forks += 1
        if tell:
            for socket in self.sockets:
                for block in reversed(gone):
                    socket.take_back(block)
        return gone

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    def fill(self, name: object, **changes: Any) -> dict[str, Any]:
        """Return a leader's log in a transaction called `name`."""
        return raw_log(transactionHash=tx(name), order_hash=tx(f"order {name}"), **changes)

    def by_number(self, number: int) -> Block | None:
        return next((block for block in reversed(self.blocks) if block.number == number), None)

    def by_name(self, name: str) -> Block | None:
        if name == "latest":
            return self.head
        if name == "finalized":
            return self.by_number(self.final_number())
        return self.by_number(int(name, 16))

    def final_number(self) -> int:
        """Return the highest block that was ever final; none becomes so while `stalled_at` is set."""
        if self.stalled_at is None:
            self.finalized = max(self.finalized, self.head.number - self.finality)
        return self.finalized if self.stalled_at is None else self.stalled_at

    def by_hash(self, block_hash: str) -> Block | None:
        return next((block for block in self.blocks if block.block_hash == block_hash), None)

    # The HTTP node.

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.respond)

    async def respond(self, request: httpx.Request) -> httpx.Response:
        call = json.loads(request.content)
        method, params = call["method"], call["params"]
        self.calls[method] += 1
        faulty = self.faults(method, params)
        if isinstance(faulty, httpx.Response):
            return faulty
        answer = faulty if faulty is not None else self.answer(method, params)
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": call["id"]} | answer)

    def answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        if method == "eth_chainId":
            return {"result": hex(CHAIN_ID)}
        if method == "eth_getBlockByNumber":
            block = self.by_name(params[0])
            return {"result": block and block.header()}
        if method == "eth_getBlockReceipts":
            block = self.by_hash(params[0]) if len(params[0]) == 66 else self.by_name(params[0])
            return {"result": block and block.receipts()}
        if method == "eth_getBlockByHash":
            block = self.by_hash(params[0])
            return {"result": block and block.header()}
        if method == "eth_getTransactionReceipt":
            every = (receipt for block in self.blocks for receipt in block.receipts())
            return {"result": next((one for one in every if one["transactionHash"] == params[0]), None)}
        assert method == "eth_getLogs"
        return self.logs(params[0])

    def logs(self, criteria: dict[str, Any]) -> dict[str, Any]:
        if "blockHash" in criteria:
            found = [block for block in self.blocks if block.block_hash == criteria["blockHash"]]
            if not found:
                return {"error": {"code": -32000, "message": "unknown block"}}
        else:
            first, last = int(criteria["fromBlock"], 16), int(criteria["toBlock"], 16)
            found = [block for block in self.blocks if first <= block.number <= last]
        return {"result": [log for block in found for log in block.logs if matches(log, criteria)]}

    # The socket.

    async def connect(self, url: str) -> FakeSocket:
        socket = FakeSocket(self)
        self.sockets.append(socket)
        return socket


class FakeSocket:
    """One connection; `mute` swallows what it would push, `drop` breaks it."""

    def __init__(self, chain: FakeChain) -> None:
        self.chain = chain
        self.frames: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.filters: dict[str, dict[str, Any]] = {}
        self.sent: list[dict[str, Any]] = []
        self.mute = False
        self.heads_only = False
        self.named = 0

    async def send(self, text: str) -> None:
        call = json.loads(text)
        self.sent.append(call)
        self.named += 1
        name = hex(self.named)
        if call["method"] == "eth_subscribe" and call["params"][0] == "logs":
            self.filters[name] = call["params"][1]
        if call["method"] == "eth_unsubscribe":
            self.filters.pop(call["params"][0])
        self.frames.put_nowait(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": name}))

    async def recv(self) -> str:
        frame = await self.frames.get()
        if isinstance(frame, Exception):
            raise frame
        return frame

    async def close(self) -> None:
        if self in self.chain.sockets:
            self.chain.sockets.remove(self)

    def drop(self) -> None:
        self.chain.sockets.remove(self)
        self.frames.put_nowait(ConnectionResetError("dropped"))

    def tell(self, block: Block) -> None:
        self.push({"subscription": "0x1", "result": block.header()})
        if not self.heads_only:
            for log in block.logs:
                self.push_log(log)

    def take_back(self, block: Block) -> None:
        for log in block.logs:
            self.push_log(log | {"removed": True})

    def push_log(self, log: dict[str, Any]) -> None:
        for name, criteria in self.filters.items():
            if matches(log, criteria):
                self.push({"subscription": name, "result": log})

    def push(self, params: dict[str, Any]) -> None:
        self.push_text(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}))

    def push_text(self, text: str) -> None:
        if not self.mute:
            self.frames.put_nowait(text)


def matches(log: dict[str, Any], criteria: dict[str, Any]) -> bool:
    if "address" in criteria and log["address"] not in [address.lower() for address in criteria["address"]]:
        return False
    return all(
        wanted is None or topic in wanted for wanted, topic in zip(criteria["topics"], log["topics"], strict=False)
    )
