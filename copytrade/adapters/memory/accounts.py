"""Cash, settlements and equity in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.live_orders import MemoryLiveOrders
from copytrade.domain.attempts import OPEN_STATUSES, ExecutionFill, Settlement
from copytrade.domain.closing import Holding, merge, migrate, resolve
from copytrade.domain.fills import Side
from copytrade.domain.leader_events import LeaderEventKind
from copytrade.domain.positions import Position
from copytrade.domain.settlement import PositionSettlement
from copytrade.domain.stakes import CopiedShares, stakes_after
from copytrade.ports.accounts import Settled, UnknownMarketError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from copytrade.adapters.memory.state import Owner
    from copytrade.domain.closing import Closing
    from copytrade.domain.market import Market
    from copytrade.domain.money import Balance, EquityPoint
    from copytrade.domain.settlement import Resolution
    from copytrade.domain.units import Millis, Price, Usdc


class MemoryAccounts(MemoryLiveOrders):
    """The part of the ledger that keeps the money."""

    async def fund_account(self, strategy_id: str, account_id: str, *, start_cash: Usdc, now_ms: Millis) -> Balance:
        self._move_cash(strategy_id, account_id, 0)
        known = self._balances[strategy_id, account_id]
        funded = replace(
            known, start_cash_usdc=start_cash, cash_usdc=known.cash_usdc + start_cash - known.start_cash_usdc
        )
        self._balances[strategy_id, account_id] = funded
        return funded

    async def balances(self) -> tuple[Balance, ...]:
        return tuple(self._balances[owner] for owner in sorted(self._balances))

    async def settle(self, resolution: Resolution) -> Settled:
        market = self._market(resolution.condition_id)
        if len(market.tokens) != len(resolution.payouts):
            raise UnknownMarketError(f"{resolution.condition_id} has {len(market.tokens)} outcomes")
        recorded = self._resolutions.setdefault(resolution.condition_id, resolution)
        if recorded.payouts != resolution.payouts:
            return Settled(recorded=recorded)
        closings, waiting = [], []
        for token, payout in zip(market.tokens, resolution.payouts, strict=True):
            for holding in self._holdings(token.token_id):
                if holding.free < holding.position.shares:
                    waiting.append(token.token_id)
                if holding.free:
                    closings.append(resolve(holding, payout=payout, resolution=resolution))
        self._keep(closings)
        return Settled(closings=tuple(closings), waiting=tuple(waiting), recorded=recorded)

    async def merge_sets(
        self, condition_id: str, *, strategy_id: str, account_id: str, at_ms: Millis
    ) -> tuple[Closing, ...]:
        owners = [(strategy_id, account_id, token.token_id) for token in self._market(condition_id).tokens]
        closings = merge([self._holding(owner) for owner in owners], condition_id=condition_id, at_ms=at_ms)
        self._keep(closings)
        return closings

    async def rename_token(
        self, old_token_id: str, new_token_id: str, *, condition_id: str, source: str, at_ms: Millis
    ) -> Settled:
        closings: list[Closing] = []
        waiting = []
        for holding in self._holdings(old_token_id):
            if holding.free < holding.position.shares:
                waiting.append(old_token_id)
            if holding.free:
                new = self._position((holding.position.strategy_id, holding.position.account_id, new_token_id))
                closings += migrate(holding, new, condition_id=condition_id, source=source, at_ms=at_ms)
        self._keep(closings)
        return Settled(closings=tuple(closings), waiting=tuple(waiting))

    async def resolutions(self) -> tuple[Resolution, ...]:
        return tuple(self._resolutions[condition_id] for condition_id in sorted(self._resolutions))

    async def migrated(self) -> frozenset[str]:
        events = [event for event in self.leader_events.values() if event.kind is LeaderEventKind.MIGRATION]
        return frozenset(name for event in events for name in (event.condition_id, event.token_id) if name)

    async def settlements(self, *, strategy_id: str, account_id: str, token_id: str) -> tuple[PositionSettlement, ...]:
        entries = self._entries.get((strategy_id, account_id, token_id), [])
        return tuple(entry for entry in entries if isinstance(entry, PositionSettlement))

    async def add_equity_point(self, point: EquityPoint, marks: Mapping[str, Price | None]) -> None:
        self._equity[point.account_id, point.at_ms] = point
        self._marks |= marks

    async def marks(self) -> Mapping[str, Price | None]:
        return dict(self._marks)

    async def equity_points(self, account_id: str, *, since_ms: Millis) -> tuple[EquityPoint, ...]:
        found = [
            point for (account, at_ms), point in self._equity.items() if account == account_id and at_ms >= since_ms
        ]
        return tuple(sorted(found, key=lambda point: point.at_ms))

    def _market(self, condition_id: str) -> Market:
        market = self._markets.get(condition_id)
        if market is None:
            raise UnknownMarketError(f"no market has the condition {condition_id}")
        return market

    def _holdings(self, token_id: str) -> Iterator[Holding]:
        """Yield what every strategy and account holds of a token, by their names."""
        for owner in sorted(owner for owner, held in self._positions.items() if owner[2] == token_id and held.shares):
            yield self._holding(owner)

    def _holding(self, owner: Owner) -> Holding:
        position = self._position(owner)
        promised = sum(
            attempt.size_shares_target - attempt.filled_shares
            for attempt in self._attempts.values()
            if (attempt.strategy_id, attempt.account_id, attempt.token_id) == owner
            and attempt.side is Side.SELL
            and attempt.status in OPEN_STATUSES
        )
        stakes = stakes_after(self._copied(owner)) if position.shares else {}
        free = 0 if self._is_on_its_way(owner) else max(0, position.shares - promised)
        return Holding(position=position, free=free, stakes=stakes)

    def _is_on_its_way(self, owner: Owner) -> bool:
        """Tell whether an execution of a position may still turn out void: until then nothing of it is free."""
        return any(isinstance(entry, ExecutionFill) and not entry.is_settled for entry in self._entries.get(owner, []))

    def _position(self, owner: Owner) -> Position:
        strategy_id, account_id, token_id = owner
        empty = Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)
        return self._positions.get(owner, empty)

    def _copied(self, owner: Owner) -> Iterator[CopiedShares | PositionSettlement]:
        for entry in self._entries.get(owner, []):
            if isinstance(entry, PositionSettlement):
                yield entry
            elif entry.settlement is not Settlement.FAILED:
                yield CopiedShares(leader_id=self._leader_of(entry), side=entry.side, shares=entry.shares)

    def _leader_of(self, fill: ExecutionFill) -> UUID:
        return self.stored[self._attempts[fill.attempt_id].leader_fill_id].recorded.leader_id

    def _keep(self, closings: Sequence[Closing]) -> None:
        for closing in closings:
            settlement, position = closing.settlement, closing.position
            owner = (position.strategy_id, position.account_id, position.token_id)
            self._entries[owner].append(settlement)
            self._positions[owner] = position
            self._move_cash(position.strategy_id, position.account_id, settlement.proceeds_usdc)
