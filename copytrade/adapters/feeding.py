"""How a source hands over what its tasks put on a queue; the one thing the source families share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from copytrade.ports.leader_fills import SourceEvent


async def next_of(queue: asyncio.Queue[SourceEvent], feeding: asyncio.Task[None]) -> SourceEvent:
    """Return the next event; once the feeder has failed and nothing is left, raise what it failed of.

    Of a group of failures the first one is raised, as itself.
    """
    if queue.empty() and not feeding.done():
        arriving = asyncio.ensure_future(queue.get())
        try:
            await asyncio.wait([arriving, feeding], return_when=asyncio.FIRST_COMPLETED)
            if arriving.done():
                return arriving.result()
        finally:
            arriving.cancel()
    if not queue.empty():
        return queue.get_nowait()
    failure = feeding.exception()
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    raise failure or AssertionError("the feeder ended without an error")
