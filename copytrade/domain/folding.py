"""A position folded in place: the arithmetic of `positions`, for as many entries as a ledger has."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from copytrade.domain.positions import OversoldError
from copytrade.domain.settlement import SettlementKind
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from copytrade.domain.units import Price, Shares, Usdc

Owner = tuple[str, str, str]
"""Strategy, account and token: whose position."""


class Entry(Protocol):
    """An execution (`kind` is its side) or a settlement (its kind); `amount` is what it moved, without the fee."""

    @property
    def strategy_id(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def token_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def shares(self) -> Shares: ...
    @property
    def price(self) -> Price: ...
    @property
    def fee(self) -> Usdc: ...
    @property
    def amount(self) -> Usdc: ...
    @property
    def cost(self) -> Usdc: ...
    @property
    def has_failed(self) -> bool: ...


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


def refold(entries: Iterable[Entry]) -> Iterator[tuple[Owner, Fold, Usdc]]:
    """Yield each position with the cash that its entries moved; they come by strategy, account, token and place.

    :raises OversoldError: more left a position than it had.
    """
    for owner, rows in groupby(entries, key=lambda one: (one.strategy_id, one.account_id, one.token_id)):
        fold = Fold()
        moved = 0
        for row in rows:
            if not row.has_failed:
                moved += _move(fold, row)
        yield owner, fold, moved


def _move(fold: Fold, row: Entry) -> Usdc:
    """Fold one entry in; return the cash that it moved."""
    left: object = row
    if row.kind == "BUY":
        fold.buy(row.shares, row.price, row.fee)
        return -row.amount - row.fee
    if row.kind == SettlementKind.MIGRATION_IN:
        fold.move_in(row.shares, row.cost)
    elif row.kind == SettlementKind.MIGRATION_OUT:
        left = fold.move_out(row.shares)
    elif row.kind == "SELL":
        left = fold.sell(row.shares, row.price, row.fee)
    else:
        left = fold.leave(row.shares, row.amount)
    if left is None:
        raise OversoldError(f"{row.shares} micro-shares of {row.token_id} leave where {fold.shares} are held")
    return row.amount - row.fee
