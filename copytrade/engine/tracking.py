"""Which books to keep before a fill asks for them: what we hold, what leaders traded lately, what is liquid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.market import is_combo

if TYPE_CHECKING:
    from copytrade.domain.units import Millis
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry

TRACKING_INTERVAL_MS: Final = 60_000


class Tracking:
    """Names tokens to the book store at start and again each minute; a fill on another token adds it at once."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        registry: MarketRegistry,
        books: BookStore,
        portfolio: Portfolio,
        clock: Clock,
        lookback_ms: Millis,
        top_markets: int = 0,
    ) -> None:
        self._ledger = ledger
        self._registry = registry
        self._books = books
        self._portfolio = portfolio
        self._clock = clock
        self._lookback_ms = lookback_ms
        self._top_markets = top_markets
        books.pin(portfolio.tokens)

    async def run(self) -> None:
        """Keep naming tokens until cancelled."""
        while True:
            await self.refresh()
            await self._clock.sleep_ms(TRACKING_INTERVAL_MS)

    async def refresh(self) -> None:
        """Name what we hold first, then what leaders traded within the lookback, then the most liquid markets."""
        since_ms = self._clock.now_ms() - self._lookback_ms
        recent = await self._ledger.recent_tokens(since_ms=since_ms)
        liquid = self._registry.top_tokens(self._top_markets)
        for token_id in dict.fromkeys([*self._portfolio.tokens(), *recent, *liquid]):
            if not is_combo(token_id):  # It has no book.
                self._books.track(token_id)
                self._registry.complete_soon(token_id)
