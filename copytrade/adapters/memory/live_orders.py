"""Real orders in memory: how far their trades have come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.attempts import MemoryAttempts
from copytrade.adapters.memory.state import Event
from copytrade.domain.attempts import Settlement, advanced
from copytrade.domain.positions import Position, cash_flow, fold
from copytrade.ports.ledger import Booked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.units import Millis


class MemoryLiveOrders(MemoryAttempts):
    """The part of the ledger that follows trades until they are settled."""

    async def settle_execution(self, fill: ExecutionFill, *, at_ms: Millis) -> Booked | None:
        stored = next(iter(await self.trades_of(fill.account_id, [fill.venue_trade_id])), None)
        after = None if stored is None else advanced(stored, fill)
        if stored is None or after is None:
            return None
        owner = (stored.strategy_id, stored.account_id, stored.token_id)
        entries = [after if entry is stored else entry for entry in self._entries[owner]]
        empty = Position(strategy_id=stored.strategy_id, account_id=stored.account_id, token_id=stored.token_id)
        self._positions[owner] = fold(empty, entries)
        self._entries[owner] = entries
        self.executions[self.executions.index(stored)] = after
        self._move_cash(stored.strategy_id, stored.account_id, cash_flow(after) - cash_flow(stored))
        attempt = self._attempts[stored.attempt_id]
        if after.settlement is Settlement.FAILED and stored.settlement is not Settlement.FAILED:
            attempt = replace(attempt, filled_shares=attempt.filled_shares - stored.shares)
            self._attempts[attempt.id] = attempt
            self._kept_stakes.pop(owner, None)
            self.events.append(Event(code="TRADE_FAILED", detail=after.told(), at_ms=at_ms))
        return Booked(attempt=attempt, position=self._positions[owner])

    async def unsettled_executions(self) -> tuple[ExecutionFill, ...]:
        waiting = (fill for fill in self.executions if not fill.is_settled)
        return tuple(sorted(waiting, key=lambda fill: (fill.fill_at_ms, fill.id)))

    async def trades_of(self, account_id: str, venue_trade_ids: Sequence[str]) -> tuple[ExecutionFill, ...]:
        asked = set(venue_trade_ids)
        return tuple(fill for fill in self.executions if fill.account_id == account_id and fill.venue_trade_id in asked)

    async def orders_since(self, account_id: str, since_ms: Millis) -> tuple[ExecutionAttempt, ...]:
        return tuple(
            attempt
            for attempt in self._oldest_first(self._attempts.values())
            if attempt.account_id == account_id and attempt.decided_at_ms >= since_ms and attempt.order_hash is not None
        )

    async def attempts_of_orders(self, order_hashes: Collection[str]) -> tuple[ExecutionAttempt, ...]:
        return tuple(attempt for attempt in self._attempts.values() if attempt.order_hash in order_hashes)
