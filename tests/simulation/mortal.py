"""A ledger that outlives the process which uses it: each life has its own handle, and a dead one writes nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from copytrade.ports.ledger import Ledger, LedgerUnavailableError
from tests.simulation.host import PROCESS, HostClock

TURNS_MAX = 3
WRITES = ("ingest", "orphan", "confirm", "record_attempt", "submit_attempt", "book_execution", "close_attempt")
"""What a death must be shown to have fallen on both sides of."""
BEFORE, AFTER = "before", "after"


@dataclass(slots=True, kw_only=True)
class Disk:
    """What the database is like right now."""

    slow_ms: int = 0
    failures: int = 0
    """So many calls are refused, each before it changed anything."""
    deaths_due: dict[str, Callable[[], None]] = field(default_factory=dict)
    """By the side of a write: what ends the process as soon as it comes there."""


@dataclass(slots=True)
class Stamps:
    """When things were written, by the true time, which the worker's own clock need not tell."""

    decided: dict[UUID, int] = field(default_factory=dict)
    booked: dict[UUID, int] = field(default_factory=dict)
    by_life: dict[UUID, int] = field(default_factory=dict)
    """Which life of the worker booked an execution."""

    def note(self, method: str, args: tuple[Any, ...], *, true_ms: int, life: int) -> None:
        """Remember when an attempt or an execution was written first."""
        if method == "record_attempt":
            self.decided.setdefault(args[0].id, true_ms)
        elif method == "book_execution":
            self.booked.setdefault(args[0].id, true_ms)
            self.by_life.setdefault(args[0].id, life)


class MortalLedger:
    """Lets others run before and after each call, so that a death meets every moment around a commit."""

    def __init__(
        self, ledger: Ledger, disk: Disk, rng: random.Random, *, stamps: Stamps, clock: HostClock, deaths: Counter[str]
    ) -> None:
        self._ledger = ledger
        self._disk = disk
        self._rng = rng
        self._stamps = stamps
        self._clock = clock
        self._deaths = deaths
        self._calls: Counter[str] = Counter()
        self._is_dead = False

    def die(self) -> None:
        """Let nothing more through, and count what was under way."""
        self._is_dead = True
        self._deaths.update(set(+self._calls))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._ledger, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._pause(f"{name}:{BEFORE}")
            if self._disk.failures:
                self._disk.failures -= 1
                raise LedgerUnavailableError("the disk is full")
            result = await method(*args, **kwargs)
            self._stamps.note(name, args, true_ms=self._clock.true_ms(), life=PROCESS.get())
            await self._pause(f"{name}:{AFTER}")
            return result

        return call

    async def _pause(self, moment: str) -> None:
        self._stop_if_dead()
        self._calls[moment] += 1
        try:
            die = self._disk.deaths_due.pop(moment, None)
            if die is not None:
                die()
                self._stop_if_dead()
            for _ in range(self._rng.randrange(TURNS_MAX)):
                await asyncio.sleep(0)
            if self._disk.slow_ms:
                await asyncio.sleep(self._rng.randrange(self._disk.slow_ms) / 1000)
            self._stop_if_dead()
        finally:
            self._calls[moment] -= 1

    def _stop_if_dead(self) -> None:
        if self._is_dead:
            raise asyncio.CancelledError
