"""Why copies cost what they cost, in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from copytrade.adapters.memory.attempts import MemoryAttempts
from copytrade.domain.attempts import Decision, Settlement
from copytrade.ports.attribution import Unattributed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, ExecutionFill
    from copytrade.domain.attribution import Attribution
    from copytrade.domain.markouts import FillMarks
    from copytrade.domain.units import Millis, Price


class MemoryAttributions(MemoryAttempts):
    """The part of the ledger that tells stories."""

    async def keep_attributions(self, attributions: Sequence[Attribution], *, now_ms: Millis) -> None:
        self.attributions |= {noted.attempt_id: noted for noted in attributions}

    async def attributions_of(self, attempt_ids: Collection[UUID]) -> tuple[Attribution, ...]:
        return tuple(self.attributions[one] for one in attempt_ids if one in self.attributions)

    async def prices_followed(self, attempt_ids: Collection[UUID]) -> Mapping[UUID, Price]:
        followed = {one: self.stored.get(self._attempts[one].leader_fill_id) for one in attempt_ids}
        return {one: stored.recorded.fill.price for one, stored in followed.items() if stored is not None}

    async def executions_of(self, attempt_ids: Collection[UUID]) -> tuple[ExecutionFill, ...]:
        found = [fill for fill in self.executions if fill.attempt_id in attempt_ids]
        return tuple(sorted(found, key=lambda fill: fill.token_id))

    async def unattributed(self, *, newest: int) -> tuple[Unattributed, ...]:
        open_ones = [
            attempt
            for attempt in self._newest(newest)
            if attempt.decision is Decision.TRADE
            and not ((kept := self.attributions.get(attempt.id)) is not None and kept.is_final)
        ]
        return tuple(
            Unattributed(
                attempt=attempt,
                leader_price=self.stored[attempt.leader_fill_id].recorded.fill.price,
                kept=self.attributions.get(attempt.id),
            )
            for attempt in self._oldest_first(open_ones)
        )

    async def keep_marks(self, marks: Sequence[FillMarks]) -> None:
        for one in marks:
            known = self.fill_marks.get((one.attempt_id, one.fill_at_ms), one)
            self.fill_marks[one.attempt_id, one.fill_at_ms] = replace(one, payout=known.payout)

    async def marks_of(self, attempt_ids: Collection[UUID]) -> tuple[FillMarks, ...]:
        return tuple(self.fill_marks[key] for key in sorted(self.fill_marks) if key[0] in attempt_ids)

    async def unmarked(self, *, newest: int) -> tuple[ExecutionFill, ...]:
        recent = {attempt.id for attempt in self._newest(newest)}
        found = [
            fill
            for fill in self.executions
            if fill.attempt_id in recent
            and fill.settlement is not Settlement.FAILED
            and (fill.attempt_id, fill.fill_at_ms) not in self.fill_marks
        ]
        return tuple(sorted(found, key=lambda fill: (fill.fill_at_ms, fill.id)))

    async def open_marks(self, *, limit: int) -> tuple[FillMarks, ...]:
        due = [(one.next_due[1], one) for one in self.fill_marks.values() if one.next_due is not None]
        due.sort(key=lambda item: (item[0], item[1].attempt_id))
        return tuple(one for _, one in due[:limit])

    async def mark_resolved(self, *, limit: int) -> int:
        waiting = dict.fromkeys(one.token_id for one in self.fill_marks.values() if one.payout is None)
        payouts = [(token_id, payout) for token_id in waiting if (payout := self._payout(token_id)) is not None]
        for token_id, payout in payouts[:limit]:
            for key, one in self.fill_marks.items():
                if one.token_id == token_id and one.payout is None:
                    self.fill_marks[key] = replace(one, payout=payout)
        return len(payouts[:limit])

    def _newest(self, newest: int) -> list[ExecutionAttempt]:
        latest = sorted(self._attempts.values(), key=lambda attempt: (-attempt.created_at_ms, attempt.id))
        return latest[:newest]

    def _payout(self, token_id: str) -> Price | None:
        for market in self._markets.values():
            for token in market.tokens:
                if token.token_id == token_id and market.payouts is not None:
                    return market.payouts[token.outcome_index]
        return None
