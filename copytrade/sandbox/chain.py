"""The imitated Polygon chain: content-addressed blocks, logs, finality and reorgs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from copytrade.sandbox import digest, trie
from copytrade.sandbox.events import Event

EMPTY_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
EMPTY_ROOT = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
GAS_LIMIT = 45_000_000
GAS_PER_TX = 450_000
BASE_FEE = 30_000_000_000
RECEIPT_TYPE = 2
EXTRA_DATA = "0x" + b"copytrade sandbox".hex().ljust(64, "0") + "00" * 65


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction waiting for, or placed in, a block."""

    tx_hash: str
    sender: str
    to: str
    events: tuple[Event, ...]
    log_indexes: tuple[int, ...] = ()
    """Exact places of the events in the block (recorded logs); empty means the next free ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLog:
    """A log in its block."""

    address: str
    topics: tuple[str, ...]
    data: str
    block_number: int
    block_hash: str
    block_timestamp: int
    tx_hash: str
    tx_index: int
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A sealed block; `timestamp` in whole seconds, `mined_ms` when the sandbox sealed it."""

    number: int
    block_hash: str
    parent_hash: str
    timestamp: int
    mined_ms: int
    bloom: str
    state_root: str
    receipts_root: str
    transactions: tuple[Transaction, ...]
    logs: tuple[ChainLog, ...]


class Chain:
    """The canonical chain plus what a node answers about it.

    Numbers are contiguous from `first_number`. Blocks replaced by a reorg are forgotten by
    hash, as a pruned node forgets them.
    """

    def __init__(self, *, first_number: int, finality_depth: int) -> None:
        """Start empty; the first appended block gets `first_number`."""
        self._first_number = first_number
        self._finality_depth = finality_depth
        self._blocks: list[Block] = []
        self._by_hash: dict[str, Block] = {}
        self._tx_block: dict[str, str] = {}
        self._branch = 0
        self._finality_stalled_at: int | None = None

    @property
    def height(self) -> int:
        """How many blocks are kept."""
        return len(self._blocks)

    @property
    def head(self) -> Block:
        """The newest block; there is one from the first append on."""
        return self._blocks[-1]

    @property
    def earliest(self) -> Block:
        """The oldest block kept."""
        return self._blocks[0]

    @property
    def finalized_number(self) -> int:
        """The number `finalized` stands for: some blocks behind the head, or stalled."""
        number = max(self._first_number, self.head.number - self._finality_depth)
        if self._finality_stalled_at is not None:
            return min(number, self._finality_stalled_at)
        return number

    def stall_finality(self, *, stalled: bool) -> None:
        """Freeze `finalized` where it is now, or let it catch up."""
        self._finality_stalled_at = self.finalized_number if stalled else None

    def append(self, transactions: Sequence[Transaction], *, timestamp: int, mined_ms: int) -> Block:
        """Seal a block on top of the head and return it."""
        number = self.head.number + 1 if self._blocks else self._first_number
        parent = self.head.block_hash if self._blocks else digest.derive_hash("before", number)
        block = _seal(
            number=number,
            parent_hash=parent,
            timestamp=timestamp,
            mined_ms=mined_ms,
            branch=self._branch,
            transactions=tuple(transactions),
        )
        self._blocks.append(block)
        self._by_hash[block.block_hash] = block
        for transaction in block.transactions:
            self._tx_block[transaction.tx_hash] = block.block_hash
        return block

    def remove_top(self, depth: int) -> tuple[Block, ...]:
        """Drop the newest `depth` blocks, oldest first, so that other ones replace them."""
        depth = min(depth, len(self._blocks) - 1)
        removed = tuple(self._blocks[len(self._blocks) - depth :])
        del self._blocks[len(self._blocks) - depth :]
        for block in removed:
            del self._by_hash[block.block_hash]
            for transaction in block.transactions:
                self._tx_block.pop(transaction.tx_hash, None)
        self._branch += 1
        return removed

    def by_number(self, number: int) -> Block | None:
        """Return the canonical block of that number, if it is known."""
        at = number - self._first_number
        return self._blocks[at] if 0 <= at < len(self._blocks) else None

    def by_hash(self, block_hash: str) -> Block | None:
        """Return the canonical block of that hash, if it is known."""
        return self._by_hash.get(block_hash.lower())

    def by_transaction(self, tx_hash: str) -> Block | None:
        """Return the block that holds the transaction, if it is mined."""
        found = self._tx_block.get(tx_hash.lower())
        return None if found is None else self._by_hash[found]

    def between(self, first: int, last: int) -> list[Block]:
        """Return the known blocks of the inclusive range, clamped to what exists."""
        start = max(first - self._first_number, 0)
        stop = max(last - self._first_number + 1, 0)
        return self._blocks[start:stop]


