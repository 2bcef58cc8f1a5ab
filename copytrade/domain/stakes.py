"""Whose fills the shares of a position stand on, so that a settlement can be told to the leaders it belongs to.

A buy adds to the leader it copies. A sale takes from the leader it copies first, and what he lacks from the
others in proportion to what they have left: they all hold one position at one average cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from copytrade.domain.fills import Side
from copytrade.domain.settlement import PositionSettlement, SettlementKind, SettlementShare, split_exactly

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from copytrade.domain.units import Shares, Usdc

Stakes: TypeAlias = "dict[UUID, Shares]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedShares:
    """Shares one execution bought or sold, and the leader whose fill it copied; one that failed is none."""

    leader_id: UUID
    side: Side
    shares: Shares


def stakes_after(entries: Iterable[CopiedShares | PositionSettlement]) -> Stakes:
    """Return the shares of each leader after all entries of one position, those with none left out."""
    stakes: Stakes = {}
    for entry in entries:
        if isinstance(entry, PositionSettlement):
            _settle(stakes, entry)
        elif entry.side is Side.BUY:
            _add(stakes, {entry.leader_id: entry.shares})
        else:
            _sell(stakes, entry)
    return stakes


def parts_of(
    shares: Shares, *, proceeds: Usdc, cost: Usdc, stakes: Mapping[UUID, Shares]
) -> tuple[SettlementShare, ...]:
    """Cut a settlement among the leaders by their shares; the parts, by leader, add up to the micro-unit."""
    cut = split_exactly(shares, stakes)
    earned, spent = split_exactly(proceeds, cut), split_exactly(cost, cut)
    return tuple(
        SettlementShare(leader_id=leader, shares=cut[leader], proceeds_usdc=earned[leader], cost_usdc=spent[leader])
        for leader in sorted(cut)
        if cut[leader]
    )


def _sell(stakes: Stakes, sold: CopiedShares) -> None:
    own = min(stakes.get(sold.leader_id, 0), sold.shares)
    _add(stakes, {sold.leader_id: -own})
    rest = sold.shares - own
    if rest and stakes:
        _add(stakes, {leader: -part for leader, part in split_exactly(rest, stakes).items()})


def _settle(stakes: Stakes, settlement: PositionSettlement) -> None:
    sign = 1 if settlement.kind is SettlementKind.MIGRATION_IN else -1
    _add(stakes, {part.leader_id: sign * part.shares for part in settlement.parts})


def _add(stakes: Stakes, moved: Mapping[UUID, Shares]) -> None:
    for leader, shares in moved.items():
        left = stakes.get(leader, 0) + shares
        if left > 0:
            stakes[leader] = left
        else:
            stakes.pop(leader, None)
