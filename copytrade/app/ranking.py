"""`leaders rank`, wired: the venue's record of accounts, its books and our own executions."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from copytrade.app.ledgers import open_database
from copytrade.app.outside import Outside, open_http
from copytrade.engine.rank import Rank
from copytrade.ports.histories import FollowCosts
from copytrade.ports.ledger import NoLedgerYetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from copytrade.domain.ranking import FollowCost
    from copytrade.domain.units import Ratio
    from copytrade.settings import Settings


class Unmeasured(FollowCosts):
    """The costs of somebody who never followed anyone yet."""

    async def follow_cost(self, leader: str, *, maker_share: Ratio | None) -> FollowCost | None:
        return None


@asynccontextmanager
async def open_rank(settings: Settings) -> AsyncIterator[Rank]:
    """Open what ranking reads, at the URLs that `run` uses."""
    from copytrade.adapters.clob.depths import ClobDepths
    from copytrade.adapters.data_api.history import DataApiHistories

    outside = Outside()
    async with AsyncExitStack() as opened:
        http = await opened.enter_async_context(open_http(outside))
        costs = await _costs(settings, opened)
        yield Rank(
            histories=DataApiHistories(url=settings.data_api_http_url, http=http, clock=outside.clock),
            depths=ClobDepths(url=settings.clob_http_url, http=http),
            costs=costs,
            clock=outside.clock,
            our_trade=settings.max_usdc_per_trade,
            slippage_bps=settings.slippage_bps_max,
        )


async def _costs(settings: Settings, opened: AsyncExitStack) -> FollowCosts:
    """Return what following cost us, as long as `opened` is."""
    from copytrade.adapters.sql.costs import SqlFollowCosts

    try:
        return SqlFollowCosts(await opened.enter_async_context(open_database(settings)))
    except NoLedgerYetError:
        return Unmeasured()
