"""Somebody who reads the rows of a worker's file and the world's own books, and says what the switch owes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from copytrade.adapters.sql import executions, risk_tables
from copytrade.adapters.sql.engine import Database
from copytrade.domain.halts import BY_DRAWDOWN
from copytrade.domain.positions import Position
from copytrade.sandbox.market import Market
from copytrade.sandbox.world import World
from tests.simulation.storage import InlineDatabase


@dataclass(frozen=True, slots=True)
class Loss:
    """What the day has lost, in micro-USDC: the least and the most, as results that are not settled yet are counted."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Worth:
    """Net realised PnL and what the positions would bring beyond their cost, as in `Loss`."""

    least: int
    most: int


class Witness:
    """Values the positions of a ledger by the books of the world itself."""

    def __init__(self, path: Path, world: World) -> None:
        self._database: Database = InlineDatabase(f"sqlite:///{path}")
        self._world = world
        self._bids: dict[str, int] = {}
        self._base = Worth(0, 0)

    def close(self) -> None:
        """Let go of the file."""
        self._database.dispose()

    def positions(self) -> tuple[Position, ...]:
        """Return every position as it is stored."""
        return self._database.transaction(executions.positions)

    def held(self) -> dict[str, tuple[int, int]]:
        """Return shares and cost of what is held, by token."""
        return {one.token_id: (one.shares, one.cost_usdc) for one in self.positions() if one.shares}

    def begin_day(self) -> None:
        """Count from here."""
        self._base = self._worth()

    def loss(self) -> Loss:
        """Return what was lost since the day began."""
        now = self._worth()
        return Loss(least=self._base.least - now.most, most=self._base.most - now.least)

    def drawdown_is_open(self) -> bool:
        """Tell whether the switch is thrown, by its row."""
        return self._database.transaction(_drawdown_is_open)

    def unsettled(self) -> list[str]:
        """Return the tokens we hold although their market has resolved."""
        return [token for token in self.held() if (market := self._market(token)) is not None and market.payouts]

    def _worth(self) -> Worth:
        least = most = 0
        for one in self.positions():
            realized = one.realized_pnl_usdc - one.fees_usdc
            marks = self._marks(one) if one.shares else [0]
            values = [one.shares * mark // 1_000_000 - one.cost_usdc for mark in marks]
            least, most = least + realized + min(values), most + realized + max(values)
        return Worth(least, most)

    def _marks(self, position: Position) -> list[int]:
        """Return the last bid, and the payout too if there is one: whichever the worker knows of."""
        token, market = position.token_id, self._market(position.token_id)
        if market is None:
            raise LookupError(f"{token} is of no market of this world")
        outcome = market.outcome_of(int(token))
        bids, _ = self._world.exchange.book(market).view(outcome)
        if bids:
            self._bids[token] = bids[-1].price
        bid = self._bids.get(token, position.cost_usdc * 1_000_000 // position.shares)
        return [bid] if market.payouts is None else [bid, market.payouts[outcome]]

    def _market(self, token: str) -> Market | None:
        return self._world.exchange.catalogue.by_token_text(token)


def drawdown_began(halt: dict[str, object]) -> int | None:
    """Return when a halt that was told of began, if it is the switch's."""
    return int(str(halt["since_ms"])) if halt.get("cause") == BY_DRAWDOWN else None


def _drawdown_is_open(connection: Connection) -> bool:
    halt = risk_tables.halt_state.c
    query = select(halt.id).where(halt.cause == BY_DRAWDOWN, halt.ended_at.is_(None))
    return connection.execute(query).first() is not None
