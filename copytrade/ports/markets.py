"""The registry of markets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price


class RegistryUnavailableError(Exception):
    """The venue could not be asked about a token; asking again later may work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySync:
    """How far a full sync has come: every page before `cursor` is stored."""

    cursor: str
    started_at_ms: Millis
    pages: int
    markets: int


class MarketRegistry(Protocol):
    """Which market a token belongs to, answered from memory."""

    def market_of(self, token_id: str) -> Market | None:
        """Return the token's market from memory, None if it is not known; never touches the network."""

    def successor_of(self, token_id: str) -> tuple[str, Market] | None:
        """Return the token that took a token's place, with its market, None where nobody says that one did."""

    def learn_payouts(self, condition_id: str, payouts: tuple[Price, ...]) -> None:
        """Take from elsewhere how a market was resolved; one that is known to pay otherwise is noted and stays."""

    def age_ms(self) -> Millis | None:
        """Return how long ago the venue listed markets, None if it has not in this life."""

    def top_tokens(self, markets: int) -> tuple[str, ...]:
        """Return the tokens of that many open markets, the most liquid first; none before the first sync."""

    async def fetch(self, token_id: str) -> Market | None:
        """Ask the venue once about a token that memory lacks, remember and store what it says.

        Concurrent calls for one token share one request. A combo is in no listing and is not asked about.

        :raises RegistryUnavailableError: the venue did not answer usefully.
        """

    def complete_soon(self, token_id: str) -> None:
        """Learn in the background what the venue's listing lacks (its delay on taker orders); never waits."""

    async def run(self) -> None:
        """Keep the registry in step with the venue until cancelled; outages are waited out."""
