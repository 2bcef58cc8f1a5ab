"""Comparisons with the chain in memory, and what they repair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.attempts import MemoryAttempts
from copytrade.domain.attempts import ExecutionFill
from copytrade.domain.positions import Position, cash_flow, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from copytrade.adapters.memory.state import Owner
    from copytrade.domain.reconciliation import Summary
    from copytrade.domain.units import Millis


class MemoryReconciliations(MemoryAttempts):
    """The part of the ledger that comparisons use. What is undecided is looked up, so no fill is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.kept_summaries: list[Summary] = []

    async def mapped(self, token_ids: Collection[str]) -> frozenset[str]:
        known = {token.token_id for market in self._markets.values() for token in market.tokens}
        return frozenset(known.intersection(token_ids))

    async def await_decisions(self, fill_ids: Sequence[UUID]) -> int:
        return 0

    async def refold(self, *, now_ms: Millis) -> int:
        owners = {*self._positions, *self._entries}
        follows = {owner: fold(_empty(owner), self._entries.get(owner, [])) for owner in sorted(owners)}
        cash = {owner: balance.start_cash_usdc for owner, balance in self._balances.items()}
        for (strategy_id, account_id, _), entries in self._entries.items():
            moved = sum(cash_flow(one) if isinstance(one, ExecutionFill) else one.proceeds_usdc for one in entries)
            cash[strategy_id, account_id] = cash.get((strategy_id, account_id), 0) + moved
        wrong = sum(self._positions.get(owner) != position for owner, position in follows.items())
        self._positions |= follows
        for (strategy_id, account_id), amount in cash.items():
            known = self._balance(strategy_id, account_id)
            wrong += known.cash_usdc != amount
            self._balances[strategy_id, account_id] = replace(known, cash_usdc=amount)
        return wrong

    async def keep_summary(self, summary: Summary) -> None:
        self.kept_summaries.append(summary)

    async def summaries(self, *, limit: int) -> tuple[Summary, ...]:
        return tuple(sorted(self.kept_summaries, key=lambda one: one.at_ms, reverse=True)[:limit])


def _empty(owner: Owner) -> Position:
    strategy_id, account_id, token_id = owner
    return Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)
