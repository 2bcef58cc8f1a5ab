"""The machine a simulated worker runs on: what it lets run, when it stops, and what its clock says."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.virtual_time import VirtualClock, VirtualTimeLoop

NOBODY = -1
PROCESS: contextvars.ContextVar[int] = contextvars.ContextVar("process", default=NOBODY)
"""Whose code runs: the number of a life of the worker, or nobody's, which is the world's."""


@dataclass(slots=True)
class _Step:
    """Something that is to be called; `handle` is what whoever asked for it may cancel it by."""

    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: contextvars.Context
    handle: asyncio.Handle | None = None


class HostLoop(VirtualTimeLoop):
    """A loop that can strike before any single step of the worker, and hold all its steps for a while."""

    def __init__(self, *, epoch_ms: int) -> None:
        super().__init__(epoch_ms=epoch_ms)
        self.steps = 0
        """Steps that any life of the worker has made."""
        self.complaints: list[str] = []
        """What nobody else was told: errors in callbacks, and of tasks that nobody waited for."""
        self._strikes: dict[int, Callable[[], None]] = {}
        self._stopped: set[int] = set()
        self._held: list[_Step] = []

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def strike_after(self, steps: int, strike: Callable[[], None]) -> None:
        """Call `strike` instead of waiting for the `steps`th step from now, just before it is made."""
        at = self.steps + steps
        while at in self._strikes:
            at += 1
        self._strikes[at] = strike

    def stop_process(self, process: int) -> None:
        """Let nothing of a process run, as SIGSTOP does; the world goes on, and its clocks too."""
        self._stopped.add(process)

    def go_on(self, process: int) -> None:
        """Let a stopped process run what came up meanwhile, in order."""
        self._stopped.discard(process)
        held, self._held = self._held, []
        for step in held:
            super().call_soon(self._make, step, context=step.context)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        step = _Step(callback, args, context or contextvars.copy_context())
        step.handle = super().call_soon(self._make, step, context=step.context)
        return step.handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        step = _Step(callback, args, context or contextvars.copy_context())
        step.handle = handle = super().call_at(when, self._make, step, context=step.context)
        return handle

    def _make(self, step: _Step) -> None:
        process = PROCESS.get()
        if process != NOBODY:
            self.steps += 1
            strike = self._strikes.pop(self.steps, None)
            if strike is not None:
                strike()
        if process in self._stopped:
            self._held.append(step)
        elif step.handle is None or not step.handle.cancelled():
            step.callback(*step.args)


class HostClock(VirtualClock):
    """The clock of a machine, as far off as somebody set it; what it measures goes on evenly."""

    def __init__(self) -> None:
        self._offset_ms = 0
        self._history: list[tuple[int, int]] = [(0, 0)]

    def now_ms(self) -> int:
        return super().now_ms() + self._offset_ms

    def true_ms(self) -> int:
        """Return what a clock that was never set would say."""
        return super().now_ms()

    def set_off(self, offset_ms: int) -> None:
        """Be so far from the truth from now on."""
        self._offset_ms = offset_ms
        self._history.append((self.true_ms(), offset_ms))

    def offsets(self, first_ms: int, last_ms: int) -> set[int]:
        """Return how far off it was at any true time of that span."""
        before = [offset for at_ms, offset in self._history if at_ms <= first_ms]
        return {before[-1], *(offset for at_ms, offset in self._history if first_ms < at_ms <= last_ms)}


def host_loop() -> HostLoop:
    """Return the loop that runs."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, HostLoop):
        raise TypeError("the simulation needs its own loop")
    return loop
