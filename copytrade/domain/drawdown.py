"""How much an account has lost since its day began, realised and marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from copytrade.domain.units import notional_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from copytrade.domain.positions import Position
    from copytrade.domain.units import Millis, Price, Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStart:
    """Where a strategy on an account stood when the day began.

    `realized_usdc` is realised PnL net of fees. `unrealized_usdc` has every token held at that time with what it
    would have gained; None while nobody has told a price for it since.
    """

    strategy_id: str
    account_id: str
    started_at_ms: Millis
    realized_usdc: Usdc
    unrealized_usdc: Mapping[str, Usdc | None]


def unrealized(position: Position, price: Price) -> Usdc:
    """Return what selling a whole position at a price would add to its realised PnL."""
    return notional_down(position.shares, price) - position.cost_usdc


def gain_today(start: DayStart, realized: Usdc, held: Iterable[Position], mark: Callable[[str], Price | None]) -> Usdc:
    """Return realised and marked PnL since the day began; a loss is below zero.

    `realized` is net of fees, of all positions ever; `held` are those with shares. One without a mark counts as it
    stood when the day began, or at its cost if it is younger: no price is invented for it.
    """
    gain = (
        realized - start.realized_usdc - sum(amount for amount in start.unrealized_usdc.values() if amount is not None)
    )
    for position in held:
        token_id = position.token_id
        price = mark(token_id)
        before = start.unrealized_usdc.get(token_id)
        if token_id in start.unrealized_usdc and before is None:
            continue
        gain += (before or 0) if price is None else unrealized(position, price)
    return gain
