"""Run a coroutine until it ends, a time is up, or the process is told to stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


async def until_stopped(
    main: Coroutine[object, object, None], *, seconds: float | None, at_stop: Callable[[], None] | None = None
) -> None:
    """Run `main`; SIGINT, SIGTERM or `seconds` running out cancel it, which is a clean end.

    `at_stop` is called just before that.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(main, name="main")
    stopping = asyncio.create_task(_told_to_stop(stop, seconds), name="stop")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        elif at_stop is not None:
            at_stop()
    finally:
        for task in (running, stopping):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await running
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def _told_to_stop(stop: asyncio.Event, seconds: float | None) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
