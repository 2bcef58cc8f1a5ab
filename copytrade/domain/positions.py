"""What we hold, folded from execution fills and settlements by average cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from copytrade.domain.attempts import ExecutionFill, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.settlement import PositionSettlement, SettlementKind
from copytrade.domain.units import Shares, Usdc, notional_down, notional_up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID


class OversoldError(Exception):
    """More shares are sold or settled than are held: the ledger and the venue disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Shares of one token held by one strategy on one account.

    `cost_usdc` is what the shares still held cost, without fees; `realized_pnl_usdc` is proceeds less the
    average cost of what was sold, before fees; `fees_usdc` is every fee paid, so net PnL is
    `realized_pnl_usdc - fees_usdc`.
    """

    strategy_id: str
    account_id: str
    token_id: str
    shares: Shares = 0
    cost_usdc: Usdc = 0
    realized_pnl_usdc: Usdc = 0
    fees_usdc: Usdc = 0


def cash_flow(fill: ExecutionFill) -> Usdc:
    """Return what a fill does to cash: negative for a buy, fees taken off in both directions, 0 if it failed."""
    if fill.settlement is Settlement.FAILED:
        return 0
    if fill.side is Side.BUY:
        return -notional_up(fill.shares, fill.price) - fill.fee_usdc
    return notional_down(fill.shares, fill.price) - fill.fee_usdc


def cost_of(position: Position, shares: Shares) -> Usdc:
    """Return the average cost of some of the shares held, rounded down; the last ones take all that is left.

    :raises OversoldError: more than is held.
    """
    if shares > position.shares:
        raise OversoldError(f"{shares} of {position.shares} micro-shares of token {position.token_id}")
    return position.cost_usdc * shares // position.shares if shares else 0


def apply_fill(position: Position, fill: ExecutionFill) -> Position:
    """Return the position after one execution fill; a failed settlement changes nothing.

    :raises OversoldError: the fill sells more than is held.
    """
    if fill.settlement is Settlement.FAILED:
        return position
    fees = position.fees_usdc + fill.fee_usdc
    if fill.side is Side.BUY:
        return replace(
            position,
            shares=position.shares + fill.shares,
            cost_usdc=position.cost_usdc + notional_up(fill.shares, fill.price),
            fees_usdc=fees,
        )
    cost_sold = cost_of(position, fill.shares)
    return replace(
        position,
        shares=position.shares - fill.shares,
        cost_usdc=position.cost_usdc - cost_sold,
        realized_pnl_usdc=position.realized_pnl_usdc + notional_down(fill.shares, fill.price) - cost_sold,
        fees_usdc=fees,
    )


def apply_settlement(position: Position, settlement: PositionSettlement) -> Position:
    """Return the position after a settlement; what left it is counted anew at average cost.

    :raises OversoldError: it takes more than is held.
    """
    if settlement.kind is SettlementKind.MIGRATION_IN:
        return replace(
            position,
            shares=position.shares + settlement.shares,
            cost_usdc=position.cost_usdc + settlement.cost_usdc,
        )
    cost = cost_of(position, settlement.shares)
    earned = 0 if settlement.kind is SettlementKind.MIGRATION_OUT else settlement.proceeds_usdc - cost
    return replace(
        position,
        shares=position.shares - settlement.shares,
        cost_usdc=position.cost_usdc - cost,
        realized_pnl_usdc=position.realized_pnl_usdc + earned,
    )


def fold(empty: Position, entries: Iterable[ExecutionFill | PositionSettlement]) -> Position:
    """Return the position after all `entries`, in the order given.

    :raises OversoldError: some entry takes more than is held at its turn.
    """
    position = empty
    for entry in entries:
        if isinstance(entry, ExecutionFill):
            position = apply_fill(position, entry)
        else:
            position = apply_settlement(position, entry)
    return position


def refold(empty: Position, entries: Iterable[ExecutionFill | PositionSettlement]) -> tuple[Position, dict[UUID, Usdc]]:
    """Return the position after all `entries`, and by execution what it realised on the way.

    :raises OversoldError: some entry takes more than is held at its turn.
    """
    position, realized = empty, {}
    for entry in entries:
        after = fold(position, [entry])
        if isinstance(entry, ExecutionFill):
            realized[entry.id] = after.realized_pnl_usdc - position.realized_pnl_usdc
        position = after
    return position, realized