def _seal(
    *,
    number: int,
    parent_hash: str,
    timestamp: int,
    mined_ms: int,
    branch: int,
    transactions: tuple[Transaction, ...],
) -> Block:
    bloom = digest.logs_bloom(
        item for tx in transactions for event in tx.events for item in (event.address, *event.topics)
    )
    content = [f"{event.address}{event.data}" for tx in transactions for event in tx.events]
    state_root = digest.derive_hash("state", parent_hash, branch, *content)
    receipts_root = trie.root([_receipt(at, tx) for at, tx in enumerate(transactions)])
    header = header_fields(
        number=number,
        parent_hash=parent_hash,
        timestamp=timestamp,
        bloom=bloom,
        state_root=state_root,
        receipts_root=receipts_root,
        transactions=transactions,
    )
    block_hash = "0x" + digest.keccak256(digest.rlp(_header_bytes(header))).hex()
    return Block(
        number=number,
        block_hash=block_hash,
        parent_hash=parent_hash,
        timestamp=timestamp,
        mined_ms=mined_ms,
        bloom=bloom,
        state_root=state_root,
        receipts_root=receipts_root,
        transactions=transactions,
        logs=_place_logs(transactions, number=number, block_hash=block_hash, timestamp=timestamp),
    )


def _receipt(at: int, transaction: Transaction) -> bytes:
    """Return a receipt as the root covers it: typed, successful, with its logs."""
    touched = (item for event in transaction.events for item in (event.address, *event.topics))
    spent = GAS_PER_TX * (at + 1)
    fields: list[digest.Rlp] = [
        b"\x01",
        spent.to_bytes((spent.bit_length() + 7) // 8),
        bytes.fromhex(digest.logs_bloom(touched)[2:]),
        [_log(event) for event in transaction.events],
    ]
    return bytes([RECEIPT_TYPE]) + digest.rlp(fields)


def _log(event: Event) -> digest.Rlp:
    topics = [bytes.fromhex(topic[2:]) for topic in event.topics]
    return [bytes.fromhex(event.address[2:]), topics, bytes.fromhex(event.data[2:])]


def _place_logs(
    transactions: tuple[Transaction, ...], *, number: int, block_hash: str, timestamp: int
) -> tuple[ChainLog, ...]:
    placed: list[ChainLog] = []
    log_index = 0
    for tx_index, transaction in enumerate(transactions):
        exact = transaction.log_indexes
        for at, event in enumerate(transaction.events):
            log_index = exact[at] if exact else log_index
            placed.append(
                ChainLog(
                    address=event.address,
                    topics=event.topics,
                    data=event.data,
                    block_number=number,
                    block_hash=block_hash,
                    block_timestamp=timestamp,
                    tx_hash=transaction.tx_hash,
                    tx_index=tx_index,
                    log_index=log_index,
                )
            )
            log_index += 1
    return tuple(placed)


def header_fields(
    *,
    number: int,
    parent_hash: str,
    timestamp: int,
    bloom: str,
    state_root: str,
    receipts_root: str,
    transactions: tuple[Transaction, ...],
) -> dict[str, str]:
    """Return the header a node shows, in the order the block hash is computed over."""
    roots = [tx.tx_hash for tx in transactions]
    return {
        "parentHash": parent_hash,
        "sha3Uncles": EMPTY_UNCLES,
        "miner": "0x" + "00" * 20,
        "stateRoot": state_root,
        "transactionsRoot": digest.derive_hash("txs", *roots) if roots else EMPTY_ROOT,
        "receiptsRoot": receipts_root,
        "logsBloom": bloom,
        "difficulty": "0x15",
        "number": hex(number),
        "gasLimit": hex(GAS_LIMIT),
        "gasUsed": hex(GAS_PER_TX * len(transactions)),
        "timestamp": hex(timestamp),
        "extraData": EXTRA_DATA,
        "mixHash": "0x" + "00" * 32,
        "nonce": "0x" + "00" * 8,
        "baseFeePerGas": hex(BASE_FEE),
    }


_QUANTITIES = frozenset({"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"})


def _header_bytes(header: dict[str, str]) -> list[bytes]:
    fields: list[bytes] = []
    for name, text in header.items():
        if name in _QUANTITIES:
            value = int(text, 16)
            fields.append(value.to_bytes((value.bit_length() + 7) // 8))
        else:
            fields.append(bytes.fromhex(text[2:]))
    return fields
