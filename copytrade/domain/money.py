"""What an account has: cash and positions at what they cost and at what they would bring now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.units import notional_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from copytrade.domain.positions import Position
    from copytrade.domain.units import Millis, Price, Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The cash of one strategy on one account: what it was given, and what is left with all that moved since.

    Without settlements that failed, `cash_usdc` is `start_cash_usdc` plus realised PnL less fees less the
    cost of what is still held, to the micro-unit.
    """

    strategy_id: str
    account_id: str
    start_cash_usdc: Usdc
    cash_usdc: Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class Valuation:
    """Cash and positions, valued at one time.

    `marked_usdc` is what the positions with a mark would bring, `marked_cost_usdc` what they cost;
    those without a mark, `unmarked` of them, count at nothing and are told apart by their cost. Realised
    PnL is before fees.
    """

    cash_usdc: Usdc
    marked_usdc: Usdc
    marked_cost_usdc: Usdc
    unmarked_cost_usdc: Usdc
    open_positions: int
    unmarked: int
    realized_pnl_usdc: Usdc
    fees_usdc: Usdc

    @property
    def unrealized_pnl_usdc(self) -> Usdc:
        """What selling everything that has a mark would add to the realised PnL, before fees."""
        return self.marked_usdc - self.marked_cost_usdc

    @property
    def exposure_usdc(self) -> Usdc:
        """What is at stake in open positions: their cost."""
        return self.marked_cost_usdc + self.unmarked_cost_usdc

    @property
    def equity_usdc(self) -> Usdc:
        """Cash and marked value; positions without a mark add nothing."""
        return self.cash_usdc + self.marked_usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """The valuation of an account, all its strategies together, at one time."""

    account_id: str
    at_ms: Millis
    valuation: Valuation


def valuation(cash: Usdc, positions: Iterable[Position], mark: Callable[[str], Price | None]) -> Valuation:
    """Return what cash and positions come to; `mark` gives what a share of a token brings now, None if unknown."""
    marked = marked_cost = unmarked_cost = open_positions = unmarked = realized = fees = 0
    for position in positions:
        realized += position.realized_pnl_usdc
        fees += position.fees_usdc
        if not position.shares:
            continue
        open_positions += 1
        price = mark(position.token_id)
        if price is None:
            unmarked += 1
            unmarked_cost += position.cost_usdc
        else:
            marked += notional_down(position.shares, price)
            marked_cost += position.cost_usdc
    return Valuation(
        cash_usdc=cash,
        marked_usdc=marked,
        marked_cost_usdc=marked_cost,
        unmarked_cost_usdc=unmarked_cost,
        open_positions=open_positions,
        unmarked=unmarked,
        realized_pnl_usdc=realized,
        fees_usdc=fees,
    )
