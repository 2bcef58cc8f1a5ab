"""`leaders rank`, wired: the venue's record of accounts, its books and our own executions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from copytrade.app.ledgers import open_database
from copytrade.app.outside import Outside, open_http
from copytrade.engine.rank import Rank

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from copytrade.settings import Settings


@asynccontextmanager
async def open_rank(settings: Settings) -> AsyncIterator[Rank]:
    """Open what ranking reads, at the URLs that `run` uses."""
    from copytrade.adapters.clob.depths import ClobDepths
    from copytrade.adapters.data_api.history import DataApiHistories
    from copytrade.adapters.sql.costs import SqlFollowCosts

    outside = Outside()
    async with open_database(settings) as database, open_http(outside) as http:
        yield Rank(
            histories=DataApiHistories(url=settings.data_api_http_url, http=http, clock=outside.clock),
            depths=ClobDepths(url=settings.clob_http_url, http=http),
            costs=SqlFollowCosts(database),
            clock=outside.clock,
            our_trade=settings.max_usdc_per_trade,
            slippage_bps=settings.slippage_bps_max,
        )
