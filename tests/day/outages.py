"""What goes wrong in a day, one thing after the other, each long enough to hurt and then over."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from copytrade.sandbox.faults import ErrorRule, Faults
from tests.simulation.stage import Stage

ENDLESS = 1_000_000_000

Outage = Callable[["Trouble"], Awaitable[None]]


class Trouble:
    """The venue's switches, and the worker's life as a service manager has it in hand."""

    def __init__(self, stage: Stage, faults: Faults, kill: Callable[[float], bool], *, length_s: float) -> None:
        self.stage = stage
        self.faults = faults
        self.kill = kill
        """Ends the worker at once; it is started again after so many seconds."""
        self.length_s = length_s
        self.rng = random.Random(f"{stage.seed}:outages")

    async def control(self, command: str, **body: Any) -> None:
        """Ask the venue's own control."""
        answer = await self.stage.venue.request("POST", f"/control/{command}", json.dumps(body).encode())
        if answer.status != 200:
            raise RuntimeError(f"{command}: {answer.body!r}")

    @asynccontextmanager
    async def refused(self, path: str) -> AsyncIterator[None]:
        """Let every request below a path fail meanwhile."""
        rule = ErrorRule(target=path, status=503, body={"error": "out of order"}, remaining=ENDLESS)
        self.faults.rules.append(rule)
        try:
            yield
        finally:
            self.faults.rules.remove(rule)


def _refusing(path: str) -> Outage:
    async def refuse(trouble: Trouble) -> None:
        async with trouble.refused(path):
            await asyncio.sleep(trouble.length_s)

    return refuse


def _dropping(kind: str) -> Outage:
    async def drop(trouble: Trouble) -> None:
        await trouble.control("drop", kind=kind, refuse=503)
        await asyncio.sleep(trouble.length_s)
        trouble.faults.refused_sockets.pop(kind, None)

    return drop


async def _freeze_books(trouble: Trouble) -> None:
    await trouble.control("freeze", kind="market", frozen=True)
    await asyncio.sleep(trouble.length_s)


async def _lag_behind(trouble: Trouble) -> None:
    trouble.faults.rpc_lag_blocks = 20
    await asyncio.sleep(trouble.length_s)
    trouble.faults.rpc_lag_blocks = 0


async def _reorganise(trouble: Trouble) -> None:
    trouble.stage.world.reorg(depth=2)


async def _fill_the_disk(trouble: Trouble) -> None:
    """Refuse some writes: the worker ends, and is started again."""
    trouble.stage.disk.failures = 2


async def _die(trouble: Trouble) -> None:
    trouble.kill(1.0)


async def _stay_dead(trouble: Trouble) -> None:
    trouble.kill(trouble.length_s)
    await asyncio.sleep(trouble.length_s)


OUTAGES: dict[str, Outage] = {
    "killed": _die,
    "no node": _refusing("/rpc"),
    "no Data API": _refusing("/data"),
    "books frozen": _freeze_books,
    "down for a while": _stay_dead,
    "node behind": _lag_behind,
    "no books": _refusing("/clob"),
    "no registry": _refusing("/gamma"),
    "reorganised": _reorganise,
    "chain socket refused": _dropping("chain"),
    "disk full": _fill_the_disk,
    "book socket refused": _dropping("market"),
}
