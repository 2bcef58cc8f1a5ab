"""What the ledger in memory holds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.attribution import Attribution
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill, Source
    from copytrade.domain.leader_events import LeaderEvent
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.markouts import FillMarks
    from copytrade.domain.money import Balance, EquityPoint
    from copytrade.domain.positions import Position
    from copytrade.domain.settlement import PositionSettlement, Resolution
    from copytrade.domain.units import Millis, Price
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.ports.leader_fills import Cursor, CursorScope, ProvedRange
    from copytrade.ports.markets import RegistrySync
    from copytrade.ports.stake_memory import KeptStakes

Report = tuple["Source", str]
Owner = tuple[str, str, str]
"""Strategy, account and token: whose position."""


@dataclass(slots=True, kw_only=True)
class StoredFill:
    """A leader fill with what happened to it since, and the reports of it."""

    recorded: RecordedFill
    reports: set[Report] = field(default_factory=set)
    confirmed_at_ms: Millis | None = None
    orphaned_at_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the audit trail."""

    code: str
    detail: Mapping[str, object]
    at_ms: Millis


class MemoryState:
    """Dictionaries. The public ones are for tests to read."""

    def __init__(self) -> None:
        self.stored: dict[UUID, StoredFill] = {}
        self.payloads: dict[Report, str] = {}
        self.executions: list[ExecutionFill] = []
        self.events: list[Event] = []
        self.leader_events: dict[str, LeaderEvent] = {}
        self.carried: dict[tuple[str, str, UUID, str], Carry] = {}
        self.attributions: dict[UUID, Attribution] = {}
        self.fill_marks: dict[tuple[UUID, Millis], FillMarks] = {}
        self.proved: tuple[ProvedRange, ...] = ()
        self.proved_at_ms: Millis = 0
        self._leaders: dict[str, Leader] = {}
        self._leaders_counted: dict[str, Leader] = {}
        self._leaders_revision = 0
        self._cursors: dict[CursorScope, Cursor] = {}
        self._by_tx: dict[str, list[StoredFill]] = defaultdict(list)
        self._by_report: dict[Report, StoredFill] = {}
        self._attempts: dict[UUID, ExecutionAttempt] = {}
        self._subjects: set[tuple[UUID, str, str]] = set()
        self.venue_orders: dict[UUID, VenueOrder] = {}
        self._trades: set[tuple[str, str]] = set()
        self._positions: dict[Owner, Position] = {}
        self._entries: dict[Owner, list[ExecutionFill | PositionSettlement]] = defaultdict(list)
        self._kept_stakes: dict[Owner, KeptStakes] = {}
        self._balances: dict[tuple[str, str], Balance] = {}
        self._resolutions: dict[str, Resolution] = {}
        self._marks: dict[str, Price | None] = {}
        self._equity: dict[tuple[str, Millis], EquityPoint] = {}
        self._markets: dict[str, Market] = {}
        self._registry_sync: RegistrySync | None = None

    def every_attempt(self) -> list[ExecutionAttempt]:
        """Return all attempts, in the order they were stored."""
        return list(self._attempts.values())

    def find_attempt(self, attempt_id: UUID) -> ExecutionAttempt | None:
        """Return one attempt."""
        return self._attempts.get(attempt_id)

    def every_entry(self) -> dict[Owner, list[ExecutionFill | PositionSettlement]]:
        """Return what moved each position, in order."""
        return self._entries

    def every_position(self) -> dict[Owner, Position]:
        """Return all positions."""
        return self._positions

    def every_balance(self) -> list[Balance]:
        """Return all balances."""
        return list(self._balances.values())

    def every_leader(self) -> list[Leader]:
        """Return all leaders."""
        return list(self._leaders.values())

    def every_cursor(self) -> dict[CursorScope, Cursor]:
        """Return all cursors."""
        return self._cursors

    def every_report(self) -> dict[Report, StoredFill]:
        """Return the fill of each report."""
        return self._by_report

    def resolution_of(self, condition_id: str) -> tuple[Resolution | None, Market | None]:
        """Return what is recorded of a market's resolution, and the market."""
        return self._resolutions.get(condition_id), self._markets.get(condition_id)

    def rows_now(self) -> dict[str, int]:
        """Return how many rows the tables that only grow have."""
        return {
            "leader_fill": len(self.stored),
            "leader_fill_raw": len(self.payloads),
            "execution_attempt": len(self._attempts),
            "execution_fill": len(self.executions),
        }
