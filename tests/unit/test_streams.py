"""A stream ends with its reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from copytrade.engine.streams import reading


async def test_a_reader_cancelled_between_two_items_closes_the_stream() -> None:
    closed = asyncio.Event()

    async def stream() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async def read() -> None:
        async with reading(stream()) as items:
            async for _ in items:
                await asyncio.Event().wait()

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    reader.cancel()
    with suppress(asyncio.CancelledError):
        await reader

    assert closed.is_set()
