"""Our own orders on the chain: the exchanges' `OrderFilled` logs, asked for by order hash or by wallet."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import Node, RawLog
from copytrade.adapters.polygon.ranges import AdaptiveRange, narrower
from copytrade.adapters.polygon.rpc import BadAnswer, Pool, RpcError, RpcRefused
from copytrade.ports.clock import Clock
from copytrade.ports.order_logs import OrderLog, OrderLogs, OrderLogsUnavailableError

LOOK_BACK_BLOCKS: Final = 2_000
"""About an hour."""
OVERLAP_BLOCKS: Final = 300
"""About ten minutes, which are read once more each time: what was reorganised, or withheld by a node that lagged."""
PARTS_MAX: Final = 200


class PolygonOrderLogs(OrderLogs):
    """Asks for one order at a time."""

    def __init__(self, node: Node, *, exchanges: tuple[str, ...]) -> None:
        self._node: Final = node
        self._exchanges: Final = exchanges
        self._decoders: Final = decode.registry(exchanges)
        self._range: Final = AdaptiveRange()
        self._read_to: Final[dict[str, int]] = {}
        """By wallet, the last block whose logs were returned."""

    async def logs_of(self, order_hash: str) -> tuple[OrderLog, ...]:
        logs, _ = await self._decoded([[decode.TOPIC_V2], [order_hash]], known_to=0)
        return tuple(log for log in logs if log.order_hash == order_hash)

    async def logs_of_wallet(self, wallet: str) -> tuple[OrderLog, ...]:
        topics = [[decode.TOPIC_V2], None, [decode.maker_topic(wallet)]]
        logs, head = await self._decoded(topics, known_to=self._read_to.get(wallet))
        self._read_to[wallet] = head
        return logs

    async def _decoded(
        self, topics: list[list[str] | None], *, known_to: int | None
    ) -> tuple[tuple[OrderLog, ...], int]:
        """Return the logs up to the head, and its number: from a little before what is known (None: the head) on."""
        try:
            head = await self._node.header("latest")
            if head is None:
                raise BadAnswer("(all nodes)", "no latest block")
            begin = (head.number if known_to is None else known_to) - OVERLAP_BLOCKS
            found = await self._read(max(0, begin, head.number - LOOK_BACK_BLOCKS), head.number, topics)
            fills = [decode.decode_log(log, self._decoders) for log in found if not log.get("removed")]
        except (RpcError, decode.MalformedLogError) as error:
            raise OrderLogsUnavailableError(f"polygon: {error}") from error
        logs = tuple(
            OrderLog(
                order_hash=fill.event.order_hash,
                tx_hash=fill.tx_hash,
                shares=fill.event.shares,
                usdc=fill.event.usdc,
                fee=fill.event.fee,
            )
            for fill in sorted(fills, key=lambda fill: (fill.block_number, fill.log_index))
        )
        return logs, head.number

    async def _read(self, first: int, last: int, topics: list[list[str] | None]) -> list[RawLog]:
        """Read blocks in parts that the node answers for."""
        logs: list[RawLog] = []
        for _ in range(PARTS_MAX):
            if first > last:
                return logs
            until = min(last, first + self._range.blocks - 1)
            try:
                logs += await self._node.logs_by_topics(first, until, topics, addresses=self._exchanges)
            except RpcRefused as error:
                width = narrower(error.message, first=first, last=until)
                if width is None or first == until:
                    raise
                self._range.shrink(width)
                continue
            self._range.grow()
            first = until + 1
        raise BadAnswer("(all nodes)", f"more than {PARTS_MAX} parts for an hour of logs")


@asynccontextmanager
async def open_order_logs(
    urls: tuple[str, ...], *, exchanges: tuple[str, ...], clock: Clock, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[PolygonOrderLogs]:
    """Open it on the nodes the fills are read from."""
    pool = Pool(urls, clock=clock, rng=random.Random(0), transport=transport)
    try:
        yield PolygonOrderLogs(Node(pool), exchanges=exchanges)
    finally:
        await pool.close()
