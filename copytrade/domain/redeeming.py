"""What of a real account can be turned into money at the venue: what won, and complete sets of both outcomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from copytrade.domain.settlement import resolution_proceeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from copytrade.domain.units import Price, Shares, Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class Won:
    """Shares of a resolved market that are paid `payout` each."""

    account_id: str
    token_id: str
    condition_id: str
    title: str
    outcome: str
    shares: Shares
    payout: Price

    @property
    def worth_usdc(self) -> Usdc:
        """What the contract pays for them."""
        return resolution_proceeds(self.shares, self.payout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """As many shares of each of a market's outcomes: a dollar a set, whatever happens."""

    account_id: str
    token_ids: tuple[str, ...]
    condition_id: str
    title: str
    sets: Shares


def won_and_there(won: Iterable[Won], held: Mapping[str, Shares]) -> list[Won]:
    """Return what a wallet still holds of what it won; the rest is redeemed."""
    left = (replace(one, shares=min(one.shares, held.get(one.token_id, 0))) for one in won)
    return [one for one in left if one.worth_usdc]


def paired_and_there(pairs: Iterable[Pair], held: Mapping[str, Shares]) -> list[Pair]:
    """Return the sets that a wallet still holds."""
    left = (replace(one, sets=min(one.sets, *(held.get(token, 0) for token in one.token_ids))) for one in pairs)
    return [one for one in left if one.sets]
