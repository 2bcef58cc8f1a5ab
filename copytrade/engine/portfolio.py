"""Positions and open orders in memory: a copy of the ledger's, kept in step after each commit."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import OPEN_STATUSES
from copytrade.domain.fills import Side

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.positions import Position
    from copytrade.domain.units import Shares, Usdc
    from copytrade.ports.ledger import Booked, Ledger


class Portfolio:
    """What one strategy holds on one account, and what its open orders may still do to it."""

    def __init__(self, *, strategy_id: str, account_id: str) -> None:
        self._owner = (strategy_id, account_id)
        self._positions: dict[str, Position] = {}
        self._open: dict[UUID, ExecutionAttempt] = {}
        self._promised: defaultdict[str, Shares] = defaultdict(int)
        """By token, what open sells may still take; asked for with every fill, however many orders are open."""
        self._unsettled: dict[str, tuple[str, Shares]] = {}
        """By trade, what was bought and may still turn out void; it cannot be sold before it is settled."""
        self._waiting: defaultdict[str, Shares] = defaultdict(int)
        """The same, summed by token."""
        self.moving: Final = asyncio.Lock()
        """Held from a write that moves a position until it is taken in here: answers may come in another order."""

    @property
    def strategy_id(self) -> str:
        """Whose orders these are."""
        return self._owner[0]

    @property
    def account_id(self) -> str:
        """Where they are."""
        return self._owner[1]

    async def load(self, ledger: Ledger) -> None:
        """Read positions and open attempts as last committed."""
        for position in await ledger.positions():
            if (position.strategy_id, position.account_id) == self._owner:
                self._positions[position.token_id] = position
        for attempt in await ledger.open_attempts():
            self.follow(attempt)
        for fill in await ledger.unsettled_executions():
            if (fill.strategy_id, fill.account_id) == self._owner:
                self.expect(fill)

    def follow(self, attempt: ExecutionAttempt) -> None:
        """Take an attempt as it now stands: kept while open, forgotten once it ended."""
        if (attempt.strategy_id, attempt.account_id) != self._owner:
            return
        before = self._open.get(attempt.id)
        if before is not None:
            self._promised[before.token_id] -= _promised_by(before)
        if attempt.status in OPEN_STATUSES:
            self._open[attempt.id] = attempt
            self._promised[attempt.token_id] += _promised_by(attempt)
        else:
            self._open.pop(attempt.id, None)
        if not self._promised[attempt.token_id]:
            del self._promised[attempt.token_id]

    def book(self, booked: Booked) -> None:
        """Take the attempt and the position of an execution that was just committed."""
        self._positions[booked.position.token_id] = booked.position
        self.follow(booked.attempt)

    def expect(self, fill: ExecutionFill) -> None:
        """Take how far an execution has come: what a buy brought is kept from being sold until it is settled."""
        token_id, shares = self._unsettled.pop(fill.venue_trade_id, (fill.token_id, 0))
        if fill.side is Side.BUY and not fill.is_settled:
            self._unsettled[fill.venue_trade_id] = (fill.token_id, fill.shares)
            self._waiting[fill.token_id] += fill.shares
        self._waiting[token_id] -= shares
        if not self._waiting[token_id]:
            del self._waiting[token_id]

    def hold(self, position: Position) -> None:
        """Take a position that something other than an execution changed."""
        self._positions[position.token_id] = position

    def sellable(self, token_id: str) -> Shares:
        """Return the shares held that are settled and that no open sell has already promised."""
        position = self._positions.get(token_id)
        held = position.shares if position else 0
        return held - self._promised.get(token_id, 0) - self._waiting.get(token_id, 0)

    def net_pnl_usdc(self) -> Usdc:
        """Return what was realised in all positions, less every fee paid."""
        return sum(position.realized_pnl_usdc - position.fees_usdc for position in self._positions.values())

    def positions(self) -> tuple[Position, ...]:
        """Return every position ever held, closed ones too."""
        return tuple(self._positions.values())

    def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        """Return the attempts that are still open."""
        return tuple(self._open.values())

    def tokens(self) -> tuple[str, ...]:
        """Return the tokens that are held or have an open order."""
        held = (token for token, position in self._positions.items() if position.shares)
        return tuple(dict.fromkeys([*held, *(attempt.token_id for attempt in self._open.values())]))


def _promised_by(attempt: ExecutionAttempt) -> Shares:
    return max(0, attempt.size_shares_target - attempt.filled_shares) if attempt.side is Side.SELL else 0
