"""The questions the registry asks Gamma and the CLOB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from copytrade.adapters.gamma.decode import (
    ClobDetails,
    NotAPageError,
    is_position_id,
    parse_condition,
    parse_details,
    parse_page,
)
from copytrade.ports.markets import RegistryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE_LIMIT: Final = 100
IDS_PER_LOOKUP: Final = 50
TIMEOUT: Final = httpx.Timeout(20.0, connect=5.0)
# Without a version the venue lists v1 markets only (SDK 0.14, 2026-10-21); the same on every lookup.
LISTING: Final = (("limit", str(PAGE_LIMIT)), ("version", "v1"), ("version", "v2"), ("include_tag", "true"))


class GarbageError(RegistryUnavailableError):
    """The venue answered, but not what was asked for."""


class RefusedError(RegistryUnavailableError):
    """The venue will not answer this request however often it is sent."""


class Lookups:
    """Requests over a client that stays its owner's to close.

    Every method raises RegistryUnavailableError (or one of the two above) when there is no useful answer.
    """

    def __init__(self, *, gamma_url: str, clob_url: str, http: httpx.AsyncClient) -> None:
        """Ask these two hosts."""
        self._gamma_url = gamma_url.rstrip("/")
        self._clob_url = clob_url.rstrip("/")
        self._http = http

    async def open_markets(self, cursor: str | None) -> tuple[list[bytes], str | None]:
        """Return a page of all markets that are not closed, and the cursor of the next."""
        after = (("after_cursor", cursor),) if cursor else ()
        return await self._page((*LISTING, ("closed", "false"), *after))

    async def by_token(self, token_id: str) -> list[bytes]:
        """Return the rows that Gamma has for a token, open or closed; none if it does not know it."""
        key = "position_ids" if is_position_id(token_id) else "clob_token_ids"
        for closed in ("false", "true"):
            rows, _ = await self._page((*LISTING, ("closed", closed), (key, token_id)))
            if rows:
                return rows
        return []

    async def closed_markets(self, key: str, ids: Sequence[str]) -> list[bytes]:
        """Return the rows of those of at most IDS_PER_LOOKUP markets that are closed.

        `key` is `condition_ids` for v1, `position_ids` for v2, whose conditions Gamma spells in its own way.
        """
        rows, _ = await self._page((*LISTING, ("closed", "true"), *((key, one) for one in ids)))
        return rows

    async def details_of_token(self, token_id: str) -> ClobDetails | None:
        """Return the CLOB's record of a token's market, None if it does not know the token."""
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

    async def _page(self, params: tuple[tuple[str, str], ...]) -> tuple[list[bytes], str | None]:
        body = await self._get(f"{self._gamma_url}/markets/keyset", params=params)
        try:
            return parse_page(body or b"")
        except NotAPageError as error:
            raise GarbageError(f"/markets/keyset: {error}: {(body or b'')[:80]!r}") from error

    async def _get(
        self, url: str, *, params: tuple[tuple[str, str], ...] = (), unknown: tuple[int, ...] = ()
    ) -> bytes | None:
        try:
            response = await self._http.get(url, params=list(params) or None, timeout=TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise RegistryUnavailableError(f"{url}: {type(error).__name__}: {error}") from error
        status = response.status_code
        # A proxy's error page says nothing about what the venue knows.
        if status in unknown and "json" in response.headers.get("content-type", ""):
            return None
        if status == 200:
            return response.content
        text = f"{url}: HTTP {status}: {response.text[:200]}"
        if 400 <= status < 500 and status not in {408, 425, 429}:
            raise RefusedError(text)
        raise RegistryUnavailableError(text)
