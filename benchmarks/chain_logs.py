"""Synthetic `OrderFilled` logs and the frames that carry them."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from copytrade.adapters.polygon import decode

EXCHANGE = "0xe111180000d2663c0091e4f400237545b87b996b"
TOKEN = 111
FIRST_BLOCK = 1_001
LOGS_PER_BLOCK = 20


def addresses(count: int) -> list[str]:
    """Return that many accounts, the same in every run."""
    rng = random.Random(count)
    return ["0x" + rng.randbytes(20).hex() for _ in range(count)]


def logs(count: int, makers: list[str], *, stamp_s: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return logs of orders of `makers`, each in a transaction of its own, in chain order."""
    rng = random.Random(seed)
    return [_log(n, rng, maker=rng.choice(makers), stamp_s=stamp_s) for n in range(count)]


def frame(log: dict[str, Any]) -> str:
    """Return the notification a node pushes."""
    params = {"subscription": "0x2", "result": log}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}).decode()


def _log(n: int, rng: random.Random, *, maker: str, stamp_s: int) -> dict[str, Any]:
    number, index = divmod(n, LOGS_PER_BLOCK)
    shares = rng.randrange(10, 1_000) * 1_000_000
    words = (0, TOKEN, shares // 2, shares, 0, 0, 0)
    return {
        "address": EXCHANGE,
        "topics": [decode.TOPIC_V2, "0x" + rng.randbytes(32).hex(), _topic(maker), _topic(EXCHANGE)],
        "data": "0x" + "".join(f"{word:064x}" for word in words),
        "blockNumber": hex(FIRST_BLOCK + number),
        "blockHash": block_hash(FIRST_BLOCK + number),
        "blockTimestamp": hex(stamp_s),
        "transactionHash": "0x" + rng.randbytes(32).hex(),
        "transactionIndex": hex(index),
        "logIndex": hex(index * 3),
        "removed": False,
    }


def _topic(address: str) -> str:
    return "0x" + "0" * 24 + address[2:]


def block_hash(number: int) -> str:
    """Return the hash of a block of that height."""
    return "0x" + f"{number:08x}" * 8
