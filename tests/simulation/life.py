"""One life of the worker: wired as in production, on virtual time, until it fails or is killed."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Iterator
from typing import cast

from copytrade import app
from copytrade.adapters.memory import MemoryLedger
from copytrade.app.recording import Recording
from copytrade.domain.happenings import Happening
from copytrade.domain.invariants import Breach
from copytrade.ports.ledger import Ledger
from copytrade.ports.notifier import Notifier
from copytrade.ports.reconciliation import LedgerAudit
from copytrade.ports.recording import Chronicle
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.settings import Settings
from tests.simulation.host import PROCESS, HostClock, host_loop
from tests.simulation.mortal import Disk, MortalLedger, Stamps
from tests.simulation.network import Conditions, Journal, Network, SecondNode
from tests.simulation.storage import Storage
from tests.witnesses import Audit


class _Unaudited(LedgerAudit):
    """The rows of a file are judged by the checker."""

    async def breaches(self) -> list[Breach]:
        return []


class Life(Notifier):
    """A worker between its start and its end."""

    def __init__(
        self,
        *,
        number: int,
        settings: Settings,
        storage: Storage,
        venue: LocalVenue,
        second_node: SecondNode,
        clock: HostClock,
        journal: Journal,
        conditions: Conditions,
        disk: Disk,
        rng: random.Random,
        listener: Notifier,
        chronicle: Chronicle | None,
        stamps: Stamps,
        deaths: Counter[str],
    ) -> None:
        self.number = number
        self._settings = settings
        self._ledger = MortalLedger(storage.ledger, disk, rng, stamps=stamps, clock=clock, deaths=deaths)
        self._network = Network(venue, journal, conditions, second_node=second_node, rng=random.Random(rng.random()))
        self._clock = clock
        self._audit = Audit(storage.ledger) if isinstance(storage.ledger, MemoryLedger) else _Unaudited()
        self._listener = listener
        self._chronicle = chronicle
        self._living: asyncio.Task[None] | None = None
        self._is_over = False

    async def live(self) -> list[BaseException]:
        """Work until the end; return what it died of, nothing if it was killed."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self.number)
        self._living = asyncio.create_task(self._work(), name="worker", context=context)
        await asyncio.wait([self._living])
        self._is_over = True
        if self._living.cancelled():
            return []
        error = self._living.exception()
        return [] if error is None else list(_causes(error))

    async def _work(self) -> None:
        outside = app.Outside(
            clock=self._clock, transport=self._network, connect=self._network.connect, audit=self._audit
        )
        recording = None if self._chronicle is None else Recording(self._chronicle, self._settings, outside.clock)
        ledger = cast("Ledger", self._ledger)
        async with app.build_worker(self._settings, ledger, outside, recording=recording) as worker:
            worker.listeners.add(self)
            await worker.run()

    def tell(self, happening: Happening) -> None:
        if not self._is_over:
            self._listener.tell(happening)

    def kill(self) -> None:
        """End it between two steps of the loop; what its tasks do while they fall reaches nothing."""
        self._is_over = True
        self._ledger.die()
        self._network.cut()
        if self._living is not None:
            host_loop().go_on(self.number)
            self._living.cancel()


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error
