"""What became of single transactions, by the word of every node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import parse_header
from copytrade.adapters.polygon.rpc import Endpoint, RpcError
from copytrade.ports.witnesses import TransactionWitness, WitnessUnavailableError

if TYPE_CHECKING:
    import httpx

FAILED: Final = "0x0"


class PolygonTransactions(TransactionWitness):
    """Asks all nodes, none of which may fail: one that lags or has lost its index knows no transaction either."""

    def __init__(self, urls: tuple[str, ...], *, http: httpx.AsyncClient) -> None:
        self._endpoints: Final = tuple(Endpoint(url, http) for url in urls)

    async def block_of(self, tx_hash: str) -> int | None:
        try:
            receipts = [await endpoint.call("eth_getTransactionReceipt", [tx_hash]) for endpoint in self._endpoints]
            known = [receipt for receipt in receipts if receipt is not None]
            return await self._final_block(known[0]) if known else None
        except (RpcError, decode.MalformedLogError) as error:
            raise WitnessUnavailableError(f"polygon: {error}") from error

    async def _final_block(self, receipt: Any) -> int | None:
        fields = receipt if isinstance(receipt, dict) else {}
        block = decode.quantity(fields.get("blockNumber"), "block-number")
        final = parse_header(await self._endpoints[0].call("eth_getBlockByNumber", ["finalized", False]))
        if final is None or block > final.number:
            raise WitnessUnavailableError(f"polygon: block {block} is not final")
        return None if fields.get("status") == FAILED else block
