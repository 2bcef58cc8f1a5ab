"""What an account did before we followed it, and what following costs us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from copytrade.domain.ranking import Flow, FollowCost, Holding
    from copytrade.domain.units import Millis, Ratio, Usdc


class HistoryUnavailableError(Exception):
    """The venue does not tell it now; the text says who did not answer and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A place in the venue's own table."""

    address: str
    name: str
    pnl: Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHistory:
    """What an account did since a time, oldest first, and what it holds now.

    `maker_usdc` of `trade_usdc` traded were resting orders. `is_cut` if there was more than is ever read: the oldest
    part is missing.
    """

    flows: tuple[Flow, ...]
    holdings: tuple[Holding, ...]
    maker_usdc: Usdc
    trade_usdc: Usdc
    is_cut: bool


class AccountHistories(Protocol):
    """The venue's record of accounts."""

    async def leaderboard(self, *, period: str, category: str, limit: int) -> Sequence[Ranked]:
        """Return the venue's best accounts by PnL (`period`: day, week, month or all).

        :raises HistoryUnavailableError: no answer.
        """

    async def history(self, account: str, *, since_ms: Millis) -> AccountHistory:
        """Return what an account did since then.

        :raises HistoryUnavailableError: no complete answer.
        """


class Depths(Protocol):
    """How much stands in the books now."""

    async def depths(self, tokens: Collection[str], *, within_bps: int) -> Mapping[str, Usdc]:
        """Return what can be bought of each token within that much of its best ask; tokens without a book are left out.

        :raises HistoryUnavailableError: no answer.
        """


class FollowCosts(Protocol):
    """Our own executions against the fills they copied."""

    async def follow_cost(self, leader: str, *, maker_share: Ratio | None) -> FollowCost | None:
        """Return the cost of following this leader, else of following anybody with such a share; None if unmeasured."""
