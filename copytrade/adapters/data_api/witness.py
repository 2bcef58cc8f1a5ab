"""The Data API as a witness: every page of an account's trades."""

from __future__ import annotations

from typing import Final

import httpx

from copytrade.adapters.data_api.decode import TradeRow, parse_row
from copytrade.adapters.data_api.requests import ApiError, ApiUnavailable, DataApi
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.witnesses import Trade, TradeWitness, WitnessUnavailableError

PAGES_MAX: Final = 2_000
ATTEMPTS: Final = 5
RETRY_MS: Final = 1_000


class DataApiWitness(TradeWitness):
    """Reads all pages; a row that makes no sense is an error, for it may hide a trade."""

    def __init__(self, url: str, clock: Clock, *, transport: httpx.AsyncBaseTransport | None) -> None:
        self._api: Final = DataApi(url, clock=clock, transport=transport)
        self._clock: Final = clock

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def trades(self, account: str, *, since_ms: Millis) -> list[Trade]:
        found: list[Trade] = []
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            page = await self._page(account, since_ms // 1000, cursor)
            try:
                rows = [parse_row(row, account) for row in page[0]]
            except MalformedError as error:
                raise WitnessUnavailableError(f"data_api: a row makes no sense ({error.reason})") from error
            found += [
                _trade(row) for row in rows if row is not None and row.timestamp_s * 1000 >= since_ms // 1000 * 1000
            ]
            cursor = page[1]
            if cursor is None:
                return found
        raise WitnessUnavailableError(f"data_api: more than {PAGES_MAX} pages; ask for less with --since")

    async def _page(self, account: str, start_s: int, cursor: str | None) -> tuple[tuple[object, ...], str | None]:
        for attempt in range(ATTEMPTS):
            try:
                page = await self._api.trades(account, start_s=start_s, cursor=cursor)
            except ApiError as error:
                if attempt + 1 == ATTEMPTS or not isinstance(error, ApiUnavailable):
                    raise WitnessUnavailableError(f"data_api: {error}") from error
                await self._clock.sleep_ms(RETRY_MS)
            else:
                return page.rows, page.next_cursor
        raise AssertionError("the last attempt returns or raises")


def _trade(row: TradeRow) -> Trade:
    return Trade(tx_hash=row.tx_hash, token_id=row.token_id, side=row.side, size=row.size, at_ms=row.timestamp_s * 1000)
