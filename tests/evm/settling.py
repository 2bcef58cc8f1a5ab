"""A sandbox that settles on a real node: `python -m tests.evm.settling NODE_URL [OPTIONS OF copytrade sandbox]`.

What is settled is known only once a block is due, but a trade names its transaction before. So each transaction is
signed when the venue speaks of it first, and calls a contract that is placed only when it is mined: one that calls the
exchange with what was settled. The exchange then emits the `OrderFilled` logs, with the venue's order hashes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from eth_account import Account
from eth_utils import keccak

from copytrade.cli.program import build
from copytrade.sandbox import server
from copytrade.sandbox.chain import Block, Transaction
from copytrade.sandbox.contracts import ORDER_FILLED
from copytrade.sandbox.events import Event
from copytrade.sandbox.exchange import PendingTransaction
from copytrade.sandbox.happening import BlockMined, Happening
from copytrade.sandbox.market import Market
from copytrade.sandbox.world import World, WorldConfig
from tests.evm import orders
from tests.evm.anvil import CHAIN_ID, FINAL_BEHIND
from tests.evm.orders import Match, Order

GAS = 1_000_000
WEI = 10**18
TIMEOUT_S = 60.0

Call = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A transaction that calls the contract at `caller`, where there is none yet."""

    raw: str
    sender: str
    caller: str


class NodeChain:
    """The node, and the transactions that may still be sent to it."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT_S, verify=False)
        self._signed: dict[str, Signed] = {}
        self._count = 0

    def begin(self) -> None:
        """Place the exchanges, and have a block that is final."""
        places: list[Call] = [("anvil_setCode", [address, code]) for address, code in orders.CODE.items()]
        self._call(*places, ("anvil_mine", [hex(FINAL_BEHIND + 2), "0x1"]))

    def next_hash(self) -> str:
        """Return the hash of a transaction that nobody has spoken of."""
        self._count += 1
        seed = keccak(text=f"transaction {self._count}")
        account = Account.from_key(seed)
        caller = "0x" + keccak(seed)[12:].hex()
        signed = account.sign_transaction(
            {
                "type": 2,
                "chainId": CHAIN_ID,
                "nonce": 0,
                "to": _checksummed(caller),
                "value": 0,
                "gas": GAS,
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 1,
                "data": "0x",
            }
        )
        tx_hash = "0x" + bytes(signed.hash).hex()
        raw = "0x" + bytes(signed.raw_transaction).hex()
        self._signed[tx_hash] = Signed(raw=raw, sender=account.address, caller=caller)
        return tx_hash

    def hear(self, happening: Happening) -> None:
        """Mine what the venue's own chain has mined, at the same time."""
        if isinstance(happening, BlockMined):
            self._mine(happening.block)

    def _mine(self, block: Block) -> None:
        calls: list[Call] = []
        mined = []
        for transaction in block.transactions:
            if (signed := self._signed.pop(transaction.tx_hash, None)) is not None:
                mined.append(transaction.tx_hash)
                calls.append(("anvil_setCode", [signed.caller, _calling(transaction)]))
                calls.append(("anvil_setBalance", [signed.sender, hex(WEI)]))
                calls.append(("eth_sendRawTransaction", [signed.raw]))
        *_, header = self._call(*calls, ("evm_mine", [block.timestamp]), ("eth_getBlockByNumber", ["latest", False]))
        if header["transactions"] != mined or int(header["timestamp"], 16) != block.timestamp:
            raise AssertionError(f"block {block.number} is not what was asked for: {header}")

    def _call(self, *calls: Call) -> list[Any]:
        """Return the results, in order."""
        results = []
        # One by one: a node need not work through a batch in order.
        for method, params in calls:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            answer = self._client.post("", json=request).json()
            if "error" in answer:
                raise AssertionError(f"{method}: {answer['error']}")
            results.append(answer["result"])
        return results


def settles_on(url: str) -> type[World]:
    """Return a world whose settlements are on that node."""

    class SettlingWorld(World):
        def __init__(self, config: WorldConfig, **given: Any) -> None:
            super().__init__(config, **given)
            self.mine()  # what waits from the past keeps its hash
            node = NodeChain(url)
            node.begin()
            prepare = self.exchange.prepare

            def prepare_on_node(market: Market) -> PendingTransaction:
                pending = prepare(market)
                pending.tx_hash = node.next_hash()
                return pending

            self.exchange.prepare = prepare_on_node
            # Before anybody else is told: who hears of a trade finds it on the node.
            self.listen(node.hear)

    return SettlingWorld


def _checksummed(address: str) -> str:
    digest = keccak(text=address[2:]).hex()
    return "0x" + "".join(a.upper() if int(d, 16) > 7 else a for a, d in zip(address[2:], digest, strict=False))


def _calling(transaction: Transaction) -> str:
    """Return code that calls the exchange with all that was settled, and fails where the exchange does."""
    exchange = transaction.to
    matches = tuple(_matches(transaction.events, exchange))
    if not matches:
        return "0x00"
    data = bytes.fromhex(orders.call(exchange, matches)[2:])
    size = len(data).to_bytes(3)
    # CODECOPY(0, head, size); CALL(gas, exchange, 0, 0, size, 0, 0); if it failed REVERT(0, 0)
    head = b"\x62" + size + b"\x60%c\x5f\x39"
    head += b"\x5f\x5f\x62" + size + b"\x5f\x5f\x73" + bytes.fromhex(exchange[2:]) + b"\x5a\xf1"
    head += b"\x60%c\x57\x5f\x5f\xfd\x5b\x00"
    length = len(head) - 2  # each %c is one byte
    return "0x" + (head % (length, length - 2) + data).hex()


def _matches(logs: tuple[Event, ...], exchange: str) -> Iterator[Match]:
    """Read the matches back from the logs: resting orders, then the one that crossed them."""
    makers: list[Order] = []
    for log in logs:
        if log.topics[0] != ORDER_FILLED:
            continue
        if log.topics[3][26:] != exchange[2:]:
            makers.append(_order(log))
        else:
            yield Match(taker=_order(log), makers=tuple(makers))
            makers = []


def _order(log: Event) -> Order:
    side, token, given, got, fee, *_ = (int(log.data[at : at + 64], 16) for at in range(2, len(log.data), 64))
    shares, usdc = (got, given) if side == orders.BUY else (given, got)
    maker = "0x" + log.topics[2][26:]
    return Order(maker=maker, side=side, token=token, shares=shares, usdc=usdc, fee=fee, order_hash=log.topics[1])


def main() -> None:
    """Serve until told to stop."""
    url, *options = sys.argv[1:]
    server.World = settles_on(url)
    build()(["sandbox", *options])


if __name__ == "__main__":
    main()
