"""JSON-RPC over WebSocket: requests, `newHeads` and `logs` subscriptions."""

from __future__ import annotations

import json
from typing import Any

from copytrade.sandbox import digest, rpc_json
from copytrade.sandbox.chain import Block
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.happening import BlockMined, BlocksRemoved, Happening
from copytrade.sandbox.log_filter import LogFilter, parse_filter
from copytrade.sandbox.rpc import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError, RpcService
from copytrade.sandbox.sessions import Outlet


class RpcSession:
    """One chain connection and its subscriptions."""

    def __init__(self, *, outlet: Outlet, service: RpcService, faults: Faults, name: str) -> None:
        """Start without subscriptions; `name` makes subscription ids unique."""
        self.outlet = outlet
        self._service = service
        self._faults = faults
        self._name = name
        self._made = 0
        self._heads: dict[str, None] = {}
        self._logs: dict[str, LogFilter] = {}

    def receive(self, text: str) -> None:
        """Answer one message of the client."""
        methods = {"eth_subscribe": self._subscribe, "eth_unsubscribe": self._unsubscribe}
        answer = self._service.answer_text(text, extra=methods)
        if answer is not None:
            self.outlet.send(answer)

    def tell(self, happening: Happening) -> None:
        """Notify subscriptions of a new head or of removed logs."""
        if isinstance(happening, BlockMined):
            self._tell_head(happening.block)
            self._tell_logs(happening.block, removed=False)
        elif isinstance(happening, BlocksRemoved):
            for block in reversed(happening.blocks):
                self._tell_logs(block, removed=True)

    def _subscribe(self, params: list[Any]) -> str:
        kind = params[0] if params else None
        if kind == "newHeads":
            subscription = self._new_id()
            self._heads[subscription] = None
            return subscription
        if kind == "logs":
            criteria = params[1] if len(params) > 1 else {}
            if not isinstance(criteria, dict):
                raise RpcError(INVALID_PARAMS, "invalid argument 1: filter expected")
            wanted = parse_filter(criteria)
            subscription = self._new_id()
            self._logs[subscription] = wanted
            return subscription
        raise RpcError(METHOD_NOT_FOUND, f'no "{kind}" subscription in eth namespace')

    def _unsubscribe(self, params: list[Any]) -> bool:
        subscription = params[0] if params else None
        if subscription in self._heads:
            del self._heads[str(subscription)]
            return True
        if self._logs.pop(str(subscription), None) is not None:
            return True
        raise RpcError(-32000, "subscription not found")

    def _new_id(self) -> str:
        self._made += 1
        return digest.derive_hash("subscription", self._name, self._made)[:34]

    def _tell_head(self, block: Block) -> None:
        if self._faults.heads_muted:
            return
        for subscription in self._heads:
            self._notify(subscription, rpc_json.header(block))

    def _tell_logs(self, block: Block, *, removed: bool) -> None:
        if self._faults.logs_muted:
            return
        for subscription, wanted in self._logs.items():
            for log in block.logs:
                if wanted.matches(log):
                    self._notify(subscription, rpc_json.log(log, removed=removed))

    def _notify(self, subscription: str, result: dict[str, Any]) -> None:
        message = {
            "jsonrpc": "2.0",
            "method": "eth_subscription",
            "params": {"subscription": subscription, "result": result},
        }
        self.outlet.send(json.dumps(message, separators=(",", ":")))
