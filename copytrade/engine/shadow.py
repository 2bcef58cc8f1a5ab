"""Shadows: while orders are real, each approved attempt also runs on paper, on the same books.

No order waits for it, and nothing it fills is in a position, in cash or under a limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import AttemptStatus, Decision, reason
from copytrade.domain.happenings import Decided
from copytrade.domain.shadow import Run, ShadowOrder
from copytrade.engine.streams import reading
from copytrade.ports.execution import Executed, NotSentError
from copytrade.ports.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.happenings import Happening
    from copytrade.domain.market import Market
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter, ExecutionEvent
    from copytrade.ports.ladder import LadderStore

WAITING_MAX: Final = 1_000
"""Attempts that wait to be placed on paper; one more has no shadow, and that is said."""
WRITE_EVERY_MS: Final = 1_000
"""How long what happens on paper is gathered before it is written together: no real order waits for such a write."""


class Shadow(Notifier):
    """Listens to decisions and runs each TRADE on paper; `paper` belongs to it alone."""

    def __init__(
        self,
        *,
        store: LadderStore,
        paper: ExecutionAdapter,
        clock: Clock,
        note: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self._store = store
        self._paper = paper
        self._clock = clock
        self._note = note
        self._waiting: deque[tuple[ExecutionAttempt, Market]] = deque()
        self._open: dict[UUID, ShadowOrder] = {}
        self._changed: dict[UUID, ShadowOrder] = {}
        self._lost = 0
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()

    def tell(self, happening: Happening) -> None:
        """Have an approved attempt run on paper soon."""
        if not isinstance(happening, Decided) or happening.attempt.decision is not Decision.TRADE:
            return
        if happening.market is None or len(self._waiting) >= WAITING_MAX:
            self._lost += 1
            self._moved.set()
            return
        self._waiting.append((happening.attempt, happening.market))
        self._arrived.set()

    async def run(self) -> None:
        """Run attempts on paper until cancelled, and keep what became of them."""
        await self._interrupt()
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._paper.run(), name="shadow-paper")
            loops.create_task(self._read(), name="shadow-events")
            loops.create_task(self._place(), name="shadow-place")
            loops.create_task(self._write(), name="shadow-write")

    async def _interrupt(self) -> None:
        """End what an earlier life left open: what it filled stays, the rest is never placed again."""
        now_ms, why = self._clock.now_ms(), reason("INTERRUPTED")
        left = await self._store.open_shadows()
        await self._store.keep_shadows([one.ended(AttemptStatus.CANCELED, why, at_ms=now_ms) for one in left])

    async def _place(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._submit(*self._waiting.popleft())

    async def _submit(self, attempt: ExecutionAttempt, market: Market) -> None:
        order = self._paper.prepare(attempt, market)
        run = Run(status=AttemptStatus.SUBMITTED)
        self._keep(ShadowOrder(attempt_id=attempt.id, placed_at_ms=order.placed_at_ms, run=run))
        try:
            await self._paper.submit(order)
        except NotSentError as error:
            why = reason("NOT_SENT", why=str(error))
            self._keep(self._open[attempt.id].ended(AttemptStatus.FAILED, why, at_ms=self._clock.now_ms()))

    async def _read(self) -> None:
        async with reading(self._paper.events()) as events:
            async for event in events:
                self._follow(event)

    def _follow(self, event: ExecutionEvent) -> None:
        if isinstance(event, Executed):
            self._keep(self._open[event.fill.attempt_id].filled(event.fill))
        else:
            shadow = self._open[event.attempt_id]
            self._keep(shadow.ended(event.status, event.reason, at_ms=event.at_ms))

    def _keep(self, shadow: ShadowOrder) -> None:
        self._changed[shadow.attempt_id] = shadow
        if shadow.run.is_open:
            self._open[shadow.attempt_id] = shadow
        else:
            self._open.pop(shadow.attempt_id, None)
        self._moved.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._moved.wait()
                await self._clock.sleep_ms(WRITE_EVERY_MS)
                await self._store_changed()
        finally:
            await self._store_changed()

    async def _store_changed(self) -> None:
        self._moved.clear()
        changed, self._changed = list(self._changed.values()), {}
        if changed:
            await self._store.keep_shadows(changed)
        if self._lost:
            lost, self._lost = self._lost, 0
            self._note("SHADOW_LEFT", {"attempts": lost, "waiting_max": WAITING_MAX})
