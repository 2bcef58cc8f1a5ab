"""Order books over REST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx
import msgspec
import structlog

from copytrade.adapters.clob.wire import (
    MalformedFrameError,
    WireBook,
    decode_book,
    decode_books,
    levels_of,
    timestamp_ms,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.book_history import Quote
    from copytrade.domain.units import Millis, Shares

BOOKS_PER_REQUEST: Final = 500
"""The venue answers 400 "Payload exceeds the limit" to 501 (observed 2026-10)."""
JSON_HEADERS: Final = {"content-type": "application/json", "accept": "application/json"}
TIMEOUT: Final = httpx.Timeout(5.0, connect=3.0)

log = structlog.get_logger()


class BooksUnavailableError(Exception):
    """The venue did not answer with books; asking again later may work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FullBook:
    """A token's whole book; `venue_ts_ms` is its last change, not the time of the answer."""

    token_id: str
    levels: dict[Quote, Shares]
    venue_ts_ms: Millis
    wire: WireBook


class ClobBooks:
    """Asks for books, never in the hot path."""

    def __init__(self, *, url: str, http: httpx.AsyncClient) -> None:
        """Ask the host at `url` through `http`, which stays its owner's to close."""
        self._url = url.rstrip("/")
        self._http = http
        self.requests = 0
        self.rejected = 0

    async def books(self, token_ids: Sequence[str]) -> dict[str, FullBook]:
        """Return the books of these tokens; tokens without one (unknown, resolved) are missing.

        :raises BooksUnavailableError: one of the requests was not answered usefully.
        """
        found: dict[str, FullBook] = {}
        for start in range(0, len(token_ids), BOOKS_PER_REQUEST):
            asked = [{"token_id": token_id} for token_id in token_ids[start : start + BOOKS_PER_REQUEST]]
            response = await self._ask("POST", "/books", content=msgspec.json.encode(asked))
            for book in self._read_all(_useful(response)):
                if full := self._read(book):
                    found[full.token_id] = full
        return found

    async def book(self, token_id: str) -> FullBook | None:
        """Return one token's book, None when the venue has none.

        :raises BooksUnavailableError: the venue did not answer usefully.
        """
        response = await self._ask("GET", "/book", params={"token_id": token_id})
        if response.status_code in (400, 404) and _is_json(response):
            return None
        try:
            full = self._read(decode_book(_useful(response)))
        except MalformedFrameError as error:
            raise BooksUnavailableError(f"GET /book: {error}") from error
        if full is None or full.token_id != token_id:
            raise BooksUnavailableError("GET /book: not a readable book of the token that was asked for")
        return full

    async def _ask(
        self, method: str, path: str, *, params: dict[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        self.requests += 1
        try:
            return await self._http.request(
                method, self._url + path, params=params, content=content, headers=JSON_HEADERS, timeout=TIMEOUT
            )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise BooksUnavailableError(f"{method} {path}: {type(error).__name__}: {error}") from error

    def _read_all(self, body: bytes) -> list[WireBook]:
        try:
            books, rejected = decode_books(body)
        except MalformedFrameError as error:
            raise BooksUnavailableError(f"POST /books: {error}") from error
        self.rejected += len(rejected)
        for part in rejected:
            log.warning("books.rejected", part=part[:200])
        return books

    def _read(self, book: WireBook) -> FullBook | None:
        try:
            levels = levels_of(book.bids, book.asks)
            return FullBook(token_id=book.asset_id, levels=levels, venue_ts_ms=timestamp_ms(book.timestamp), wire=book)
        except ValueError as error:
            self.rejected += 1
            log.warning("books.rejected", token_id=book.asset_id, error=str(error))
            return None


def _useful(response: httpx.Response) -> bytes:
    if response.status_code != 200:
        raise BooksUnavailableError(f"HTTP {response.status_code}: {response.text[:200]}")
    return response.content


def _is_json(response: httpx.Response) -> bool:
    """Whether the venue itself answered, not a proxy on the way."""
    return "json" in response.headers.get("content-type", "")
