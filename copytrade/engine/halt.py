"""The kill-switch: halts from the ledger, where other processes put them too, and from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.halts import BY_FILE, Halt, HaltLevel, halted, new_halt, told
from copytrade.domain.happenings import Noted

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt, Reason
    from copytrade.domain.fills import Side
    from copytrade.domain.units import Millis
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import ExecutionAdapter
    from copytrade.ports.notifier import Notifier
    from copytrade.ports.risk import HaltSwitch, RiskStore

CANCEL_AGAIN_MS: Final[Millis] = 5_000
"""An order that is still open so long after it was asked to be cancelled is asked again."""
WORKER: Final = "worker"


class Halts:
    """What is halted now. Orders that a halt stops are cancelled, and none is sent."""

    def __init__(
        self,
        *,
        store: RiskStore,
        switch: HaltSwitch,
        portfolio: Portfolio,
        executor: ExecutionAdapter,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._store = store
        self._switch = switch
        self._portfolio = portfolio
        self._executor = executor
        self._notifier = notifier
        self._clock = clock
        self._stored: tuple[Halt, ...] = ()
        self._by_file: Halt | None = None
        self._asked_at_ms: dict[UUID, Millis] = {}

    def open(self) -> tuple[Halt, ...]:
        """Return the halts in force; that of the file first, whether or not it is stored yet."""
        stored = tuple(halt for halt in self._stored if halt.cause != BY_FILE)
        return stored if self._by_file is None else (self._by_file, *stored)

    def is_open(self, cause: str) -> bool:
        """Tell whether a cause halts now."""
        return any(halt.cause == cause for halt in self.open())

    def refusals(self, side: Side) -> tuple[Reason, ...]:
        """Return why no order of that side is made."""
        return tuple(halted(halt) for halt in self.open() if halt.stops(side))

    def stops(self, attempt: ExecutionAttempt) -> Reason | None:
        """Return why an attempt must not be sent, None if it may."""
        return next(iter(self.refusals(attempt.side)), None)

    async def look_at_file(self) -> None:
        """Obey the file; this needs no ledger, which may be gone."""
        text = self._switch.thrown()
        if text is None:
            self._by_file = None
            return
        level = HaltLevel.ALL if text.split(":")[0].strip().lower() == HaltLevel.ALL else HaltLevel.ENTRIES
        halt = new_halt(BY_FILE, level=level, why=text, by=BY_FILE, now_ms=self._clock.now_ms())
        if self._by_file is None or not self._by_file.says_the_same(halt):
            self._by_file = halt
        await self._cancel_stopped()

    async def refresh(self) -> None:
        """Look at the file and at the ledger, cancel what is stopped, and let the ledger know of the file."""
        await self.look_at_file()
        self._take(await self._store.open_halts())
        await self._cancel_stopped()
        await self._store_file_halt()

    async def halt(self, cause: str, *, level: HaltLevel, why: str) -> None:
        """Halt for a cause of our own, durably."""
        await self._store.halt(new_halt(cause, level=level, why=why, by=WORKER, now_ms=self._clock.now_ms()))
        self._take(await self._store.open_halts())
        await self._cancel_stopped()

    async def resume(self, cause: str) -> None:
        """End the halt of a cause, durably."""
        await self._store.resume(cause, by=WORKER, at_ms=self._clock.now_ms())
        self._take(await self._store.open_halts())

    async def _store_file_halt(self) -> None:
        stored = next((halt for halt in self._stored if halt.cause == BY_FILE), None)
        thrown = self._by_file
        if thrown is None and stored is not None:
            await self._store.resume(BY_FILE, by=BY_FILE, at_ms=self._clock.now_ms())
        elif thrown is not None and (stored is None or not stored.says_the_same(thrown)):
            await self._store.halt(thrown)
        else:
            return
        self._take(await self._store.open_halts())

    def _take(self, halts: tuple[Halt, ...]) -> None:
        """Take the stored halts, and tell what began and what ended."""
        before = {halt.id: halt for halt in self._stored}
        self._stored = halts
        now = {halt.id: halt for halt in halts}
        causes = {halt.cause for halt in halts}
        # One that a wider halt of its cause took the place of did not end for anybody.
        for halt in (halt for halt_id, halt in before.items() if halt_id not in now and halt.cause not in causes):
            self._tell("RESUMED", halt)
        for halt in (halt for halt_id, halt in now.items() if halt_id not in before):
            self._tell("HALTED", halt)

    def _tell(self, code: str, halt: Halt) -> None:
        self._notifier.tell(Noted(code=code, detail=told(halt), at_ms=self._clock.now_ms()))

    async def _cancel_stopped(self) -> None:
        """Ask for every open order that a halt stops to be cancelled, and again while it stays open."""
        now_ms = self._clock.monotonic_ms()
        stopped = [attempt for attempt in self._portfolio.open_attempts() if self.stops(attempt) is not None]
        self._asked_at_ms = {
            attempt.id: self._asked_at_ms[attempt.id] for attempt in stopped if attempt.id in self._asked_at_ms
        }
        for attempt in stopped:
            asked_at_ms = self._asked_at_ms.get(attempt.id)
            if asked_at_ms is None or now_ms - asked_at_ms >= CANCEL_AGAIN_MS:
                self._asked_at_ms[attempt.id] = now_ms
                await self._executor.cancel(attempt.id)
