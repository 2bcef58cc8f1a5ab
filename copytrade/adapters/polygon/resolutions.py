"""How markets were resolved, from the contract that holds their shares: its `ConditionResolution` events."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import Node, RawLog
from copytrade.adapters.polygon.ranges import AdaptiveRange, narrower
from copytrade.adapters.polygon.rpc import BadAnswer, Pool, RpcError, RpcRefused
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO, Price
from copytrade.ports.clock import Clock
from copytrade.ports.resolutions import ResolutionFeed, ResolutionsUnavailableError

TOPIC: Final = "0xb44d84d3289691f71497564b85d4233648d9dbae8cbdbb4329f301c3a0185894"
"""ConditionResolution(bytes32 indexed, address indexed, bytes32 indexed, uint256, uint256[])."""
LOOK_BACK_BLOCKS: Final = 2_000
"""About an hour: what was resolved before the start is read too; what is older, the registry knows by then."""
CONDITIONS_PER_FILTER: Final = 250
PARTS_MAX: Final = 20
"""Ranges read by one call; the rest is read by the next ones."""
OUTCOMES_MAX: Final = 256
_WORD: Final = 64


class PolygonResolutions(ResolutionFeed):
    """Reads final blocks only, so nothing it tells is taken back."""

    def __init__(self, node: Node, *, contract: str, clock: Clock) -> None:
        self._node: Final = node
        self._contract: Final = contract.lower()
        self._clock: Final = clock
        self._range: Final = AdaptiveRange()
        self._next: int | None = None

    async def resolved(self, condition_ids: Collection[str]) -> tuple[Resolution, ...]:
        found: list[Resolution] = []
        try:
            final = await self._node.header("finalized")
            if final is None:
                raise BadAnswer("(all nodes)", "no finalized block")
            if self._next is None:
                self._next = max(0, final.number - LOOK_BACK_BLOCKS)
            if not condition_ids:
                self._next = final.number + 1
            for _ in range(PARTS_MAX):
                if self._next > final.number:
                    break
                found += await self._part(self._next, final.number, sorted(condition_ids))
        except RpcError as error:
            if not found:
                raise ResolutionsUnavailableError(f"polygon: {error}") from error
        return tuple(found)

    async def _part(self, first: int, final: int, condition_ids: list[str]) -> list[Resolution]:
        """Read as many blocks as the node answers for, and go on after them."""
        last = min(final, first + self._range.blocks - 1)
        try:
            logs = [log for some in _chunks(condition_ids) for log in await self._logs(first, last, some)]
        except RpcRefused as error:
            width = narrower(error.message, first=first, last=last)
            if width is None or first == last:
                raise
            self._range.shrink(width)
            return []
        self._range.grow()
        self._next = last + 1
        now_ms = self._clock.now_ms()
        told = (_resolution(log, condition_ids, now_ms) for log in sorted(logs, key=_place))
        return [one for one in told if one is not None]

    async def _logs(self, first: int, last: int, condition_ids: list[str]) -> list[RawLog]:
        return await self._node.logs_by_topics(first, last, [[TOPIC], condition_ids], addresses=(self._contract,))


def _chunks(condition_ids: list[str]) -> list[list[str]]:
    starts = range(0, len(condition_ids), CONDITIONS_PER_FILTER)
    return [condition_ids[start : start + CONDITIONS_PER_FILTER] for start in starts]


def _place(log: RawLog) -> tuple[int, int]:
    try:
        return decode.quantity(log.get("blockNumber"), "blockNumber"), decode.quantity(log.get("logIndex"), "logIndex")
    except decode.MalformedLogError:
        return (0, 0)


def _resolution(log: RawLog, condition_ids: Collection[str], now_ms: int) -> Resolution | None:
    """Return what a log says; None if it is not about one of these conditions, or says nothing that can be true."""
    topics: Any = log.get("topics")
    if log.get("removed") or not isinstance(topics, list) or len(topics) != 4 or str(topics[0]).lower() != TOPIC:
        return None
    condition_id = str(topics[1]).lower()
    payouts = payouts_of(log.get("data"))
    if condition_id not in condition_ids or payouts is None:
        return None
    return Resolution(condition_id=condition_id, payouts=payouts, source=ResolutionSource.CHAIN, at_ms=now_ms)


def payouts_of(data: object) -> tuple[Price, ...] | None:
    """Return micro-USDC for a share of each outcome, rounded down, from the event's data: numerators over their sum."""
    if not isinstance(data, str) or not data.startswith("0x") or len(data) < 2 + 3 * _WORD:
        return None
    try:
        words = [int(data[at : at + _WORD], 16) for at in range(2, len(data), _WORD)]
    except ValueError:
        return None
    outcomes, numerators = words[0], words[3:]
    if not 2 <= outcomes <= OUTCOMES_MAX or words[2] != outcomes or len(numerators) != outcomes:
        return None
    whole = sum(numerators)
    return tuple(numerator * MICRO // whole for numerator in numerators) if whole else None


@asynccontextmanager
async def open_resolutions(
    urls: tuple[str, ...], *, contract: str, clock: Clock, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[PolygonResolutions]:
    """Open the feed on the nodes the fills are read from."""
    pool = Pool(urls, clock=clock, rng=random.Random(0), transport=transport)
    try:
        yield PolygonResolutions(Node(pool), contract=contract, clock=clock)
    finally:
        await pool.close()
