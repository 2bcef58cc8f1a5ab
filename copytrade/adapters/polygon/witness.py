"""The chain as a witness: an own read, by the provider that does not serve the feed where there are two."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import httpx

from copytrade.adapters.feeds.quarantine import Quarantine
from copytrade.adapters.polygon.dating import Pruned, first_block_at
from copytrade.adapters.polygon.history import V1_END_S
from copytrade.adapters.polygon.node import Header, Node, chain_id_of
from copytrade.adapters.polygon.reading import LogReader
from copytrade.adapters.polygon.rpc import BadAnswer, Pool, RpcError, RpcUnusable, WrongChain
from copytrade.domain.fills import Sighting, Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import SourceEvent
from copytrade.ports.witnesses import ChainPart, ChainWitness, PastLostError, Trade, WitnessUnavailableError

ATTEMPTS: Final = 8
RETRY_MS: Final = 500

T = TypeVar("T")


class PolygonWitness(ChainWitness):
    """Reads ranges of final blocks, trying each a few times."""

    def __init__(self, node: Node, reader: LogReader, clock: Clock) -> None:
        self._node: Final = node
        self._reader: Final = reader
        self._clock: Final = clock

    async def final_block(self) -> tuple[int, Millis]:
        header = await self._patiently(lambda: self._header("finalized"), attempts=1)
        return header.number, header.ts_ms

    async def first_block_at(self, at_ms: Millis) -> int:
        return await self._patiently(lambda: self._first_block_at(at_ms))

    async def _first_block_at(self, at_ms: Millis) -> int:
        try:
            return await first_block_at(self._node, at_ms)
        except Pruned as lost:
            oldest = await self._header(lost.oldest)
            # Earlier blocks of the same second are lost as well.
            raise PastLostError(f"polygon: {lost}", from_ms=oldest.ts_ms + 1_000) from lost

    async def read(self, accounts: Sequence[str], *, first: int, limit: int) -> ChainPart:
        opening = await self._patiently(lambda: self._header(first))
        wanted = self._reader.wanted(accounts, history=opening.timestamp_s < V1_END_S)
        read = await self._patiently(lambda: self._reader.range(first, limit, wanted))
        return ChainPart(
            last=read.last, trades=tuple(map(trade_of, read.sightings)), is_agreed=read.agreed, sightings=read.sightings
        )

    async def _header(self, which: int | str) -> Header:
        header = await self._node.header(which)
        if header is None:
            raise BadAnswer("(all nodes)", f"block {which} is not there")
        return header

    async def _patiently(self, ask: Callable[[], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
        for attempt in range(attempts):
            try:
                return await ask()
            except RpcError as error:
                if attempt + 1 == attempts or isinstance(error, RpcUnusable):
                    raise WitnessUnavailableError(f"polygon: {error}") from error
                await self._clock.sleep_ms(RETRY_MS)
        raise AssertionError("the last attempt returns or raises")


def trade_of(sighting: Sighting) -> Trade:
    """Return what a sighting says, as witnesses say it."""
    fill = sighting.fill
    return Trade(
        account=fill.leader,
        tx_hash=fill.tx_hash,
        token_id=fill.token_id,
        side=fill.side,
        size=fill.size,
        at_ms=fill.fill_ts_ms,
        block_number=None if fill.place is None else fill.place.block_number,
    )


@asynccontextmanager
async def open_witness(
    urls: tuple[str, ...],
    *,
    exchanges: tuple[str, ...],
    exchanges_v1: tuple[str, ...],
    chain_id: int,
    clock: Clock,
    refused: Callable[[SourceEvent], None],
    transport: httpx.AsyncBaseTransport | None,
) -> AsyncIterator[PolygonWitness]:
    """Open the witness; the second URL is asked first.

    :raises WitnessUnavailableError: a node is on another chain.
    """

    async def refuse(event: SourceEvent) -> None:
        refused(event)

    async def admit(endpoint: object) -> None:
        for one in pool.endpoints:
            if one is endpoint and (found := await chain_id_of(one)) != chain_id:
                raise WrongChain(one.host, f"is on chain {found}, expected chain {chain_id}")

    pool = Pool((*urls[1:], *urls[:1]), clock=clock, rng=random.Random(0), transport=transport)
    pool.guard(admit)
    node = Node(pool)
    reader = LogReader(
        node,
        exchanges=tuple(address.lower() for address in exchanges),
        exchanges_v1=tuple(address.lower() for address in exchanges_v1),
        quarantine=Quarantine(Source.POLYGON, refuse, clock),
        clock=clock,
    )
    try:
        yield PolygonWitness(node, reader, clock)
    finally:
        await pool.close()
