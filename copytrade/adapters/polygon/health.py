"""Which nodes keep up: one that is behind the others serves last, and a chain that stands still is told of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from copytrade.adapters.feeds.quarantine import Emit
from copytrade.adapters.polygon.node import Header, parse_header
from copytrade.adapters.polygon.rpc import Endpoint, Pool, RpcError
from copytrade.domain.fills import Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import SourceNote

CHECK_EVERY_MS: Final = 10_000

_log = structlog.get_logger()


class HealthWatch:
    """Compares the heads of all nodes now and then; one that does not answer is the pool's own affair."""

    def __init__(self, pool: Pool, *, emit: Emit, clock: Clock, lag_max_ms: Millis) -> None:
        self._pool: Final = pool
        self._emit: Final = emit
        self._clock: Final = clock
        self._lag_max_ms: Final = lag_max_ms
        self._lagging: Final[set[Endpoint]] = set()
        self._is_chain_late = False

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await self._clock.sleep_ms(CHECK_EVERY_MS)
            await self._check()

    async def _check(self) -> None:
        answers = await asyncio.gather(*map(_head_of, self._pool.endpoints))
        heads = {one: head for one, head in zip(self._pool.endpoints, answers, strict=True) if head is not None}
        if not heads:
            return
        best = max(heads.values(), key=lambda head: head.number)
        for endpoint, head in heads.items():
            await self._judge(endpoint, head, best)
        await self._judge_chain(best)

    async def _judge(self, endpoint: Endpoint, head: Header, best: Header) -> None:
        behind_ms = best.ts_ms - head.ts_ms
        is_late = behind_ms > self._lag_max_ms
        if is_late:
            self._pool.put_last(endpoint, for_ms=2 * CHECK_EVERY_MS)
        if is_late == (endpoint in self._lagging):
            return
        (self._lagging.add if is_late else self._lagging.discard)(endpoint)
        detail = {"host": endpoint.host, "seconds_behind": behind_ms / 1000, "blocks": best.number - head.number}
        await self._note("NODE_LAGS" if is_late else "NODE_CAUGHT_UP", detail)

    async def _judge_chain(self, best: Header) -> None:
        behind_ms = self._clock.now_ms() - best.ts_ms
        is_late = behind_ms > self._lag_max_ms
        if is_late == self._is_chain_late:
            return
        self._is_chain_late = is_late
        detail = {"head": best.number, "seconds_behind": behind_ms / 1000}
        await self._note("CHAIN_LAGS" if is_late else "CHAIN_CAUGHT_UP", detail)

    async def _note(self, code: str, detail: Mapping[str, object]) -> None:
        _log.warning("polygon.health", code=code, **detail)
        await self._emit(SourceNote(source=Source.POLYGON, code=code, detail=detail))


async def _head_of(endpoint: Endpoint) -> Header | None:
    try:
        return parse_header(await endpoint.call("eth_getBlockByNumber", ["latest", False]))
    except RpcError:
        return None
