"""Asking Data API v2: one page a call, below the documented rate, errors translated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from copytrade.adapters.data_api.decode import NotAnEnvelope, Page, parse_page, parse_record
from copytrade.adapters.feeds.retrying import host_of
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock

T = TypeVar("T")

TRADES_PER_SECOND: Final = 24
"""80% of the documented 300 requests in 10 s."""
WALLET_PER_SECOND: Final = 16
"""80% of the documented 200 requests in 10 s, for activity and for positions."""
PAGE_ROWS: Final = 500
TIMEOUT_S: Final = 10.0
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
RETRY_AFTER_MAX_MS: Final = 60_000
RETRY_AFTER_DEFAULT_MS: Final = 2_000
USER_AGENT: Final = "copytrade"
"""The default of some libraries is refused by the venue's front."""


class ApiError(Exception):
    """A request failed; `host` says where."""

    def __init__(self, host: str, text: str) -> None:
        super().__init__(f"{host}: {text}")
        self.host = host


class ApiUnavailable(ApiError):
    """Not reached, overloaded, or failing: the same request may work later."""


class ApiLimited(ApiUnavailable):
    """Too many requests; `retry_after_ms` says how long everything must rest."""

    def __init__(self, host: str, text: str, *, retry_after_ms: Millis) -> None:
        super().__init__(host, text)
        self.retry_after_ms = retry_after_ms


class ApiNotUnderstood(ApiError):
    """Something that is not Data API v2 answered, or it refused the request; `body` is what it said."""

    def __init__(self, host: str, text: str, *, body: bytes) -> None:
        super().__init__(host, text)
        self.body = body


class TokenBucket:
    """Lets `per_second` through on average, and as many at once; everyone waits in turn."""

    def __init__(self, clock: Clock, *, per_second: int) -> None:
        self._clock: Final = clock
        self._per_second: Final = per_second
        self._next_free_us = 0

    async def take(self) -> None:
        """Wait for a turn."""
        now_us = self._clock.monotonic_ms() * 1000
        spacing_us = 1_000_000 // self._per_second
        self._next_free_us = max(self._next_free_us, now_us - self._per_second * spacing_us) + spacing_us
        await self._clock.sleep_ms(-(-(self._next_free_us - now_us) // 1000))

    def rest(self, duration_ms: Millis) -> None:
        """Let nothing through for a while."""
        burst_ms = 1000
        until_us = (self._clock.monotonic_ms() + duration_ms + burst_ms) * 1000
        self._next_free_us = max(self._next_free_us, until_us)


class Route:
    """One route of one host, below its own limit."""

    def __init__(self, url: str, path: str, *, per_second: int, clock: Clock, client: httpx.AsyncClient) -> None:
        self.host: Final = host_of(url)
        self._url: Final = f"{url.rstrip('/')}{path}"
        self._bucket: Final = TokenBucket(clock, per_second=per_second)
        self._clock: Final = clock
        self._client: Final = client
        self._serial = 0

    async def page(self, query: dict[str, str], *, cursor: str | None) -> Page:
        """Return one page.

        :raises ApiError: one of its kinds.
        """
        return await self._asked(query if cursor is None else query | {"cursor": cursor}, parse_page)

    async def record(self, query: dict[str, str]) -> object:
        """Return the one row of an answer that has no pages, None if there is none.

        :raises ApiError: one of its kinds.
        """
        return await self._asked(query, parse_record)

    async def _asked(self, query: dict[str, str], parse: Callable[[bytes], T]) -> T:
        await self._bucket.take()
        self._serial += 1
        # The cache serves an unchanged URL for minutes (measured 2026-09-25).
        asked = query | {"_": f"{self._clock.now_ms()}{self._serial % 1000:03d}"}
        try:
            status, headers, body = await self._get(asked)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiUnavailable(self.host, type(error).__name__) from None
        return self._answer(status, headers, body, parse)

    async def _get(self, query: dict[str, str]) -> tuple[int, httpx.Headers, bytes]:
        async with self._client.stream("GET", self._url, params=query) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise ApiNotUnderstood(self.host, "the answer is too long", body=b"")
            return response.status_code, response.headers, bytes(body)

    def _answer(self, status: int, headers: httpx.Headers, body: bytes, parse: Callable[[bytes], T]) -> T:
        if status in {429, 503}:
            rest_ms = _retry_after_ms(headers.get("retry-after"))
            self._bucket.rest(rest_ms)
            raise ApiLimited(self.host, f"HTTP {status}", retry_after_ms=rest_ms)
        if status >= 500 or status == 408:
            raise ApiUnavailable(self.host, f"HTTP {status}")
        if status != 200:
            raise ApiNotUnderstood(self.host, f"HTTP {status}", body=body)
        try:
            return parse(body)
        except NotAnEnvelope as error:
            kind = "a web page" if body.lstrip()[:1] == b"<" else str(error)
            raise ApiNotUnderstood(self.host, f"answered {kind}", body=body) from None


class DataApi:
    """The `/v2/trades` route of one host."""

    def __init__(self, url: str, *, clock: Clock, transport: httpx.AsyncBaseTransport | None) -> None:
        self._client: Final = httpx.AsyncClient(
            timeout=TIMEOUT_S, transport=transport, headers={"user-agent": USER_AGENT}
        )
        self._route: Final = Route(url, "/v2/trades", per_second=TRADES_PER_SECOND, clock=clock, client=self._client)
        self.host: Final = self._route.host

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def trades(self, leader: str, *, start_s: int, cursor: str | None) -> Page:
        """Return one page of a leader's trades since `start_s`, newest first, makers included.

        :raises ApiError: one of its kinds.
        """
        query = {"user": leader, "taker_only": "false", "limit": str(PAGE_ROWS), "start": str(max(1, start_s))}
        return await self._route.page(query, cursor=cursor)


def _retry_after_ms(header: str | None) -> Millis:
    if header is None or not (header.isascii() and header.isdigit()):
        return RETRY_AFTER_DEFAULT_MS
    return min(RETRY_AFTER_MAX_MS, int(header[:6]) * 1000)
