"""The composition root of `leaders verify`: settings in, the witnesses out."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from copytrade.app.outside import Outside
from copytrade.app.sources import POLYGON_CHAIN_ID
from copytrade.engine.verify import Verify
from copytrade.ports.witnesses import Trade, TradeWitness
from copytrade.settings import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from copytrade.domain.units import Millis
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.witnesses import ChainWitness
    from copytrade.settings import Settings


class LedgerWitness(TradeWitness):
    """Our own tables, orphaned fills left out."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger: Final = ledger

    async def trades(self, account: str, *, since_ms: Millis) -> list[Trade]:
        fills = await self._ledger.all_fills_of(account, since_ms=since_ms)
        return [
            Trade(
                tx_hash=one.fill.tx_hash,
                token_id=one.fill.token_id,
                side=one.fill.side,
                size=one.fill.size,
                at_ms=one.fill.fill_ts_ms,
                account=account,
                block_number=None if one.fill.place is None else one.fill.place.block_number,
                fill_id=one.id,
            )
            for one in fills
        ]


@asynccontextmanager
async def open_witnesses(
    settings: Settings, outside: Outside, *, wanted_by: str
) -> AsyncIterator[tuple[ChainWitness, TradeWitness]]:
    """Open the chain and the Data API at the URLs that `run` uses.

    :raises ConfigurationError: there is no URL to read the chain from.
    """
    from copytrade.adapters.data_api.witness import DataApiWitness
    from copytrade.adapters.polygon.witness import open_witness

    if not settings.polygon_http_url:
        raise ConfigurationError(f"POLYGON_HTTP_URL is not set; {wanted_by} needs one or more http(s) URLs")
    api = DataApiWitness(settings.data_api_http_url, outside.clock, transport=outside.transport)
    try:
        async with open_witness(
            settings.polygon_http_url,
            exchanges=(settings.poly_exchange_ctf, settings.poly_exchange_negrisk, settings.poly_exchange_v3),
            exchanges_v1=(settings.poly_exchange_ctf_v1, settings.poly_exchange_negrisk_v1),
            chain_id=POLYGON_CHAIN_ID,
            clock=outside.clock,
            refused=lambda _event: None,
            transport=outside.transport,
        ) as chain:
            yield chain, api
    finally:
        await api.close()


@asynccontextmanager
async def open_verify(settings: Settings, ledger: Ledger, *, tell: Callable[[int, int], None]) -> AsyncIterator[Verify]:
    """Open the witnesses of one leader.

    :raises ConfigurationError: there is no URL to read the chain from.
    """
    async with open_witnesses(settings, Outside(), wanted_by="leaders verify") as (chain, api):
        yield Verify(chain=chain, api=api, ours=LedgerWitness(ledger), tell=tell)
