"""The record of truth: every fill the chain ever carried, and who holds what."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from copytrade.sandbox.chain import Block
from copytrade.sandbox.events import BUY
from copytrade.sandbox.settlement import Fill


@dataclass(slots=True, kw_only=True)
class FillRecord:
    """A fill as mined once; `canonical` turns false when a reorg takes its block away."""

    fill: Fill
    tx_hash: str
    log_index: int
    block_number: int
    block_hash: str
    timestamp: int
    mined_ms: int
    canonical: bool = True


@dataclass(slots=True, kw_only=True)
class Holding:
    """Shares held and what was ever bought, micro-units."""

    shares: int = 0
    bought: int = 0
    cost: int = 0
    fees: int = 0


class FillLedger:
    """Fills by transaction, placed when a block carries them."""

    def __init__(self) -> None:
        """Start with no fill."""
        self._by_tx: dict[str, list[tuple[int, Fill]]] = defaultdict(list)
        self._records: list[FillRecord] = []
        self._by_owner: dict[str, list[FillRecord]] = defaultdict(list)

    @property
    def records(self) -> list[FillRecord]:
        """Every record in the order mined, superseded ones included."""
        return self._records

    def of_owner(self, owner: str) -> list[FillRecord]:
        """Return one wallet's records in the order mined."""
        return self._by_owner.get(owner.lower(), [])

    def announce(self, tx_hash: str, fills: list[tuple[int, Fill]]) -> None:
        """Remember which logs of a transaction are fills, by place among its logs."""
        self._by_tx[tx_hash].extend(fills)

    def place(self, block: Block) -> None:
        """Record the fills of a block's transactions."""
        by_tx: dict[str, list[int]] = defaultdict(list)
        for log in block.logs:
            by_tx[log.tx_hash].append(log.log_index)
        for transaction in block.transactions:
            for at, fill in self._by_tx.get(transaction.tx_hash, ()):
                self._record(block, transaction.tx_hash, by_tx[transaction.tx_hash][at], fill)

    def remove(self, blocks: tuple[Block, ...]) -> None:
        """Mark the records of removed blocks as no longer canonical."""
        hashes = {block.block_hash for block in blocks}
        for record in self._records:
            if record.block_hash in hashes:
                record.canonical = False

    def holdings(self, owner: str) -> dict[int, Holding]:
        """Fold a wallet's canonical fills into holdings by token."""
        held: dict[int, Holding] = defaultdict(Holding)
        for record in self.of_owner(owner):
            if record.canonical:
                _apply(held[record.fill.token], record.fill)
        return dict(held)

    def _record(self, block: Block, tx_hash: str, log_index: int, fill: Fill) -> None:
        record = FillRecord(
            fill=fill,
            tx_hash=tx_hash,
            log_index=log_index,
            block_number=block.number,
            block_hash=block.block_hash,
            timestamp=block.timestamp,
            mined_ms=block.mined_ms,
        )
        self._records.append(record)
        self._by_owner[fill.owner].append(record)


def _apply(holding: Holding, fill: Fill) -> None:
    holding.fees += fill.fee
    if fill.side == BUY:
        holding.shares += fill.size
        holding.bought += fill.size
        holding.cost += fill.collateral
    else:
        holding.shares -= fill.size
