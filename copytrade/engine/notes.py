"""Operator notes from parts that may not wait: queued here, then written as `worker_event` rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from copytrade.domain.happenings import UNTOLD, Noted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.notifier import Notifier

NOTES_WAITING_MAX: Final = 1_000


class Notes:
    """A bounded queue of notes; those that do not fit are counted, and the count is a note itself."""

    def __init__(self, *, ledger: Ledger, notifier: Notifier, clock: Clock) -> None:
        self._ledger = ledger
        self._notifier = notifier
        self._clock = clock
        self._waiting: asyncio.Queue[Noted] = asyncio.Queue(maxsize=NOTES_WAITING_MAX)
        self._lost = 0

    def __len__(self) -> int:
        return self._waiting.qsize()

    def take(self, code: str, detail: Mapping[str, object]) -> None:
        """Queue a note; never waits."""
        noted = Noted(code=code, detail=detail, at_ms=self._clock.now_ms())
        if self._waiting.full():
            self._lost += 1
        else:
            self._waiting.put_nowait(noted)

    async def run(self) -> None:
        """Write notes in order until cancelled."""
        while True:
            await self._write(await self._waiting.get())
            if self._lost and self._waiting.empty():
                lost, self._lost = self._lost, 0
                self.take("NOTES_LOST", {"count": lost})

    async def _write(self, noted: Noted) -> None:
        await self._ledger.note(noted.code, noted.detail, at_ms=noted.at_ms)
        if noted.code not in UNTOLD:
            self._notifier.tell(noted)
