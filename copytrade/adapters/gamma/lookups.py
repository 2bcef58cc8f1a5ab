"""The questions the registry asks Gamma, the CLOB and the Data API."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import httpx
import structlog

from copytrade.adapters.gamma.amounts import NotAPageError
from copytrade.adapters.gamma.decode import parse_page, salvaged_cursor
from copytrade.adapters.gamma.details import ClobDetails, parse_condition, parse_details
from copytrade.adapters.gamma.resolution import parse_payouts
from copytrade.domain.market import condition_of_position, is_position_id
from copytrade.ports.markets import RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.market import Market
    from copytrade.domain.units import Price

PAGE_LIMIT: Final = 100
IDS_PER_LOOKUP: Final = 50
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
"""A page of a hundred markets is about 500 kB."""
TIMEOUT: Final = httpx.Timeout(20.0, connect=5.0)
# Without a version the venue lists v1 markets only (SDK 0.14, 2026-10-21); the same on every lookup.
VERSIONS: Final = (("version", "v1"), ("version", "v2"), ("include_tag", "true"))
# An id never changes and grows with time: what is opened or closed meanwhile moves no other market over the cursor.
OLDEST_FIRST: Final = (("order", "id"), ("ascending", "true"))
NEWEST_FIRST: Final = (("order", "id"), ("ascending", "false"))
OPEN: Final = (("closed", "false"),)
Params = tuple[tuple[str, str], ...]

log = structlog.get_logger()


class GarbageError(RegistryUnavailableError):
    """The venue answered, but not what was asked for; `next_cursor` is what could be read of the way on."""

    def __init__(self, text: str, *, next_cursor: str | None = None) -> None:
        super().__init__(text)
        self.next_cursor = next_cursor


class RefusedError(RegistryUnavailableError):
    """The venue will not answer this request however often it is sent."""


class Lookups:
    """Requests over a client that stays its owner's to close.

    Every method raises RegistryUnavailableError (or one of the two above) when there is no useful answer.
    """

    def __init__(self, *, gamma_url: str, clob_url: str, data_api_url: str, http: httpx.AsyncClient) -> None:
        """Ask these hosts."""
        self._gamma_url = gamma_url.rstrip("/")
        self._clob_url = clob_url.rstrip("/")
        self._data_api_url = data_api_url.rstrip("/")
        self._http = http
        self._oldest_first: Params = OLDEST_FIRST

    async def open_markets(self, cursor: str | None, *, limit: int = PAGE_LIMIT) -> tuple[list[bytes], str | None]:
        """Return a page of all markets that are not closed, oldest first, and the cursor of the next."""
        try:
            return await self._page((*OPEN, *self._oldest_first, *_after(cursor)), limit=limit)
        except RefusedError:
            if cursor is not None or not self._oldest_first:
                raise
            # The order is documented and was not tried on the live venue; its own is better than no markets.
            self._oldest_first = ()
            return await self._page(OPEN, limit=limit)

    async def newest_markets(self, cursor: str | None) -> tuple[list[bytes], str | None]:
        """Return the same from the other end."""
        return await self._page((*OPEN, *NEWEST_FIRST, *_after(cursor)))

    async def by_token(self, token_id: str) -> list[bytes]:
        """Return the rows that Gamma has for a token, open or closed; none if it does not know it."""
        key = "position_ids" if is_position_id(token_id) else "clob_token_ids"
        for closed in ("false", "true"):
            rows, _ = await self._page((("closed", closed), (key, token_id)))
            if rows:
                return rows
        return []

    async def closed_markets(self, key: str, ids: Sequence[str]) -> list[bytes]:
        """Return the rows of those of at most IDS_PER_LOOKUP markets that are closed.

        `key` is `condition_ids` for v1, `position_ids` for v2, whose conditions Gamma spells in its own way.
        """
        asked = (("closed", "true"), *((key, one) for one in ids))
        found, cursor = await self._page(asked)
        for _ in ids:
            if cursor is None:
                break
            rows, cursor = await self._page((*asked, *_after(cursor)))
            found += rows
        return found

    async def payouts(self, market: Market) -> tuple[Price, ...] | None:
        """Return what the Data API says a resolved market pays, None while it is not resolved."""
        params = (("condition", market.condition_id),)
        body = await self._get(f"{self._data_api_url}/v2/resolutions", params=params, unknown=(404,))
        try:
            return None if body is None else parse_payouts(body, market)
        except NotAPageError as error:
            raise GarbageError(f"/v2/resolutions: {error}") from error

    async def with_payouts(self, market: Market) -> Market:
        """Return a closed market with what it paid; as it is if that is known, or not to be had now."""
        if market.payouts is not None:
            return market
        try:
            payouts = await self.payouts(market)
        except RegistryUnavailableError as error:
            log.warning("registry.payouts_unavailable", condition_id=market.condition_id, error=str(error)[:300])
            return market
        return market if payouts is None else replace(market, accepting_orders=False, payouts=payouts)

    async def details_of_token(self, token_id: str) -> ClobDetails | None:
        """Return the CLOB's record of a token's market, None if it does not know the token."""
        if is_position_id(token_id):
            by_its_bits = await self.details(condition_of_position(token_id))
            if by_its_bits is not None:
                return by_its_bits
        body = await self._get(f"{self._clob_url}/markets-by-token/{token_id}", unknown=(400, 404))
        if body is None:
            return None
        try:
            condition_id = parse_condition(body)
        except NotAPageError as error:
            raise GarbageError(f"/markets-by-token: {error}") from error
        return await self.details(condition_id)

    async def details(self, condition_id: str) -> ClobDetails | None:
        """Return the CLOB's record of a market, None if it does not know it."""
        body = await self._get(f"{self._clob_url}/clob-markets/{condition_id}", unknown=(404,))
        if body is None:
            return None
        try:
            return parse_details(body)
        except NotAPageError as error:
            raise GarbageError(f"/clob-markets: {error}") from error

    async def _page(self, params: Params, *, limit: int = PAGE_LIMIT) -> tuple[list[bytes], str | None]:
        asked = (("limit", str(limit)), *VERSIONS, *params)
        body = await self._get(f"{self._gamma_url}/markets/keyset", params=asked) or b""
        try:
            return parse_page(body)
        except NotAPageError as error:
            text = f"/markets/keyset: {error}: {body[:80]!r}"
            raise GarbageError(text, next_cursor=salvaged_cursor(body)) from error

    async def _get(self, url: str, *, params: Params = (), unknown: tuple[int, ...] = ()) -> bytes | None:
        try:
            async with self._http.stream("GET", url, params=list(params) or None, timeout=TIMEOUT) as response:
                body = await _bounded(url, response)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise RegistryUnavailableError(f"{url}: {type(error).__name__}: {error}") from error
        status = response.status_code
        # A proxy's error page says nothing about what the venue knows.
        if status in unknown and "json" in response.headers.get("content-type", ""):
            return None
        if status == 200:
            return body
        text = f"{url}: HTTP {status}: {body[:200].decode(errors='replace')}"
        if 400 <= status < 500 and status not in {408, 425, 429}:
            raise RefusedError(text)
        raise RegistryUnavailableError(text)


def _after(cursor: str | None) -> Params:
    return (("after_cursor", cursor),) if cursor else ()


async def _bounded(url: str, response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise GarbageError(f"{url}: more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)
