"""What most stages are wired to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copytrade.domain.units import Usdc
    from copytrade.engine.listeners import Listeners
    from copytrade.engine.notes import Notes
    from copytrade.engine.portfolio import Portfolio
    from copytrade.engine.roll import LedgerRoll
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One of each."""

    settings: Settings
    ledger: Ledger
    roll: LedgerRoll
    registry: MarketRegistry
    books: BookStore
    portfolio: Portfolio
    executor: ExecutionAdapter
    listeners: Listeners
    notes: Notes
    clock: Clock
    wallet: Usdc | None = None
    """What a real account held before its first order of this life, where nothing of it was under way."""
