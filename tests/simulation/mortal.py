"""A ledger that outlives the process which uses it: each life has its own handle, and a dead one writes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from copytrade.ports.ledger import Ledger, LedgerUnavailableError

TURNS_MAX = 3


@dataclass(slots=True, kw_only=True)
class Disk:
    """What the database is like right now."""

    slow_ms: int = 0
    failures: int = 0
    """So many calls are refused, each before it changed anything."""


class MortalLedger:
    """Lets others run before and after each call, so that a death meets every moment around a commit."""

    def __init__(self, ledger: Ledger, disk: Disk, rng: random.Random) -> None:
        self._ledger = ledger
        self._disk = disk
        self._rng = rng
        self._is_dead = False

    def die(self) -> None:
        """Let nothing more through."""
        self._is_dead = True

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._ledger, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._pause()
            if self._disk.failures:
                self._disk.failures -= 1
                raise LedgerUnavailableError("the disk is full")
            result = await method(*args, **kwargs)
            await self._pause()
            return result

        return call

    async def _pause(self) -> None:
        self._stop_if_dead()
        for _ in range(self._rng.randrange(TURNS_MAX)):
            await asyncio.sleep(0)
        if self._disk.slow_ms:
            await asyncio.sleep(self._rng.randrange(self._disk.slow_ms) / 1000)
        self._stop_if_dead()

    def _stop_if_dead(self) -> None:
        if self._is_dead:
            raise asyncio.CancelledError
