"""The blocks near the head, hash by hash, and what we saw in them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from copytrade.adapters.polygon.reading import BlockRead
from copytrade.ports.leader_fills import LogRef

BLOCKS_KEPT: Final = 256
"""Deeper reorgs than this are not followed block by block."""
PUSHED_MAX: Final = 10_000
DOUBTED_MAX: Final = 1_000


class RecentBlocks:
    """A contiguous run of blocks that ends at the cursor."""

    def __init__(self) -> None:
        self._blocks: Final[OrderedDict[int, BlockRead]] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        return number in self._blocks

    def hash_at(self, number: int) -> str | None:
        """Return the hash we hold for that number."""
        block = self._blocks.get(number)
        return None if block is None else block.header.block_hash

    def at(self, number: int) -> BlockRead | None:
        """Return the block as read."""
        return self._blocks.get(number)

    def numbers_down(self) -> list[int]:
        """Return the numbers held, highest first."""
        return sorted(self._blocks, reverse=True)

    def add(self, block: BlockRead) -> None:
        """Put a block on top; the lowest falls out when there are too many."""
        self._blocks[block.header.number] = block
        if len(self._blocks) > BLOCKS_KEPT:
            self._blocks.popitem(last=False)

    def replace(self, block: BlockRead) -> None:
        """Hold a better read of a block that is held."""
        self._blocks[block.header.number] = block

    def drop_above(self, number: int) -> list[BlockRead]:
        """Take away the blocks above `number` and return them, lowest first."""
        above = sorted(held for held in self._blocks if held > number)
        return [self._blocks.pop(held) for held in above]

    def clear(self) -> None:
        """Forget all: what comes next does not link to it."""
        self._blocks.clear()


class Pushed:
    """Logs that a subscription pushed to us before their block was read, and blocks it took back."""

    def __init__(self) -> None:
        self._by_number: Final[dict[int, set[LogRef]]] = {}
        self._count = 0
        self._doubted: Final[OrderedDict[str, None]] = OrderedDict()

    def add(self, number: int, ref: LogRef, *, is_stored: bool = False) -> bool:
        """Remember a pushed log, or one that is stored already; False if there are too many to remember."""
        if self._count >= PUSHED_MAX and not is_stored:
            return False
        refs = self._by_number.setdefault(number, set())
        self._count += ref not in refs
        refs.add(ref)
        return True

    def discard(self, ref: LogRef) -> None:
        """Forget a log that was taken back."""
        for refs in self._by_number.values():
            if ref in refs:
                refs.discard(ref)
                self._count -= 1

    def of_block(self, number: int, block_hash: str) -> frozenset[LogRef]:
        """Return the logs pushed for exactly that block."""
        return frozenset(ref for ref in self._by_number.get(number, ()) if ref.block_hash == block_hash)

    def take(self, number: int) -> dict[LogRef, int]:
        """Return with their blocks, and forget, the logs pushed for blocks up to that number."""
        taken: dict[LogRef, int] = {}
        for known in sorted(known for known in self._by_number if known <= number):
            refs = self._by_number.pop(known)
            self._count -= len(refs)
            taken |= dict.fromkeys(refs, known)
        return taken

    def doubt(self, block_hash: str) -> None:
        """Remember that a subscription took back a log of this block."""
        self._doubted[block_hash] = None
        if len(self._doubted) > DOUBTED_MAX:
            self._doubted.popitem(last=False)

    def settle(self, block_hash: str) -> bool:
        """Tell whether a block was doubted, and doubt it no more."""
        was_doubted = block_hash in self._doubted
        self._doubted.pop(block_hash, None)
        return was_doubted
