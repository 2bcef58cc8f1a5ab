"""The shadows of real orders, and how far accounts may go, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.adapters.memory.attempts import MemoryAttempts
from copytrade.adapters.memory.state import Event
from copytrade.domain.attempts import Settlement
from copytrade.domain.ladder import MOVED, Standing
from copytrade.domain.shadow import Run, ShadowedAttempt

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.ladder import Rung
    from copytrade.domain.shadow import ShadowOrder
    from copytrade.domain.units import Millis


class MemoryLadder(MemoryAttempts):
    """The part of the ledger that the way to real orders needs."""

    def __init__(self) -> None:
        super().__init__()
        self._shadows: dict[UUID, ShadowOrder] = {}
        self._standings: dict[str, Standing] = {}

    async def keep_shadows(self, shadows: Sequence[ShadowOrder]) -> None:
        self._shadows |= {shadow.attempt_id: shadow for shadow in shadows}

    async def open_shadows(self) -> tuple[ShadowOrder, ...]:
        return tuple(self._shadows[one] for one in sorted(self._shadows) if self._shadows[one].run.is_open)

    async def shadowed(
        self, *, since_ms: Millis, limit: int, account_id: str | None = None, leader: str | None = None
    ) -> tuple[ShadowedAttempt, ...]:
        asked = [
            attempt
            for attempt in self._attempts.values()
            if attempt.id in self._shadows
            and attempt.created_at_ms >= since_ms
            and account_id in {None, attempt.account_id}
            and leader in {None, self.stored[attempt.leader_fill_id].recorded.fill.leader}
        ]
        newest = sorted(sorted(asked, key=lambda one: one.id), key=lambda one: one.created_at_ms, reverse=True)
        return tuple(self._shadowed(attempt) for attempt in newest[:limit])

    async def standing(self, account_id: str) -> Standing | None:
        return self._standings.get(account_id)

    async def move_rung(
        self, account_id: str, rung: Rung, *, after: int, by: str, why: str, at_ms: Millis
    ) -> Standing | None:
        known = self._standings.get(account_id)
        if (known.revision if known else 0) != after:
            return None
        moved = Standing(account_id=account_id, rung=rung, revision=after + 1, moved_by=by, why=why, since_ms=at_ms)
        self._standings[account_id] = moved
        self.events.append(Event(code=MOVED, detail=moved.told(), at_ms=at_ms))
        return moved

    async def noted_since(self, codes: Collection[str], *, since_ms: Millis) -> int:
        return sum(event.code in codes and event.at_ms >= since_ms for event in self.events)

    def _shadowed(self, attempt: ExecutionAttempt) -> ShadowedAttempt:
        live = Run(status=attempt.status)
        for fill in self.executions:
            if fill.attempt_id == attempt.id and fill.settlement is not Settlement.FAILED:
                live = live.with_fill(fill)
        return ShadowedAttempt(
            attempt_id=attempt.id,
            token_id=attempt.token_id,
            is_sent=attempt.order_hash is not None,
            side=attempt.side,
            decided_at_ms=attempt.decided_at_ms,
            target_shares=attempt.size_shares_target,
            live=live,
            paper=self._shadows[attempt.id].run,
        )
