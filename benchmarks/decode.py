"""How fast one `OrderFilled` log is decoded: ours against `eth_abi.decode` on the same logs.

Run `python benchmarks/decode.py [LOGS]`; prints both figures and their ratio.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any

import eth_abi

from copytrade.adapters.polygon import decode

EXCHANGE = "0xe111180000d2663c0091e4f400237545b87b996b"
KINDS = ["uint8", "uint256", "uint256", "uint256", "uint256", "bytes32", "bytes32"]
ROUNDS = 5
SEED = 1


def random_log(rng: random.Random) -> dict[str, Any]:
    """Return a valid log with random amounts."""
    side, shares = rng.randint(0, 1), rng.randint(1_000_000, 10**12)
    usdc = shares * rng.randint(1, 999) // 1000
    amounts = (usdc, shares) if side == 0 else (shares, usdc)
    token = rng.getrandbits(255) | 1
    data = eth_abi.encode(KINDS, [side, token, *amounts, usdc // 100, bytes(32), bytes(32)])
    maker, taker = ("0x" + "00" * 12 + rng.randbytes(20).hex() for _ in range(2))
    return {
        "address": EXCHANGE,
        "topics": [decode.TOPIC_V2, "0x" + rng.randbytes(32).hex(), maker, taker],
        "data": "0x" + data.hex(),
        "blockNumber": hex(rng.randint(1, 10**8)),
        "blockHash": "0x" + rng.randbytes(32).hex(),
        "blockTimestamp": hex(1_790_000_000),
        "transactionHash": "0x" + rng.randbytes(32).hex(),
        "logIndex": hex(rng.randint(0, 999)),
        "removed": False,
    }


def peer(log: dict[str, Any]) -> tuple[Any, ...]:
    """Decode the words and cut the addresses out, without a single check."""
    words = eth_abi.decode(KINDS, bytes.fromhex(log["data"][2:]))
    topics = log["topics"]
    return (*words, topics[1], "0x" + topics[2][26:], "0x" + topics[3][26:])


def best_us(run: Callable[[dict[str, Any]], object], logs: list[dict[str, Any]]) -> float:
    """Return microseconds a log, the best of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for log in logs:
            run(log)
        best = min(best, time.perf_counter() - started)
    return best / len(logs) * 1_000_000


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rng = random.Random(SEED)
    logs = [random_log(rng) for _ in range(count)]
    decoders = decode.registry((EXCHANGE,))
    for log in logs[:100]:
        event, words = decode.decode_log(log, decoders).event, peer(log)
        assert (event.token_id, event.fee) == (str(words[1]), words[4])
    theirs = best_us(peer, logs)
    event_us = best_us(lambda log: decode.decode_v2(log["topics"], log["data"]), logs)
    whole_us = best_us(lambda log: decode.decode_log(log, decoders), logs)
    print(f"{count} logs, best of {ROUNDS} rounds, us a log")
    print(f"eth_abi.decode, words only       {theirs:8.2f}   1.0x")
    print(f"ours, event with every check     {event_us:8.2f} {theirs / event_us:5.1f}x")
    print(f"ours, event and place, checked   {whole_us:8.2f} {theirs / whole_us:5.1f}x")


if __name__ == "__main__":
    main()
