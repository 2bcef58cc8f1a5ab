"""The memory of money: cash, settlements and how they were resolved, equity over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.closing import Closing
    from copytrade.domain.money import Balance, EquityPoint
    from copytrade.domain.settlement import PositionSettlement, Resolution
    from copytrade.domain.units import Millis, Price, Usdc


class UnknownMarketError(Exception):
    """No market has that condition, or not as many outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What was settled, each with the position after it; `waiting` tokens have shares that open sells promise.

    `recorded` is the resolution that stands; another one than the one given contradicts it, and nothing
    was settled.
    """

    closings: tuple[Closing, ...] = ()
    waiting: tuple[str, ...] = ()
    recorded: Resolution | None = None


class AccountStore(Protocol):
    """See the module; each write is one transaction, with the cash it moves."""

    async def fund_account(self, strategy_id: str, account_id: str, *, start_cash: Usdc, now_ms: Millis) -> Balance:
        """Give an account its start cash; an account that has another one gets, or gives back, the difference."""

    async def balances(self) -> tuple[Balance, ...]:
        """Return the balance of every strategy and account that was funded or ever traded."""

    async def settle(self, resolution: Resolution) -> Settled:
        """Record a resolution, the first one told for good, and redeem what is free of its market's positions.

        A repetition settles what has become free since; one with other payouts changes nothing.

        :raises UnknownMarketError: no such market is stored, or it has another number of outcomes.
        """

    async def merge_sets(
        self, condition_id: str, *, strategy_id: str, account_id: str, at_ms: Millis
    ) -> tuple[Closing, ...]:
        """Turn complete sets of a market's outcomes into a dollar each, as many as are free; none if too few are.

        :raises UnknownMarketError: no such market is stored.
        """

    async def rename_token(
        self, old_token_id: str, new_token_id: str, *, condition_id: str, source: str, at_ms: Millis
    ) -> Settled:
        """Move what is free of every position in a token, with its cost, to the token that takes its place."""

    async def resolutions(self) -> tuple[Resolution, ...]:
        """Return every resolution recorded, by condition."""

    async def migrated(self) -> frozenset[str]:
        """Return the conditions and tokens that leaders' migrations named."""

    async def settlements(self, *, strategy_id: str, account_id: str, token_id: str) -> tuple[PositionSettlement, ...]:
        """Return the settlements of one position, in the order they were made."""

    async def add_equity_point(self, point: EquityPoint, marks: Mapping[str, Price | None]) -> None:
        """Store a valuation, and what each token it counted was marked at; of two at one time the last stays."""

    async def marks(self) -> Mapping[str, Price | None]:
        """Return what each token was marked at when it was last valued, None if it had no mark then."""

    async def equity_points(self, account_id: str, *, since_ms: Millis) -> tuple[EquityPoint, ...]:
        """Return an account's valuations since a time, oldest first."""
