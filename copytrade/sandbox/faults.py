"""Faults that the control endpoint switches on; every service asks here before it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

HTTP_OK = 200


@dataclass(slots=True, kw_only=True)
class ErrorRule:
    """Answer the next `remaining` requests of a path prefix or RPC method with an error.

    `target` starting with "/" is a path prefix, else an RPC method name. For a method, status
    200 makes `body` a JSON-RPC error object; another status is that of the HTTP answer.
    """

    target: str
    status: int
    body: Any
    remaining: int


@dataclass(slots=True, kw_only=True)
class Faults:
    """What is broken right now; everything off is a healthy venue."""

    rpc_lag_blocks: int = 0
    """RPC answers as if the head were this many blocks back; notifications go on."""
    logs_blind_blocks: int = 0
    """`eth_getLogs` answers nothing for the newest blocks, as a late node does."""
    logs_range_max: int = 0
    """`eth_getLogs` refuses wider ranges; 0 is no limit."""
    logs_muted: bool = False
    """Log subscriptions stay silent; heads go on."""
    heads_muted: bool = False
    socket_latency_ms: int = 0
    frozen_future: set[str] = field(default_factory=set)
    """Kinds of sockets that are frozen from their first moment."""
    refused_sockets: dict[str, int] = field(default_factory=dict)
    """Kinds of sockets whose upgrade is refused, with the HTTP status."""
    latency_ms: dict[str, int] = field(default_factory=dict)
    """Delay of HTTP answers by path prefix."""
    rtds_delay_ms: int = 1_000
    """The live stream tells a settlement this long after its match, and up to a second more."""
    rtds_silence_ms: int = 360_000
    """The live stream ends for a client that sends no PING for so long."""
    rules: list[ErrorRule] = field(default_factory=list)

    def delay_ms(self, path: str) -> int:
        """Return how long the answer to a path is held back."""
        return max(
            (delay for prefix, delay in self.latency_ms.items() if path.startswith(prefix)),
            default=0,
        )

    def path_error(self, path: str) -> ErrorRule | None:
        """Use up and return the rule that hits a path, if one does."""
        return self._use(rule for rule in self.rules if rule.target[:1] == "/" and path.startswith(rule.target))

    def method_error(self, method: str) -> ErrorRule | None:
        """Use up and return the rule that hits an RPC method, if one does."""
        return self._use(rule for rule in self.rules if rule.target == method and rule.status == HTTP_OK)

    def transport_error(self, methods: Collection[str]) -> ErrorRule | None:
        """Use up and return the rule that fails the HTTP request carrying RPC methods."""
        return self._use(rule for rule in self.rules if rule.target in methods and rule.status != HTTP_OK)

    def _use(self, rules: Iterable[ErrorRule]) -> ErrorRule | None:
        rule = next(iter(rules), None)
        if rule is not None:
            rule.remaining -= 1
            if rule.remaining <= 0:
                self.rules.remove(rule)
        return rule
