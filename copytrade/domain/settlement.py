"""What moves a position without a trade: a resolved market, a complete set merged, a token renamed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from copytrade.domain.units import MICRO, notional_down

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.market import Market
    from copytrade.domain.units import Millis, Price, Shares, Usdc

K = TypeVar("K")


class SettlementKind(StrEnum):
    """Why shares left a position, or came to it, other than by an execution."""

    RESOLUTION = "resolution"
    MERGE = "merge"
    MIGRATION_OUT = "migration_out"
    MIGRATION_IN = "migration_in"


class ResolutionSource(StrEnum):
    """Who told how a market was resolved; the registry speaks for the market socket too."""

    REGISTRY = "registry"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How a market was resolved: micro-USDC for a share of each outcome, in outcome order."""

    condition_id: str
    payouts: tuple[Price, ...]
    source: ResolutionSource
    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementShare:
    """The part of a settlement that stands on one leader's fills."""

    leader_id: UUID
    shares: Shares
    proceeds_usdc: Usdc
    cost_usdc: Usdc

    @property
    def realized_pnl_usdc(self) -> Usdc:
        """What this part realised."""
        return self.proceeds_usdc - self.cost_usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSettlement:
    """Shares that left one position for `proceeds_usdc`, with the cost that went with them.

    For MIGRATION_IN shares and cost came instead. A migration has no proceeds and realises nothing. `parts`
    add up to the whole.
    """

    strategy_id: str
    account_id: str
    token_id: str
    condition_id: str
    kind: SettlementKind
    shares: Shares
    proceeds_usdc: Usdc
    cost_usdc: Usdc
    source: str
    at_ms: Millis
    parts: tuple[SettlementShare, ...]

    @property
    def realized_pnl_usdc(self) -> Usdc:
        """What it added to the position's PnL."""
        return self.proceeds_usdc - self.cost_usdc if self.is_closing else 0

    @property
    def is_closing(self) -> bool:
        """Whether shares were given for money, and not only called otherwise."""
        return self.kind not in MIGRATIONS


MIGRATIONS: Final = frozenset({SettlementKind.MIGRATION_OUT, SettlementKind.MIGRATION_IN})


def payouts_of_winner(market: Market, winning_token_id: str | None) -> tuple[Price, ...] | None:
    """Return what a market with a single winner pays, None if the winner is none of its tokens."""
    if all(token.token_id != winning_token_id for token in market.tokens):
        return None
    return tuple(MICRO if token.token_id == winning_token_id else 0 for token in market.tokens)


def resolution_proceeds(shares: Shares, payout: Price) -> Usdc:
    """Return what shares are redeemed for, rounded down as the contract does (shares x numerator / denominator)."""
    return notional_down(shares, payout)


def split_exactly(amount: int, weights: Mapping[K, int]) -> dict[K, int]:
    """Cut an amount in proportion to weights above zero, in whole units that add up to it.

    Each part is cut towards zero; the units left over go one by one to the largest rests, among equal
    ones in the order given.

    :raises ValueError: no weight is above zero, and there is something to cut.
    """
    total = sum(weights.values())
    if total <= 0:
        if amount:
            raise ValueError(f"{amount} cannot be cut: nobody has a part in it")
        return dict.fromkeys(weights, 0)
    sign = -1 if amount < 0 else 1
    parts = {key: abs(amount) * weight // total for key, weight in weights.items()}
    left = abs(amount) - sum(parts.values())
    by_rest = sorted(weights, key=lambda key: -(abs(amount) * weights[key] % total))
    for key in by_rest[:left]:
        parts[key] += 1
    return {key: sign * part for key, part in parts.items()}


def merge_proceeds(sets: Shares, costs: Sequence[Usdc]) -> tuple[Usdc, ...]:
    """Return what each outcome's shares are merged for: a dollar a set, in proportion to what they cost.

    Outcomes that all cost nothing share it evenly.
    """
    weights = dict(enumerate(costs)) if any(costs) else dict.fromkeys(range(len(costs)), 1)
    return tuple(split_exactly(sets, weights).values())
