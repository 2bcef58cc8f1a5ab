"""Blocks, logs and receipts as a Polygon node spells them."""

from __future__ import annotations

from typing import Any

from copytrade.sandbox import digest
from copytrade.sandbox.chain import (
    BASE_FEE,
    GAS_PER_TX,
    RECEIPT_TYPE,
    Block,
    ChainLog,
    Transaction,
    header_fields,
)


def header(item: Block) -> dict[str, Any]:
    """Return a block's header, as `newHeads` sends it."""
    fields: dict[str, Any] = dict(
        header_fields(
            number=item.number,
            parent_hash=item.parent_hash,
            timestamp=item.timestamp,
            bloom=item.bloom,
            state_root=item.state_root,
            receipts_root=item.receipts_root,
            transactions=item.transactions,
        )
    )
    return {**fields, "hash": item.block_hash}


def block(item: Block, *, full: bool) -> dict[str, Any]:
    """Return a block with its transactions, as hashes or whole."""
    transactions: list[Any] = (
        [_transaction(item, at, tx) for at, tx in enumerate(item.transactions)]
        if full
        else [tx.tx_hash for tx in item.transactions]
    )
    return {
        **header(item),
        "size": hex(700 + 600 * len(transactions)),
        "totalDifficulty": hex(21 * item.number),
        "transactions": transactions,
        "uncles": [],
    }


def log(item: ChainLog, *, removed: bool) -> dict[str, Any]:
    """Return a log as `eth_getLogs` and subscriptions send it."""
    return {
        "address": item.address,
        "topics": list(item.topics),
        "data": item.data,
        "blockNumber": hex(item.block_number),
        "transactionHash": item.tx_hash,
        "transactionIndex": hex(item.tx_index),
        "blockHash": item.block_hash,
        "blockTimestamp": hex(item.block_timestamp),
        "logIndex": hex(item.log_index),
        "removed": removed,
    }


def receipts(item: Block) -> list[dict[str, Any]]:
    """Return the receipts of a block, in order."""
    return [_receipt(item, at, tx) for at, tx in enumerate(item.transactions)]


def _receipt(item: Block, at: int, tx: Transaction) -> dict[str, Any]:
    logs = [entry for entry in item.logs if entry.tx_index == at]
    touched = (part for entry in logs for part in (entry.address, *entry.topics))
    return {
        "type": hex(RECEIPT_TYPE),
        "status": "0x1",
        "transactionHash": tx.tx_hash,
        "transactionIndex": hex(at),
        "blockHash": item.block_hash,
        "blockNumber": hex(item.number),
        "from": tx.sender,
        "to": tx.to,
        "contractAddress": None,
        "cumulativeGasUsed": hex(GAS_PER_TX * (at + 1)),
        "gasUsed": hex(GAS_PER_TX),
        "effectiveGasPrice": hex(BASE_FEE),
        "logs": [log(entry, removed=False) for entry in logs],
        "logsBloom": digest.logs_bloom(touched),
    }


def _transaction(item: Block, at: int, tx: Transaction) -> dict[str, Any]:
    return {
        "blockHash": item.block_hash,
        "blockNumber": hex(item.number),
        "chainId": "0x89",
        "from": tx.sender,
        "gas": hex(GAS_PER_TX),
        "gasPrice": hex(BASE_FEE),
        "hash": tx.tx_hash,
        "input": "0x",
        "nonce": "0x0",
        "to": tx.to,
        "transactionIndex": hex(at),
        "type": "0x2",
        "value": "0x0",
    }
