"""A position folded in place: the arithmetic of `positions`, for as many entries as a ledger has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from copytrade.domain.units import Price, Shares, Usdc


class Fold:
    """Shares, cost, realised PnL and fees so far; the methods return what an entry moved and realised.

    Selling or settling more than is held leaves everything as it was and returns None.
    """

    __slots__ = ("cost", "fees", "realized", "shares")

    def __init__(self) -> None:
        self.shares: Shares = 0
        self.cost: Usdc = 0
        self.realized: Usdc = 0
        self.fees: Usdc = 0

    def buy(self, shares: Shares, price: Price, fee: Usdc) -> Usdc:
        """Add shares; return what they cost, rounded up."""
        paid = -(-shares * price // MICRO)
        self.shares += shares
        self.cost += paid
        self.fees += fee
        return paid

    def sell(self, shares: Shares, price: Price, fee: Usdc) -> tuple[Usdc, Usdc] | None:
        """Take shares off at a price; return what they brought, rounded down, and what that realised."""
        brought = shares * price // MICRO
        earned = self.leave(shares, brought)
        if earned is None:
            return None
        self.fees += fee
        return brought, earned

    def leave(self, shares: Shares, proceeds: Usdc) -> Usdc | None:
        """Take shares off for an amount; return what that realised."""
        if shares > self.shares:
            return None
        cost = self._take_cost(shares)
        self.realized += proceeds - cost
        return proceeds - cost

    def move_out(self, shares: Shares) -> Usdc | None:
        """Take shares off with their cost, realising nothing; return the cost."""
        return None if shares > self.shares else self._take_cost(shares)

    def move_in(self, shares: Shares, cost: Usdc) -> None:
        """Add shares with their cost."""
        self.shares += shares
        self.cost += cost

    def _take_cost(self, shares: Shares) -> Usdc:
        cost = self.cost * shares // self.shares if shares else 0
        self.shares -= shares
        self.cost -= cost
        return cost
