"""What became of one order, told alike for both ways of playing it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Shares, collateral without the fee and fee in micro-units; instants in Unix milliseconds."""

    status: str
    shares: int
    collateral: int
    fee: int
    first_fill_ms: int | None

    @property
    def price(self) -> float:
        """The average price, a plain number; only of an order with fills."""
        return self.collateral / self.shares
