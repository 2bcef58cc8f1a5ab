"""The part of the ledger that limits, halts and gates use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from copytrade.adapters.sql import copied, events, kept_stakes, risk
from copytrade.ports.risk import RiskStore
from copytrade.ports.stake_memory import StakeMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from copytrade.adapters.sql.engine import Database
    from copytrade.domain.drawdown import DayStart
    from copytrade.domain.gates import GateState
    from copytrade.domain.halts import Halt
    from copytrade.domain.market import Market
    from copytrade.domain.risk import LimitChange, LimitName
    from copytrade.domain.scopes import Scope
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.risk import CopiedAttempt, CopiedExecution, DayFigures
    from copytrade.ports.stake_memory import KeptStakes, NumberedMove


class SqlRiskStore(RiskStore, StakeMemory):
    """An open database whose schema is current."""

    def __init__(
        self, database: Database, *, redact: Callable[[Mapping[str, object]], Mapping[str, object]] = dict
    ) -> None:
        """Keep all of what is noted but what `redact` takes out."""
        self._database = database
        self._redact = redact

    async def set_limit(
        self, name: LimitName, scope: Scope, value: int | None, *, start: int | None, by: str, at_ms: Millis
    ) -> LimitChange:
        work = partial(risk.set_limit, name=name, scope=scope, value=value, start=start, by=by, at_ms=at_ms)
        return await self._database.write_alone(work)

    async def limit_changes(self, *, after: int) -> tuple[LimitChange, ...]:
        return await self._database.read(partial(risk.limit_changes, after=after))

    async def halt(self, halt: Halt) -> bool:
        return await self._database.write_alone(partial(risk.halt, given=halt))

    async def resume(self, cause: str | None, *, by: str, at_ms: Millis) -> tuple[Halt, ...]:
        return await self._database.write_alone(partial(risk.resume, cause=cause, by=by, at_ms=at_ms))

    async def open_halts(self) -> tuple[Halt, ...]:
        return await self._database.read(risk.open_halts)

    async def note_risk(self, code: str, detail: Mapping[str, object], *, at_ms: Millis) -> None:
        await self._database.write(partial(events.note_risk, code=code, detail=self._redact(detail), at_ms=at_ms))

    async def save_gates(self, states: Sequence[GateState], *, at_ms: Millis) -> None:
        await self._database.write_alone(partial(risk.save_gates, states=states, at_ms=at_ms))

    async def gates_saved_ms(self) -> Millis | None:
        return await self._database.read(risk.gates_saved_ms)

    async def day_start(self, strategy_id: str, account_id: str) -> DayStart | None:
        return await self._database.read(partial(risk.day_start, strategy_id=strategy_id, account_id=account_id))

    async def save_day_start(self, day: DayStart, *, at_ms: Millis) -> None:
        await self._database.write(partial(risk.save_day_start, day=day, at_ms=at_ms))

    async def save_day_gain(self, day: DayStart, *, gain_usdc: Usdc, unmarked: int, at_ms: Millis) -> None:
        work = partial(risk.save_day_gain, day=day, gain_usdc=gain_usdc, unmarked=unmarked, at_ms=at_ms)
        await self._database.write(work)

    async def day_gain(self, strategy_id: str, account_id: str, *, started_at_ms: Millis) -> Usdc | None:
        work = partial(risk.day_gain, strategy_id=strategy_id, account_id=account_id, started_at_ms=started_at_ms)
        return await self._database.read(work)

    async def copied_moves(
        self, strategy_id: str, account_id: str, *, since_ms: Millis, after: Mapping[str, int] | None = None
    ) -> tuple[CopiedExecution | PositionSettlement, ...]:
        work = partial(
            copied.moves, strategy_id=strategy_id, account_id=account_id, since_ms=since_ms, after=after or {}
        )
        return await self._database.read(work)

    async def kept_stakes(self, strategy_id: str, account_id: str, *, since_ms: Millis) -> tuple[KeptStakes, ...]:
        work = partial(kept_stakes.kept, strategy_id=strategy_id, account_id=account_id, since_ms=since_ms)
        return await self._database.read(work)

    async def moves_to_keep(
        self, strategy_id: str, account_id: str, token_id: str, *, after: int, before_ms: Millis, limit: int
    ) -> tuple[NumberedMove, ...]:
        owner = (strategy_id, account_id, token_id)
        work = partial(kept_stakes.moves, owner=owner, after=after, before_ms=before_ms, limit=limit)
        return await self._database.read(work)

    async def keep_stakes(self, kept: KeptStakes) -> None:
        await self._database.write(partial(kept_stakes.keep, kept=kept))

    async def copied_attempts(
        self, strategy_id: str, account_id: str, *, since_ms: Millis
    ) -> tuple[CopiedAttempt, ...]:
        work = partial(copied.attempts, strategy_id=strategy_id, account_id=account_id, since_ms=since_ms)
        return await self._database.read(work)

    async def markets_of(self, token_ids: Collection[str]) -> Mapping[str, Market]:
        return await self._database.read(partial(copied.markets_of, token_ids=token_ids))

    async def day_figures(self, strategy_id: str, account_id: str, *, from_ms: Millis, to_ms: Millis) -> DayFigures:
        work = partial(copied.day_figures, strategy_id=strategy_id, account_id=account_id, from_ms=from_ms, to_ms=to_ms)
        return await self._database.read(work)
