"""Log filters with the semantics of `eth_getLogs` and `eth_subscribe` (execution-apis, geth)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from copytrade.sandbox.chain import ChainLog

_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_TOPIC = re.compile(r"0x[0-9a-f]{64}")
_TOPICS_MAX = 4


class BadFilterError(ValueError):
    """The filter is malformed; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which logs to return: any of `addresses`, and per topic position any of its values.

    An empty set matches everything at its place, as in geth.
    """

    addresses: frozenset[str]
    topics: tuple[frozenset[str], ...]

    def matches(self, log: ChainLog) -> bool:
        """Say whether the log passes; a log with fewer topics than positions never does."""
        if self.addresses and log.address not in self.addresses:
            return False
        if len(self.topics) > len(log.topics):
            return False
        return all(not wanted or topic in wanted for wanted, topic in zip(self.topics, log.topics, strict=False))


def parse_filter(criteria: dict[str, Any]) -> LogFilter:
    """Read `address` and `topics` of a JSON-RPC filter; raises BadFilterError."""
    topics = criteria.get("topics") or []
    if not isinstance(topics, list) or len(topics) > _TOPICS_MAX:
        message = "invalid topics"
        raise BadFilterError(message)
    return LogFilter(
        addresses=_hex_set(criteria.get("address"), _ADDRESS, "address"),
        topics=tuple(_hex_set(position, _TOPIC, "topic") for position in topics),
    )


def _hex_set(value: object, shape: re.Pattern[str], name: str) -> frozenset[str]:
    if value is None:
        return frozenset()
    items: Iterable[object] = value if isinstance(value, list) else [value]
    found = set()
    for item in items:
        if item is None:
            return frozenset()
        text = item.lower() if isinstance(item, str) else ""
        if not shape.fullmatch(text):
            message = f"invalid {name}: {item!r}"
            raise BadFilterError(message)
        found.add(text)
    return frozenset(found)
