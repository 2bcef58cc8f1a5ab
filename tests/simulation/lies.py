"""What a node may do to its answers: leave out, repeat, misspell or mix up, or refuse in words of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from copytrade.sandbox.http_message import Response

Log = dict[str, Any]
OTHER_HASH = "0x" + "5e" * 32
STRANGER = "0x" + "5a" * 20


@dataclass(slots=True, kw_only=True)
class Lie:
    """What is done, to which part of the answers, and how often it was."""

    kind: str
    chance: float = 1.0
    told: int = 0


def told(lie: Lie, question: bytes, answer: Response, rng: random.Random) -> Response:
    """Return the answer to a JSON-RPC question as the liar gives it."""
    if answer.status != 200 or rng.random() >= lie.chance:
        return answer
    messages, questions = json.loads(answer.body), json.loads(question)
    is_single = isinstance(messages, dict)
    methods = {one["id"]: one["method"] for one in ([questions] if is_single else questions)}
    changed = [
        _changed(lie, methods.get(one.get("id"), ""), one, rng) for one in ([messages] if is_single else messages)
    ]
    body = json.dumps(changed[0] if is_single else changed, separators=(",", ":")).encode()
    return replace(answer, body=body)


def _changed(lie: Lie, method: str, message: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    change = OF_LOGS.get(lie.kind)
    if change is not None and method == "eth_getLogs" and message.get("result"):
        lie.told += 1
        return message | {"result": change(message["result"], rng)}
    if lie.kind == "another chain" and method == "eth_chainId":
        lie.told += 1
        return message | {"result": "0x1"}
    if lie.kind == "no block" and method == "eth_getBlockByNumber" and message.get("result"):
        lie.told += 1
        return message | {"result": None}
    if lie.kind == "another block" and method == "eth_getBlockByNumber" and message.get("result"):
        lie.told += 1
        return message | {"result": message["result"] | {"hash": OTHER_HASH}}
    if lie.kind == "false receipts" and method == "eth_getBlockReceipts" and message.get("result"):
        lie.told += 1
        return message | {"result": message["result"][:-1]}
    return message


def _one_changed(change: Callable[[Log], Log]) -> Callable[[list[Log], random.Random], list[Log]]:
    def of_all(logs: list[Log], rng: random.Random) -> list[Log]:
        at = rng.randrange(len(logs))
        return [change(log) if number == at else log for number, log in enumerate(logs)]

    return of_all


def _without_one(logs: list[Log], rng: random.Random) -> list[Log]:
    at = rng.randrange(len(logs))
    return logs[:at] + logs[at + 1 :]


def _shouted(log: Log) -> Log:
    spelt = {name: value.upper().replace("0X", "0x") for name, value in log.items() if isinstance(value, str)}
    return log | spelt | {"topics": [topic.upper().replace("0X", "0x") for topic in log["topics"]]}


OF_LOGS: dict[str, Callable[[list[Log], random.Random], list[Log]]] = {
    "omitted": _without_one,
    "nothing": lambda logs, rng: [],
    "repeated": lambda logs, rng: [*logs, rng.choice(logs)],
    "backwards": lambda logs, rng: logs[::-1],
    "upper case": lambda logs, rng: list(map(_shouted, logs)),
    "no index": _one_changed(lambda log: log | {"logIndex": None}),
    "pending": _one_changed(lambda log: log | {"blockNumber": None, "blockHash": None}),
    "removed": _one_changed(lambda log: log | {"removed": True}),
    "wrong hash": _one_changed(lambda log: log | {"blockHash": OTHER_HASH}),
    "short data": _one_changed(lambda log: log | {"data": log["data"][:-3]}),
    "stranger": lambda logs, rng: [*logs, rng.choice(logs) | {"address": STRANGER, "logIndex": "0x3e7"}],
}
KINDS = (*OF_LOGS, "another chain", "no block", "another block", "false receipts")
