"""How much stands in the books now, asked once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.adapters.clob.rest import BooksUnavailableError, ClobBooks
from copytrade.domain.units import BPS, notional_down
from copytrade.ports.histories import Depths, HistoryUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import httpx

    from copytrade.adapters.clob.rest import FullBook
    from copytrade.domain.units import Usdc


class ClobDepths(Depths):
    """Reads whole books from the venue; not for the hot path."""

    def __init__(self, *, url: str, http: httpx.AsyncClient) -> None:
        self._books: Final = ClobBooks(url=url, http=http)

    async def depths(self, tokens: Collection[str], *, within_bps: int) -> Mapping[str, Usdc]:
        try:
            books = await self._books.books(list(tokens))
        except BooksUnavailableError as error:
            raise HistoryUnavailableError(f"clob: {error}") from error
        return {token_id: _depth(book, within_bps=within_bps) for token_id, book in books.items()}


def _depth(book: FullBook, *, within_bps: int) -> Usdc:
    asks = {-quote: size for quote, size in book.levels.items() if quote < 0}
    limit = min(asks, default=0) * (BPS + within_bps) // BPS
    return sum(notional_down(size, price) for price, size in asks.items() if price <= limit)
