"""The ledger in memory: the same promises as a database, for as long as the process lives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.attribution import MemoryAttributions
from copytrade.adapters.memory.ladder import MemoryLadder
from copytrade.adapters.memory.reconciliation import MemoryReconciliations
from copytrade.adapters.memory.risk import MemoryRisk
from copytrade.adapters.memory.state import Event, StoredFill
from copytrade.ports.leader_fills import CursorScope
from copytrade.ports.ledger import Ledger, UnknownLeaderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.leaders import Leader
    from copytrade.domain.market import Market
    from copytrade.domain.positions import Position
    from copytrade.domain.units import Millis
    from copytrade.ports.markets import RegistrySync


class MemoryLedger(MemoryLadder, MemoryReconciliations, MemoryRisk, MemoryAttributions, Ledger):
    """No method waits, so each is one transaction."""

    def hold_fill(self, recorded: RecordedFill) -> None:
        """Have a leader fill as it was, without asking where it came from."""
        self.stored[recorded.id] = StoredFill(recorded=recorded)
        self._by_tx[recorded.fill.tx_hash].append(self.stored[recorded.id])

    def hold_position(self, position: Position) -> None:
        """Have a position as it was."""
        self._positions[position.strategy_id, position.account_id, position.token_id] = position

    async def add_leader(self, leader: Leader) -> bool:
        known = self._leaders.get(leader.address)
        if known is not None and known.enabled:
            return False
        self._leaders[leader.address] = leader if known is None else replace(leader, id=known.id)
        if known is not None and leader.followed_since_ms < known.followed_since_ms:
            self._cursors.pop(CursorScope(leader_address=leader.address), None)
        return True

    async def remove_leader(self, address: str) -> None:
        if address not in self._leaders:
            raise UnknownLeaderError(f"{address} is not a leader")
        self._leaders[address] = replace(self._leaders[address], enabled=False)

    async def change_leader(self, leader: Leader) -> None:
        known = self._leaders.get(leader.address)
        if known is None:
            raise UnknownLeaderError(f"{leader.address} is not a leader")
        self._leaders[leader.address] = replace(
            leader,
            id=known.id,
            enabled=known.enabled,
            followed_since_ms=known.followed_since_ms,
            created_at_ms=known.created_at_ms,
        )
        self._leaders_revision += 1

    async def leaders(self) -> tuple[Leader, ...]:
        return tuple(self._leaders[address] for address in sorted(self._leaders))

    async def leaders_revision(self) -> int:
        if self._leaders != self._leaders_counted:
            self._leaders_counted = dict(self._leaders)
            self._leaders_revision += 1
        return self._leaders_revision

    async def save_markets(self, markets: Sequence[Market]) -> None:
        for market in markets:
            known = self._markets.get(market.condition_id)
            payouts = (known.payouts if known else None) or market.payouts
            tokens = tuple(sorted(market.tokens, key=lambda token: token.outcome_index))
            self._markets[market.condition_id] = replace(market, payouts=payouts, tokens=tokens)

    async def save_registry_sync(self, sync: RegistrySync | None) -> None:
        self._registry_sync = sync

    async def registry_sync(self) -> RegistrySync | None:
        return self._registry_sync

    async def markets(self, *, settled_since_ms: Millis | None = None) -> tuple[Market, ...]:
        stored = (self._markets[condition_id] for condition_id in sorted(self._markets))
        return tuple(market for market in stored if settled_since_ms is None or self._matters(market, settled_since_ms))

    def _matters(self, market: Market, settled_since_ms: Millis) -> bool:
        if not market.closed or market.payouts is None or market.updated_at_ms >= settled_since_ms:
            return True
        held = {position.token_id for position in self._positions.values() if position.shares > 0}
        return any(token.token_id in held for token in market.tokens)

    async def unlisted_tokens(self, *, after: str, limit: int) -> tuple[str, ...]:
        listed = {token.token_id for market in self._markets.values() for token in market.tokens}
        named = {stored.recorded.fill.token_id for stored in self.stored.values()}
        named |= {position.token_id for position in self._positions.values()}
        return tuple(sorted(token_id for token_id in named - listed if token_id > after)[:limit])

    async def note(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        self.events.append(Event(code=code, detail=dict(detail), at_ms=at_ms))

    async def count_rows(self, *, until_ms: Millis) -> Mapping[str, int]:
        return self.rows_now()

    async def recent_tokens(self, *, since_ms: Millis) -> Iterable[str]:
        fills = (stored.recorded.fill for stored in self.stored.values())
        traded = [fill.token_id for fill in fills if fill.fill_ts_ms >= since_ms]
        held = [position.token_id for position in self._positions.values() if position.shares > 0]
        return dict.fromkeys([*traded, *held])
