"""Asyncio on virtual time: waiting costs nothing, order is repeatable, a hang is an error."""

from __future__ import annotations

import asyncio
import itertools
import random
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

from copytrade.ports.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from copytrade.domain.units import Millis

    Steps = Coroutine[Any, Any, Any] | Generator[Any, None, Any]

T = TypeVar("T")
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
_INTO_THE_MS: Final = 1_000
"""Nanoseconds past the beginning of a millisecond, so that no rounding falls back behind it."""


class DeadlockError(RuntimeError):
    """Every task waits and no timer is due: nothing can ever happen again."""


class NumberedTask(asyncio.Task[Any]):
    """A task that a set places by its number, not by its address: a task group cancels in the order of such a set."""

    def __init__(self, coroutine: Steps, *, number: int, **rest: Any) -> None:
        """Take a number beside what any task takes."""
        self._number = number
        super().__init__(coroutine, **rest)

    def __hash__(self) -> int:
        return self._number


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer whenever nothing can run.

    It knows nothing of other threads: work handed to one is not waited for, so real databases and
    `asyncio.to_thread` do not belong here.
    """

    def __init__(self, *, epoch_ms: Millis) -> None:
        self.elapsed_ns = 0
        self._epoch_ms = epoch_ms
        super().__init__(_JumpingSelector(self))
        self._numbers = itertools.count()
        self.set_task_factory(self._numbered)

    def time(self) -> float:
        """Return seconds since the start."""
        return self.elapsed_ns / NS_PER_S

    def now_ms(self) -> Millis:
        """Return the wall clock of this loop's world, UTC Unix milliseconds."""
        return self._epoch_ms + self.elapsed_ns // NS_PER_MS

    def seconds_until(self, at_ms: Millis) -> float:
        """Return how long it is until the beginning of a millisecond; not above zero if it has begun."""
        return ((at_ms - self._epoch_ms) * NS_PER_MS + _INTO_THE_MS - self.elapsed_ns) / NS_PER_S

    def _numbered(self, loop: asyncio.AbstractEventLoop, coroutine: Steps, **rest: Any) -> NumberedTask:
        return NumberedTask(coroutine, number=next(self._numbers), loop=loop, **rest)


class VirtualClock(Clock):
    """The `Clock` port on the virtual loop that runs."""

    def now_ms(self) -> Millis:
        return _running_loop().now_ms()

    def monotonic_ms(self) -> Millis:
        return _running_loop().elapsed_ns // NS_PER_MS

    async def sleep_ms(self, duration_ms: Millis) -> None:
        await asyncio.sleep(max(0, duration_ms) / 1000)

    async def until(self, at_ms: Millis) -> None:
        """Wait until the beginning of a millisecond; not at all if it has begun."""
        if _running_loop().now_ms() < at_ms:
            await asyncio.sleep(_running_loop().seconds_until(at_ms))

    async def settled(self) -> None:
        """Wait until nobody has anything left to do at this instant."""
        await asyncio.sleep(1 / NS_PER_S)


def run_virtual(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    epoch_ms: Millis,
    seed: int = 0,
    loop: Callable[..., VirtualTimeLoop] = VirtualTimeLoop,
) -> T:
    """Run `main()` to its end in virtual time, starting at `epoch_ms`, and return its result; `loop` makes the loop.

    The global generator of `random` is seeded for the run and put back after it. Tasks that `main`
    leaves behind are cancelled, as `asyncio.run` does.

    :raises DeadlockError: everything waits for something that cannot come.
    """
    drawn_before = random.getstate()
    random.seed(seed)
    try:
        with asyncio.Runner(loop_factory=lambda: loop(epoch_ms=epoch_ms)) as runner:
            return runner.run(main())
    finally:
        random.setstate(drawn_before)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self._loop))
            raise DeadlockError(f"no timer is due, and these wait: {', '.join(waiting)}")
        # At least one, so that time moves however small the rest is.
        self._loop.elapsed_ns += max(1, round(timeout * NS_PER_S))
        return []


def _running_loop() -> VirtualTimeLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualTimeLoop):
        raise TypeError("virtual time is read outside run_virtual")
    return loop
