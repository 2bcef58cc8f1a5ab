"""Limits, halts, gates and days in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.accounts import MemoryAccounts
from copytrade.adapters.memory.state import Event
from copytrade.domain.attempts import OPEN_STATUSES, Decision, ExecutionFill, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.halts import told as halt_told
from copytrade.domain.positions import Position, fold
from copytrade.domain.risk import LIMIT_SET, LimitChange
from copytrade.domain.risk import told as limit_told
from copytrade.domain.settlement import PositionSettlement
from copytrade.domain.units import notional_down, notional_up
from copytrade.ports.risk import CopiedAttempt, CopiedExecution, DayFigures
from copytrade.ports.stake_memory import NumberedMove

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from copytrade.adapters.memory.state import Owner
    from copytrade.domain.drawdown import DayStart
    from copytrade.domain.gates import GateState
    from copytrade.domain.halts import Halt
    from copytrade.domain.market import Market
    from copytrade.domain.risk import LimitName
    from copytrade.domain.scopes import Scope
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.stake_memory import KeptStakes


class MemoryRisk(MemoryAccounts):
    """The part of the ledger that limits, halts and gates use. The public attributes are for tests to read."""

    def __init__(self) -> None:
        super().__init__()
        self.risk_events: list[Event] = []
        self.halts: dict[str, Halt] = {}
        self.gates: tuple[GateState, ...] = ()
        self.gates_at_ms: Millis | None = None
        self.days: dict[tuple[str, str], DayStart] = {}
        self.day_gains: dict[tuple[str, str], tuple[Usdc, int]] = {}
        self._limit_changes: list[LimitChange] = []

    async def set_limit(
        self, name: LimitName, scope: Scope, value: int | None, *, start: int | None, by: str, at_ms: Millis
    ) -> LimitChange:
        same = [change for change in self._limit_changes if (change.name, change.scope) == (name, scope)]
        change = LimitChange(
            revision=len(self._limit_changes) + 1,
            name=name,
            scope=scope,
            old=same[-1].new if same else start,
            new=value,
            changed_by=by,
            changed_at_ms=at_ms,
        )
        self._limit_changes.append(change)
        await self.note_risk(LIMIT_SET, limit_told(change), at_ms=at_ms)
        return change

    async def limit_changes(self, *, after: int) -> tuple[LimitChange, ...]:
        return tuple(change for change in self._limit_changes if change.revision > after)

    async def halt(self, halt: Halt) -> bool:
        standing = self.halts.get(halt.cause)
        if standing is not None:
            if standing.says_the_same(halt):
                return False
            await self.resume(halt.cause, by=halt.started_by, at_ms=halt.started_at_ms)
        self.halts[halt.cause] = halt
        await self.note_risk("HALTED", halt_told(halt), at_ms=halt.started_at_ms)
        return True

    async def resume(self, cause: str | None, *, by: str, at_ms: Millis) -> tuple[Halt, ...]:
        ended = []
        for halt in await self.open_halts():
            if cause in {None, halt.cause}:
                ended.append(replace(halt, ended_by=by, ended_at_ms=at_ms))
                del self.halts[halt.cause]
                await self.note_risk("RESUMED", halt_told(ended[-1]), at_ms=at_ms)
        return tuple(ended)

    async def open_halts(self) -> tuple[Halt, ...]:
        return tuple(sorted(self.halts.values(), key=lambda halt: (halt.started_at_ms, halt.id)))

    async def note_risk(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        self.risk_events.append(Event(code=code, detail=dict(detail), at_ms=at_ms))

    async def save_gates(self, states: Sequence[GateState], *, at_ms: Millis) -> None:
        self.gates = tuple(states)
        self.gates_at_ms = at_ms if states else None

    async def gates_saved_ms(self) -> Millis | None:
        return self.gates_at_ms

    async def day_start(self, strategy_id: str, account_id: str) -> DayStart | None:
        return self.days.get((strategy_id, account_id))

    async def save_day_start(self, day: DayStart, *, at_ms: Millis) -> None:
        self.days[day.strategy_id, day.account_id] = day

    async def save_day_gain(self, day: DayStart, *, gain_usdc: Usdc, unmarked: int, at_ms: Millis) -> None:
        self.day_gains[day.strategy_id, day.account_id] = (gain_usdc, unmarked)

    async def day_gain(self, strategy_id: str, account_id: str, *, started_at_ms: Millis) -> Usdc | None:
        day = self.days.get((strategy_id, account_id))
        if day is None or day.started_at_ms != started_at_ms:
            return None
        gain, _ = self.day_gains.get((strategy_id, account_id), (None, 0))
        return gain

    async def copied_moves(
        self, strategy_id: str, account_id: str, *, since_ms: Millis, after: Mapping[str, int] | None = None
    ) -> tuple[CopiedExecution | PositionSettlement, ...]:
        found: list[CopiedExecution | PositionSettlement] = []
        for owner in self._moved((strategy_id, account_id), since_ms):
            first = (after or {}).get(owner[2], -1) + 1
            found += (one.move for one in self._numbered(owner) if one.ordinal >= first)
        return tuple(found)

    async def kept_stakes(self, strategy_id: str, account_id: str, *, since_ms: Millis) -> tuple[KeptStakes, ...]:
        moved = self._moved((strategy_id, account_id), since_ms)
        kept = (self._kept_stakes.get(owner) for owner in moved)
        return tuple(one for one in kept if one is not None and one.before_ms <= since_ms)

    async def moves_to_keep(
        self, strategy_id: str, account_id: str, token_id: str, *, after: int, before_ms: Millis, limit: int
    ) -> tuple[NumberedMove, ...]:
        owner = (strategy_id, account_id, token_id)
        end = self._first_to_count(owner, before_ms)
        return tuple(one for one in self._numbered(owner) if after < one.ordinal < end)[:limit]

    async def keep_stakes(self, kept: KeptStakes) -> None:
        self._kept_stakes[kept.strategy_id, kept.account_id, kept.token_id] = kept

    async def copied_attempts(
        self, strategy_id: str, account_id: str, *, since_ms: Millis
    ) -> tuple[CopiedAttempt, ...]:
        return tuple(
            CopiedAttempt(attempt=attempt, leader=self.stored[attempt.leader_fill_id].recorded.fill.leader)
            for attempt in self._oldest_first(self._attempts.values())
            if (attempt.strategy_id, attempt.account_id) == (strategy_id, account_id)
            and attempt.decision is Decision.TRADE
            and (attempt.status in OPEN_STATUSES or attempt.created_at_ms >= since_ms)
        )

    async def markets_of(self, token_ids: Collection[str]) -> Mapping[str, Market]:
        by_token = {token.token_id: market for market in self._markets.values() for token in market.tokens}
        return {token_id: by_token[token_id] for token_id in token_ids if token_id in by_token}

    async def day_figures(self, strategy_id: str, account_id: str, *, from_ms: Millis, to_ms: Millis) -> DayFigures:
        owner, day = (strategy_id, account_id), range(from_ms, to_ms)
        fills = [stored.recorded.fill for stored in self.stored.values() if stored.orphaned_at_ms is None]
        decided = [
            attempt.decision
            for attempt in self._attempts.values()
            if (attempt.strategy_id, attempt.account_id) == owner and attempt.created_at_ms in day
        ]
        executed = [
            (fill, entry_realized)
            for token_owner, entries in self._entries.items()
            if token_owner[:2] == owner
            for fill, entry_realized in _executed(token_owner, entries)
            if fill.fill_at_ms in day
        ]
        bought = [fill for fill, _ in executed if fill.side is Side.BUY]
        sold = [fill for fill, _ in executed if fill.side is Side.SELL]
        return DayFigures(
            fills=sum(fill.fill_ts_ms in day for fill in fills),
            trades=decided.count(Decision.TRADE),
            skips=decided.count(Decision.SKIP),
            executions=len(executed),
            bought_usdc=sum(notional_up(fill.shares, fill.price) for fill in bought),
            sold_usdc=sum(notional_down(fill.shares, fill.price) for fill in sold),
            fees_usdc=sum(fill.fee_usdc for fill, _ in executed),
            realized_usdc=sum(realized for _, realized in executed),
        )

    def _moved(self, account: tuple[str, str], since_ms: Millis) -> list[Owner]:
        return [
            owner
            for owner, entries in sorted(self._entries.items())
            if owner[:2] == account
            and (self._position(owner).shares or any(_moved_at(entry) >= since_ms for entry in entries))
        ]

    def _numbered(self, owner: Owner) -> Iterator[NumberedMove]:
        for ordinal, entry in enumerate(self._entries[owner]):
            if isinstance(entry, PositionSettlement):
                yield NumberedMove(ordinal=ordinal, move=entry)
            elif entry.settlement is not Settlement.FAILED:
                recorded = self.stored[self._attempts[entry.attempt_id].leader_fill_id].recorded
                move = CopiedExecution(fill=entry, leader=recorded.fill.leader)
                yield NumberedMove(ordinal=ordinal, move=move)

    def _first_to_count(self, owner: Owner, before_ms: Millis) -> int:
        entries = self._entries[owner]
        executed = [entry for entry in entries if not isinstance(entry, PositionSettlement)]
        late = {entry.attempt_id for entry in executed if entry.fill_at_ms >= before_ms}
        late |= {entry.attempt_id for entry in executed if self._attempts[entry.attempt_id].status in OPEN_STATUSES}
        counted = (
            ordinal
            for ordinal, entry in enumerate(entries)
            if (entry.at_ms >= before_ms if isinstance(entry, PositionSettlement) else entry.attempt_id in late)
        )
        return min(counted, default=len(entries))


def _moved_at(entry: ExecutionFill | PositionSettlement) -> Millis:
    return entry.at_ms if isinstance(entry, PositionSettlement) else entry.fill_at_ms


def _executed(
    owner: Owner, entries: Sequence[ExecutionFill | PositionSettlement]
) -> Iterator[tuple[ExecutionFill, Usdc]]:
    """Yield the executions of a position with what each realised."""
    strategy_id, account_id, token_id = owner
    position = Position(strategy_id=strategy_id, account_id=account_id, token_id=token_id)
    for entry in entries:
        before, position = position, fold(position, [entry])
        if not isinstance(entry, PositionSettlement) and entry.settlement is not Settlement.FAILED:
            yield entry, position.realized_pnl_usdc - before.realized_pnl_usdc
