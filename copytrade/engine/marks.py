"""What a token is worth now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from copytrade.domain.book import QuoteTier

if TYPE_CHECKING:
    from copytrade.domain.units import Price
    from copytrade.ports.books import BookStore
    from copytrade.ports.markets import MarketRegistry


class Marks(Protocol):
    """Prices to value what we hold at."""

    def price(self, token_id: str) -> Price | None:
        """Return what a share brings now, None where nobody knows: a mark is never invented."""


class BookMarks(Marks):
    """The payout of a resolved market, else the best bid of a book that may be traded on."""

    def __init__(self, books: BookStore, registry: MarketRegistry) -> None:
        self._books = books
        self._registry = registry

    def price(self, token_id: str) -> Price | None:
        market = self._registry.market_of(token_id)
        payout = None if market is None else market.payout_of(token_id)
        if payout is not None:
            return payout
        view = self._books.view(token_id)
        return None if view is None or view.tier is QuoteTier.HARD_STALE else view.book.best_bid
