"""Attempts, executions and positions in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.fills import MemoryFills, cut_above, order_of_events
from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus, Decision, reason
from copytrade.domain.booking import ImpossibleExecutionError, book, end
from copytrade.domain.fills import Side
from copytrade.domain.leaders import is_copied
from copytrade.domain.money import Balance
from copytrade.domain.orders import OrderType
from copytrade.domain.positions import Position, cash_flow
from copytrade.ports.ledger import Booked, Orphaned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.adapters.memory.state import StoredFill
    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis, Usdc
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.ports.execution import OrderDone
    from copytrade.ports.leader_fills import FillsRemoved


class MemoryAttempts(MemoryFills):
    """The part of the ledger that decisions and executions write to."""

    async def orphan(self, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
        orphaned = self._take_away(self._fills_at(removed.logs), now_ms=now_ms)
        if removed.rewind_to is not None:
            self._rewind(removed.rewind_to)
            self.proved = cut_above(self.proved, removed.rewind_to)
        return orphaned

    async def refute(self, fill_ids: Sequence[UUID], *, now_ms: Millis) -> Orphaned:
        without_log = [one for one in self._not_orphaned(fill_ids) if one.recorded.fill.place is None]
        return self._take_away(without_log, now_ms=now_ms)

    async def take_away(self, fill_ids: Sequence[UUID], *, now_ms: Millis) -> Orphaned:
        return self._take_away(self._not_orphaned(fill_ids), now_ms=now_ms)

    def _not_orphaned(self, fill_ids: Sequence[UUID]) -> list[StoredFill]:
        known = (self.stored[fill_id] for fill_id in dict.fromkeys(fill_ids) if fill_id in self.stored)
        left = [one for one in known if one.orphaned_at_ms is None]
        return sorted(left, key=lambda one: (one.recorded.fill.fill_ts_ms, one.recorded.id))

    def _take_away(self, fills: list[StoredFill], *, now_ms: Millis) -> Orphaned:
        cancelled, already_sent = [], []
        for stored in fills:
            stored.orphaned_at_ms, stored.confirmed_at_ms = now_ms, None
        orphaned_ids = {stored.recorded.id for stored in fills}
        for attempt in self._oldest_first(self._attempts.values()):
            if attempt.leader_fill_id not in orphaned_ids:
                continue
            if (gone := self._cancel_orphaned(attempt, at_ms=now_ms)) is not None:
                cancelled.append(gone)
            elif attempt.order_hash is not None:
                already_sent.append(attempt)
        return Orphaned(
            fills=tuple(stored.recorded for stored in fills),
            cancelled=tuple(cancelled),
            already_sent=tuple(already_sent),
        )

    async def undecided(self, *, limit: int) -> tuple[RecordedFill, ...]:
        decided = {attempt.leader_fill_id for attempt in self._attempts.values()}
        leaders = {leader.address: leader for leader in self._leaders.values()}
        waiting = [
            stored.recorded
            for fill_id, stored in self.stored.items()
            if fill_id not in decided
            and stored.orphaned_at_ms is None
            and is_copied(leaders[stored.recorded.fill.leader], stored.recorded.fill.fill_ts_ms)
        ]
        return tuple(sorted(waiting, key=order_of_events)[:limit])

    async def record_attempt(self, attempt: ExecutionAttempt, *, carry: Carry | None = None) -> bool:
        if attempt.leader_fill_id not in self.stored:
            raise LookupError(f"attempt {attempt.id} is about no stored fill ({attempt.leader_fill_id})")
        subject = (attempt.leader_fill_id, attempt.strategy_id, attempt.account_id)
        if subject in self._subjects:
            return False
        self._subjects.add(subject)
        self._attempts[attempt.id] = attempt
        if carry is not None:
            self.carried[attempt.strategy_id, attempt.account_id, carry.leader_id, carry.token_id] = carry
        return True

    async def carries(self, *, strategy_id: str, account_id: str) -> tuple[Carry, ...]:
        owner = (strategy_id, account_id)
        return tuple(carry for key, carry in self.carried.items() if key[:2] == owner and carry.shares)

    async def decided_since(
        self, since_ms: Millis, *, strategy_id: str, account_id: str
    ) -> tuple[tuple[RecordedFill, ExecutionAttempt], ...]:
        owner = (strategy_id, account_id)
        return tuple(
            (self.stored[attempt.leader_fill_id].recorded, attempt)
            for attempt in self._oldest_first(self._attempts.values())
            if attempt.decided_at_ms >= since_ms and (attempt.strategy_id, attempt.account_id) == owner
        )

    async def last_entries(self, since_ms: Millis, *, strategy_id: str, account_id: str) -> Mapping[UUID, Millis]:
        decided = await self.decided_since(since_ms, strategy_id=strategy_id, account_id=account_id)
        return {
            recorded.leader_id: attempt.decided_at_ms
            for recorded, attempt in decided
            if attempt.decision is Decision.TRADE and attempt.side is Side.BUY
        }

    async def submit_attempt(
        self,
        attempt_id: UUID,
        *,
        order_hash: str,
        placed_at_ms: Millis,
        order_type: OrderType = OrderType.GTC,
        venue_order: VenueOrder | None = None,
    ) -> bool:
        attempt = self._attempts.get(attempt_id)
        if attempt is None or attempt.status is not AttemptStatus.PENDING:
            return False
        if self.stored[attempt.leader_fill_id].orphaned_at_ms is not None:
            self._cancel_orphaned(attempt, at_ms=attempt.decided_at_ms)
            return False
        self._attempts[attempt_id] = replace(
            attempt,
            status=AttemptStatus.SUBMITTED,
            order_type=order_type,
            order_hash=order_hash,
            placed_at_ms=placed_at_ms,
        )
        if venue_order is not None:
            self.venue_orders[attempt_id] = venue_order
        return True

    async def book_execution(self, fill: ExecutionFill) -> Booked | None:
        trade = (fill.account_id, fill.venue_trade_id)
        if trade in self._trades:
            return None
        attempt = self._attempts.get(fill.attempt_id)
        if attempt is None:
            raise ImpossibleExecutionError(f"execution {fill.venue_trade_id} of unknown attempt {fill.attempt_id}")
        owner = (fill.strategy_id, fill.account_id, fill.token_id)
        empty = Position(strategy_id=fill.strategy_id, account_id=fill.account_id, token_id=fill.token_id)
        booking = book(attempt, self._positions.get(owner, empty), fill)
        self.executions.append(fill)
        self._trades.add(trade)
        self._entries[owner].append(fill)
        self._attempts[attempt.id] = booking.attempt
        self._positions[owner] = booking.position
        self._move_cash(fill.strategy_id, fill.account_id, cash_flow(fill))
        return Booked(attempt=booking.attempt, position=booking.position)

    async def close_attempt(
        self, attempt_id: UUID, *, status: AttemptStatus, reason: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        attempt = self._attempts.get(attempt_id)
        return None if attempt is None else self._end(attempt, status=status, why=reason, at_ms=at_ms)

    async def close_attempts(self, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
        closed: dict[UUID, ExecutionAttempt] = {}
        for told in endings:
            attempt = closed.get(told.attempt_id) or self._attempts.get(told.attempt_id)
            after = attempt and end(attempt, status=told.status, why=told.reason, at_ms=told.at_ms)
            if after is not None:
                closed[told.attempt_id] = after
        self._attempts |= closed
        return tuple(closed.values())

    async def attempt(self, attempt_id: UUID) -> ExecutionAttempt | None:
        return self._attempts.get(attempt_id)

    async def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        return tuple(
            attempt for attempt in self._oldest_first(self._attempts.values()) if attempt.status in OPEN_STATUSES
        )

    async def positions(self) -> tuple[Position, ...]:
        return tuple(self._positions[owner] for owner in sorted(self._positions))

    def _move_cash(self, strategy_id: str, account_id: str, amount: Usdc) -> None:
        known = self._balance(strategy_id, account_id)
        self._balances[strategy_id, account_id] = replace(known, cash_usdc=known.cash_usdc + amount)

    def _balance(self, strategy_id: str, account_id: str) -> Balance:
        empty = Balance(strategy_id=strategy_id, account_id=account_id, start_cash_usdc=0, cash_usdc=0)
        return self._balances.get((strategy_id, account_id), empty)

    def _cancel_orphaned(self, attempt: ExecutionAttempt, *, at_ms: Millis) -> ExecutionAttempt | None:
        if attempt.status is not AttemptStatus.PENDING:
            return None
        return self._end(attempt, status=AttemptStatus.CANCELED, why=reason("ORPHANED"), at_ms=at_ms)

    def _end(
        self, attempt: ExecutionAttempt, *, status: AttemptStatus, why: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        after = end(attempt, status=status, why=why, at_ms=at_ms)
        if after is not None:
            self._attempts[attempt.id] = after
        return after

    @staticmethod
    def _oldest_first(attempts: Iterable[ExecutionAttempt]) -> list[ExecutionAttempt]:
        return sorted(attempts, key=lambda attempt: (attempt.created_at_ms, attempt.id))
