"""What of real accounts waits to be turned into money at the venue: what the ledger knows, held to each wallet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.app.outside import Outside, open_http
from copytrade.domain.ids import LIVE_ACCOUNT_PREFIX
from copytrade.domain.redeeming import paired_and_there, won_and_there
from copytrade.ports.leader_events import ActivityUnavailableError

if TYPE_CHECKING:
    from copytrade.adapters.sql.reports import SqlReports
    from copytrade.domain.redeeming import Pair, Won
    from copytrade.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeemable:
    """What may be redeemed and what may be merged; `unasked` are accounts whose wallet nobody could tell.

    Of those everything the ledger knows is listed, redeemed since or not.
    """

    won: list[Won]
    pairs: list[Pair]
    unasked: list[str]


async def look_for_redeemable(settings: Settings, reports: SqlReports, outside: Outside | None = None) -> Redeemable:
    """Return what waits; the Data API is asked only where the ledger knows of something."""
    from copytrade.adapters.data_api.activity import DataApiActivity

    won, pairs = await reports.won(), await reports.pairs()
    there = Redeemable(won=[], pairs=[], unasked=[])
    if not won and not pairs:
        return there
    outside = outside or Outside()
    async with open_http(outside) as http:
        wallets = DataApiActivity(
            url=settings.data_api_http_url, http=http, clock=outside.clock, note=lambda _code, _detail: None
        )
        for account in sorted({one.account_id for one in won} | {one.account_id for one in pairs}):
            its_won = [one for one in won if one.account_id == account]
            its_pairs = [one for one in pairs if one.account_id == account]
            try:
                held = await wallets.holdings(account.removeprefix(LIVE_ACCOUNT_PREFIX))
            except ActivityUnavailableError:
                there.unasked.append(account)
            else:
                its_won, its_pairs = won_and_there(its_won, held), paired_and_there(its_pairs, held)
            there.won.extend(its_won)
            there.pairs.extend(its_pairs)
    return there
