"""Which block was the first at a time, on nodes that may have lost the oldest."""

from __future__ import annotations

from typing import Final

from copytrade.adapters.polygon.node import Node
from copytrade.adapters.polygon.rpc import BadAnswer, RpcRefused
from copytrade.domain.units import Millis

YOUNG_BLOCKS: Final = 5_000
"""Two hours: a node that lacks a younger block may lag, and have lost nothing."""
PROBE_BLOCKS: Final = 1_000
"""A node that lags so far behind the others has what is older than that."""


class Pruned(BadAnswer):
    """What is asked for is older than anything the nodes keep; `oldest` is the first block they have."""

    def __init__(self, oldest: int) -> None:
        super().__init__("(all nodes)", f"nothing before block {oldest} is kept")
        self.oldest = oldest


async def first_block_at(node: Node, since_ms: Millis) -> int:
    """Return the first block whose time is not before `since_ms` (whole seconds); above the head if there is none.

    :raises Pruned: no node has the block before it, though the chain is older.
    :raises RpcError: no usable answer.
    """
    since_s = since_ms // 1000
    head = await node.header("latest")
    if head is None:
        raise BadAnswer("(all nodes)", "no latest block")
    if head.timestamp_s < since_s:
        return head.number + 1
    young_from = head.number - YOUNG_BLOCKS
    above, below, step = head.number, head.number - 1, 1
    # Invariant: the block at `above` is not before the time; a block that nobody has is older than those that are.
    while below >= 0 and not await _is_before(node, below, since_s, young_from):
        step *= 2
        above, below = below, below - step
    below = max(below, -1)
    while above - below > 1:
        middle = (above + below) // 2
        if await _is_before(node, middle, since_s, young_from):
            below = middle
        else:
            above = middle
    if below >= 0 and await _stamp_of(node, below, young_from) is None:
        raise Pruned(above)
    return above


async def _is_before(node: Node, number: int, since_s: int, young_from: int) -> bool:
    stamp_s = await _stamp_of(node, number, young_from)
    return stamp_s is None or stamp_s < since_s


async def _stamp_of(node: Node, number: int, young_from: int) -> int | None:
    """Return the time of a block in seconds, None if every node has lost it."""
    try:
        header = await node.old_header(number)
    except RpcRefused:
        header = None
    if header is None and number > max(young_from, 1) and await _is_kept(node, max(1, number - PROBE_BLOCKS)):
        raise BadAnswer("(all nodes)", f"block {number} is missing below the head")
    return None if header is None else header.timestamp_s


async def _is_kept(node: Node, number: int) -> bool:
    try:
        return await node.old_header(number) is not None
    except RpcRefused:
        return False
