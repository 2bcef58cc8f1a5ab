"""What a resolution, a merge or a renaming does to positions: the rule every ledger follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.positions import apply_settlement, cost_of
from copytrade.domain.settlement import (
    PositionSettlement,
    SettlementKind,
    merge_proceeds,
    resolution_proceeds,
)
from copytrade.domain.stakes import parts_of
from copytrade.domain.units import LOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.positions import Position
    from copytrade.domain.settlement import Resolution
    from copytrade.domain.stakes import Stakes
    from copytrade.domain.units import Millis, Price, Shares, Usdc

SETS_MIN: Final[Shares] = LOT
"""Fewer complete sets than this are left alone: they are no money, and every merge is a row."""
BY_US: Final = "worker"
"""The source of what nobody told us to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A settlement and the position after it."""

    settlement: PositionSettlement
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position, the shares of it that no open sell has promised, and whose fills they stand on."""

    position: Position
    free: Shares
    stakes: Stakes


def resolve(holding: Holding, *, payout: Price, resolution: Resolution) -> Closing:
    """Redeem what is free of a position at its payout."""
    return _close(
        holding,
        SettlementKind.RESOLUTION,
        condition_id=resolution.condition_id,
        shares=holding.free,
        proceeds=resolution_proceeds(holding.free, payout),
        source=resolution.source,
        at_ms=resolution.at_ms,
    )


def merge(holdings: Sequence[Holding], *, condition_id: str, at_ms: Millis) -> tuple[Closing, ...]:
    """Turn complete sets, as many as are free of every outcome, into a dollar each; none if they are too few."""
    sets = min((holding.free for holding in holdings), default=0)
    if sets < SETS_MIN:
        return ()
    costs = [cost_of(holding.position, sets) for holding in holdings]
    return tuple(
        _close(
            holding,
            SettlementKind.MERGE,
            condition_id=condition_id,
            shares=sets,
            proceeds=proceeds,
            source=BY_US,
            at_ms=at_ms,
        )
        for holding, proceeds in zip(holdings, merge_proceeds(sets, costs), strict=True)
    )


def migrate(old: Holding, new: Position, *, condition_id: str, source: str, at_ms: Millis) -> tuple[Closing, Closing]:
    """Move what is free of a position, with its cost, to the token's new name; nothing is realised."""
    out = _close(
        old,
        SettlementKind.MIGRATION_OUT,
        condition_id=condition_id,
        shares=old.free,
        proceeds=0,
        source=source,
        at_ms=at_ms,
    )
    arrived = replace(out.settlement, kind=SettlementKind.MIGRATION_IN, token_id=new.token_id)
    return out, Closing(settlement=arrived, position=apply_settlement(new, arrived))


def _close(
    holding: Holding,
    kind: SettlementKind,
    *,
    condition_id: str,
    shares: Shares,
    proceeds: Usdc,
    source: str,
    at_ms: Millis,
) -> Closing:
    position = holding.position
    cost = cost_of(position, shares)
    settlement = PositionSettlement(
        strategy_id=position.strategy_id,
        account_id=position.account_id,
        token_id=position.token_id,
        condition_id=condition_id,
        kind=kind,
        shares=shares,
        proceeds_usdc=proceeds,
        cost_usdc=cost,
        source=source,
        at_ms=at_ms,
        parts=parts_of(shares, proceeds=proceeds, cost=cost, stakes=holding.stakes),
    )
    return Closing(settlement=settlement, position=apply_settlement(position, settlement))
