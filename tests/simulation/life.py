"""One life of the worker: wired as in production, on virtual time, until it fails or is killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import cast

from copytrade import app
from copytrade.adapters.memory import MemoryLedger
from copytrade.app.recording import Recording
from copytrade.cli.demonstration import demo_settings
from copytrade.ports.ledger import Ledger
from copytrade.ports.notifier import Notifier
from copytrade.ports.recording import Chronicle
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.server import urls_of
from tests.simulation.mortal import Disk, MortalLedger
from tests.simulation.network import Conditions, Journal, Network
from tests.virtual_time import VirtualClock
from tests.witnesses import Audit

SETTINGS = demo_settings(urls_of("127.0.0.1", 1), "sqlite:///never-opened.db")


class Life:
    """A worker between its start and its end."""

    def __init__(
        self,
        *,
        ledger: MemoryLedger,
        venue: LocalVenue,
        journal: Journal,
        conditions: Conditions,
        disk: Disk,
        rng: random.Random,
        listener: Notifier,
        chronicle: Chronicle | None = None,
    ) -> None:
        self._ledger = MortalLedger(ledger, disk, rng)
        self._audit = Audit(ledger)
        self._network = Network(venue, journal, conditions)
        self._listener = listener
        self._chronicle = chronicle
        self._living: asyncio.Task[None] | None = None

    async def live(self) -> list[BaseException]:
        """Work until the end; return what it died of, nothing if it was killed."""
        self._living = asyncio.create_task(self._work(), name="worker")
        await asyncio.wait([self._living])
        if self._living.cancelled():
            return []
        error = self._living.exception()
        return [] if error is None else list(_causes(error))

    async def _work(self) -> None:
        outside = app.Outside(
            clock=VirtualClock(),
            transport=self._network,
            connect=self._network.connect,
            audit=self._audit,
        )
        recording = None if self._chronicle is None else Recording(self._chronicle, SETTINGS, outside.clock)
        ledger = cast("Ledger", self._ledger)
        async with app.build_worker(SETTINGS, ledger, outside, recording=recording) as worker:
            worker.listeners.add(self._listener)
            await worker.run()

    def kill(self) -> None:
        """End it between two steps of the loop; what its tasks do while they fall reaches nothing."""
        self._ledger.die()
        self._network.cut()
        if self._living is not None:
            self._living.cancel()


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error
