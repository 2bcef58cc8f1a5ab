"""Positions, open orders and what is at stake, in memory: a copy of the ledger's, kept in step after each commit.

What an attempt may cost is reserved before it is stored, and nothing may wait between the check of a limit and
the reservation: decisions on different tokens run at the same time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import OPEN_STATUSES, Settlement
from copytrade.domain.exposure import Exposure
from copytrade.domain.fills import Side
from copytrade.domain.positions import Position
from copytrade.engine.at_stake import AtStake

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.market import Market
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Shares, Usdc
    from copytrade.ports.ledger import Booked, Ledger


class Portfolio:
    """What one strategy holds on one account, and what its open orders may still do to it."""

    def __init__(self, *, strategy_id: str, account_id: str, exposure: Exposure | None = None) -> None:
        """Prepare; portfolios of one process share an `exposure`, so that limits on everything see all of them."""
        self._owner = (strategy_id, account_id)
        self._positions: dict[str, Position] = {}
        self._held: dict[str, Position] = {}
        self._net_pnl_usdc: Usdc = 0
        self._open: dict[UUID, ExecutionAttempt] = {}
        self._promised: defaultdict[str, Shares] = defaultdict(int)
        """By token, what open sells may still take; asked for with every fill, however many orders are open."""
        self._reserved: dict[UUID, bool] = {}
        self.at_stake = AtStake(
            strategy_id=strategy_id, account_id=account_id, exposure=Exposure() if exposure is None else exposure
        )
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
                self._take(position)
        for attempt in await ledger.open_attempts():
            self.follow(attempt)
        for fill in await ledger.unsettled_executions():
            if (fill.strategy_id, fill.account_id) == self._owner:
                self.expect(fill)

    def reserve(self, attempt: ExecutionAttempt, *, leader: str, market: Market | None) -> None:
        """Count an attempt that is about to be stored as open, and a buy as filled at worst; once if it is open.

        `follow` it once it is stored, `release` it if it is not.
        """
        if attempt.id not in self._open:
            self._keep(attempt)
            self._reserved[attempt.id] = self.at_stake.reserve(attempt, leader=leader, market=market)

    def release(self, attempt_id: UUID) -> None:
        """Take back what was reserved for an attempt that was not stored; one that is stored stays."""
        if attempt_id in self._reserved:
            self._forget(attempt_id)
            self.at_stake.release(attempt_id, is_counted=self._reserved.pop(attempt_id))

    def follow(self, attempt: ExecutionAttempt) -> None:
        """Take an attempt as it now stands: kept while open, forgotten once it ended."""
        if (attempt.strategy_id, attempt.account_id) != self._owner:
            return
        self._reserved.pop(attempt.id, None)
        if attempt.status in OPEN_STATUSES:
            self._keep(attempt)
        else:
            self._forget(attempt.id)
            self.at_stake.ended(attempt.id)

    def book(self, booked: Booked, fill: ExecutionFill) -> None:
        """Take the attempt and the position of an execution that was just committed, or that came further.

        Where its fee alone is corrected, nothing else is counted anew.
        """
        token_id = booked.position.token_id
        before = self._positions.get(token_id, self._empty(token_id))
        if booked.position.shares != before.shares:
            count = self.at_stake.voided if fill.settlement is Settlement.FAILED else self.at_stake.executed
            count(fill, before, booked.position)
        self._take(booked.position)
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

    def settle(self, settlement: PositionSettlement, position: Position) -> None:
        """Take a position that something other than an execution changed."""
        self._take(position)
        self.at_stake.settled(settlement, position)

    def sellable(self, token_id: str) -> Shares:
        """Return the shares held that are settled and that no open sell has already promised."""
        position = self._positions.get(token_id)
        held = position.shares if position else 0
        return held - self._promised.get(token_id, 0) - self._waiting.get(token_id, 0)

    def net_pnl_usdc(self) -> Usdc:
        """Return what was realised in all positions, less every fee paid."""
        return self._net_pnl_usdc

    def positions(self) -> tuple[Position, ...]:
        """Return every position ever held, closed ones too."""
        return tuple(self._positions.values())

    def held(self) -> tuple[Position, ...]:
        """Return the positions with shares."""
        return tuple(self._held.values())

    def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        """Return the attempts that are still open."""
        return tuple(self._open.values())

    def tokens(self) -> tuple[str, ...]:
        """Return the tokens that are held or have an open order."""
        return tuple(dict.fromkeys([*self._held, *(attempt.token_id for attempt in self._open.values())]))

    def _take(self, position: Position) -> None:
        before = self._positions.get(position.token_id, self._empty(position.token_id))
        self._net_pnl_usdc += _net_of(position) - _net_of(before)
        self._positions[position.token_id] = position
        if position.shares:
            self._held[position.token_id] = position
        else:
            self._held.pop(position.token_id, None)

    def _keep(self, attempt: ExecutionAttempt) -> None:
        self._forget(attempt.id)
        self._open[attempt.id] = attempt
        self._promise(attempt.token_id, _promised_by(attempt))

    def _forget(self, attempt_id: UUID) -> None:
        before = self._open.pop(attempt_id, None)
        if before is not None:
            self._promise(before.token_id, -_promised_by(before))

    def _promise(self, token_id: str, shares: Shares) -> None:
        self._promised[token_id] += shares
        if not self._promised[token_id]:
            del self._promised[token_id]

    def _empty(self, token_id: str) -> Position:
        strategy_id, account_id = self._owner
        return Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)


def _net_of(position: Position) -> Usdc:
    return position.realized_pnl_usdc - position.fees_usdc


def _promised_by(attempt: ExecutionAttempt) -> Shares:
    return max(0, attempt.size_shares_target - attempt.filled_shares) if attempt.side is Side.SELL else 0
