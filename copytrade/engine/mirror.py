"""Leaving with a leader who leaves otherwise than by selling: his exit is decided and executed as a sale of his."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.fills import Source
from copytrade.domain.leader_events import EventPolicy
from copytrade.domain.mirroring import as_sale, shares_taken
from copytrade.ports.leader_fills import FillsSeen, SourceNote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.fills import Sighting
    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.domain.units import Price, Shares
    from copytrade.engine.ingest import Ingest
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.books import BookStore
    from copytrade.ports.markets import MarketRegistry

NO_BID: Final = "MIRROR_WITHOUT_BID"


class Mirror:
    """Stores a sale at the best bid for each token of ours that a mirrored event took from a leader, once."""

    def __init__(self, *, ingest: Ingest, portfolio: Portfolio, registry: MarketRegistry, books: BookStore) -> None:
        self._ingest = ingest
        self._portfolio = portfolio
        self._registry = registry
        self._books = books

    async def follow(self, events: Iterable[LeaderEvent]) -> None:
        """Store the sales that mirrored events are; those of an event stored before are met again."""
        for event in events:
            if event.policy is not EventPolicy.MIRROR:
                continue
            sales = [await self._sale(event, token_id, shares) for token_id, shares in self._concerned(event)]
            found = tuple(sale for sale in sales if sale is not None)
            if found:
                await self._ingest.store(FillsSeen(source=Source.LEADER_EVENT, sightings=found))

    def _concerned(self, event: LeaderEvent) -> list[tuple[str, Shares]]:
        """Return the tokens that we hold, or may hold soon, and that the event took from the leader."""
        markets = ((token_id, self._registry.market_of(token_id)) for token_id in self._portfolio.tokens())
        taken = [(token_id, shares_taken(event, token_id, market)) for token_id, market in markets if market]
        return [(token_id, shares) for token_id, shares in taken if shares]

    async def _sale(self, event: LeaderEvent, token_id: str, shares: Shares) -> Sighting | None:
        bid = self._bid(token_id)
        if bid is None:
            detail = {"event": event.dedupe_key, "leader": event.leader, "token_id": token_id}
            await self._ingest.store(SourceNote(source=Source.LEADER_EVENT, code=NO_BID, detail=detail))
            return None
        return as_sale(event, token_id, shares, bid=bid)

    def _bid(self, token_id: str) -> Price | None:
        view = self._books.view(token_id)
        return view.book.best_bid if view else None
