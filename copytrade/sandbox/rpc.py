"""JSON-RPC of the imitated node (execution-apis; error codes as geth and bor give them)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from copytrade.sandbox import rpc_json
from copytrade.sandbox.chain import Block, Chain, ChainLog
from copytrade.sandbox.contracts import CHAIN_ID
from copytrade.sandbox.faults import Faults
from copytrade.sandbox.log_filter import BadFilterError, parse_filter

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
SERVER_ERROR = -32000
BATCH_MAX = 1_000
CLIENT_VERSION = "bor/v2.9.1-sandbox/linux-amd64/go1.26"
TAGS = ("latest", "pending", "safe", "finalized", "earliest")


class RpcError(Exception):
    """A JSON-RPC error answer."""

    def __init__(self, code: int, message: str) -> None:
        """Keep code and message for the answer."""
        super().__init__(message)
        self.code = code
        self.message = message


Method = Callable[[list[Any]], Any]


class RpcService:
    """Answers requests from the chain as the faults let it be seen."""

    def __init__(self, *, chain: Chain, faults: Faults) -> None:
        """Serve the given chain."""
        self._chain = chain
        self._faults = faults
        self._methods: dict[str, Method] = {
            "eth_chainId": lambda _: hex(CHAIN_ID),
            "net_version": lambda _: str(CHAIN_ID),
            "web3_clientVersion": lambda _: CLIENT_VERSION,
            "eth_syncing": lambda _: False,
            "eth_blockNumber": lambda _: hex(self._head_number()),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getLogs": self._logs,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionReceipt": self._transaction_receipt,
        }

    def answer_text(self, text: str, *, extra: Mapping[str, Method] | None = None) -> str | None:
        """Answer a request or a batch; None when only notifications were sent.

        `extra` adds methods that need the caller's connection.
        """
        try:
            message = json.loads(text)
        except ValueError:
            return json.dumps(_error(None, PARSE_ERROR, "parse error"))
        if not isinstance(message, list):
            answer = self._answer(message, extra or {})
            return None if answer is None else json.dumps(answer, separators=(",", ":"))
        if not message or len(message) > BATCH_MAX:
            return json.dumps(_error(None, INVALID_REQUEST, "empty batch" if not message else "batch too large"))
        answers = [self._answer(item, extra or {}) for item in message]
        sent = [answer for answer in answers if answer is not None]
        return json.dumps(sent, separators=(",", ":")) if sent else None

    def _answer(self, message: Any, extra: Mapping[str, Method]) -> dict[str, Any] | None:
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return _error(None, INVALID_REQUEST, "invalid request")
        request_id = message.get("id")
        try:
            result = self._call(message["method"], message.get("params") or [], extra)
        except RpcError as error:
            return _error(request_id, error.code, error.message)
        except BadFilterError as error:
            return _error(request_id, INVALID_PARAMS, f"invalid argument 0: {error}")
        if "id" not in message:
            return None
        return {"jsonrpc": "2.0", "id": request_id, "result": result}

    def _call(self, method: str, params: Any, extra: Mapping[str, Method]) -> Any:
        rule = self._faults.method_error(method)
        if rule is not None:
            body = rule.body if isinstance(rule.body, dict) else {}
            raise RpcError(int(body.get("code", SERVER_ERROR)), str(body.get("message", "internal error")))
        handler = extra.get(method) or self._methods.get(method)
        if handler is None:
            message = f"the method {method} does not exist/is not available"
            raise RpcError(METHOD_NOT_FOUND, message)
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "non-array args")
        return handler(params)

    def _head_number(self) -> int:
        number = self._chain.head.number - self._faults.rpc_lag_blocks
        return max(number, self._chain.earliest.number)

    def _number(self, params: list[Any], at: int) -> int:
        return self._resolve(params[at] if len(params) > at else None)

    def _resolve(self, reference: object) -> int:
        if reference in ("latest", "pending"):
            return self._head_number()
        if reference in ("safe", "finalized"):
            return min(self._chain.finalized_number, self._head_number())
        if reference == "earliest":
            return self._chain.earliest.number
        return parse_quantity(reference)

    def _seen(self, block: Block | None) -> Block | None:
        return block if block is not None and block.number <= self._head_number() else None

    def _block_by_number(self, params: list[Any]) -> dict[str, Any] | None:
        block = self._seen(self._chain.by_number(self._number(params, 0)))
        return rpc_json.block(block, full=_full(params)) if block else None

    def _block_by_hash(self, params: list[Any]) -> dict[str, Any] | None:
        block = self._seen(self._chain.by_hash(_hash(params)))
        return rpc_json.block(block, full=_full(params)) if block else None

    def _block_receipts(self, params: list[Any]) -> list[dict[str, Any]] | None:
        reference = params[0] if params else None
        if isinstance(reference, dict):
            reference = reference.get("blockHash") or reference.get("blockNumber")
        is_hash = isinstance(reference, str) and len(reference) == len("0x") + 64
        block = self._chain.by_hash(str(reference)) if is_hash else self._chain.by_number(self._resolve(reference))
        seen = self._seen(block)
        return rpc_json.receipts(seen) if seen else None

    def _transaction_receipt(self, params: list[Any]) -> dict[str, Any] | None:
        tx_hash = _hash(params).lower()
        block = self._seen(self._chain.by_transaction(tx_hash))
        if block is None:
            return None
        receipts = rpc_json.receipts(block)
        return next(item for item in receipts if item["transactionHash"] == tx_hash)

    def _logs(self, params: list[Any]) -> list[dict[str, Any]]:
        criteria = params[0] if params else None
        if not isinstance(criteria, dict):
            raise RpcError(INVALID_PARAMS, "missing value for required argument 0")
        wanted = parse_filter(criteria)
        blocks = self._blocks_of(criteria)
        blind_after = self._chain.head.number - self._faults.logs_blind_blocks
        found: list[ChainLog] = [
            log for block in blocks if block.number <= blind_after for log in block.logs if wanted.matches(log)
        ]
        return [rpc_json.log(item, removed=False) for item in found]

    def _blocks_of(self, criteria: dict[str, Any]) -> list[Block]:
        if criteria.get("blockHash") is not None:
            if criteria.get("fromBlock") is not None or criteria.get("toBlock") is not None:
                message = "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
                raise RpcError(INVALID_PARAMS, message)
            block = self._seen(self._chain.by_hash(str(criteria["blockHash"])))
            if block is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return [block]
        first = self._resolve(criteria.get("fromBlock") or "latest")
        last = self._resolve(criteria.get("toBlock") or "latest")
        if first > last:
            raise RpcError(INVALID_PARAMS, "invalid block range params")
        widest = self._faults.logs_range_max
        if widest and last - first + 1 > widest:
            raise RpcError(-32701, f"exceed maximum block range: {widest}")
        return self._chain.between(first, min(last, self._head_number()))


def parse_quantity(value: object) -> int:
    """Read a hex quantity; raises RpcError for anything else."""
    if isinstance(value, str) and value.startswith("0x") and len(value) > len("0x"):
        try:
            return int(value, 16)
        except ValueError:
            pass
    raise RpcError(INVALID_PARAMS, f"invalid argument: hex string expected, got {value!r}")


def _hash(params: list[Any]) -> str:
    value = params[0] if params else None
    if not isinstance(value, str) or len(value) != len("0x") + 64:
        raise RpcError(INVALID_PARAMS, "invalid argument 0: hex string has the wrong length")
    return value


def _full(params: list[Any]) -> bool:
    return len(params) > 1 and params[1] is True


def _error(request_id: object, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
