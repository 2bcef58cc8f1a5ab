"""Writing down what the venue prints and announces of the markets that decisions are made on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from copytrade.domain.tape import TradePrint
from copytrade.engine.session import Printed, Resolved, TickChanged

if TYPE_CHECKING:
    from copytrade.domain.tape import TapeEntry
    from copytrade.domain.units import Millis
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.recording import Chronicle

MARKETS_MAX: Final = 5_000
"""Markets followed at once; further ones are recorded without their tape."""
FOLLOWED_FOR_MS: Final[Millis] = 1_800_000
"""How long after the last decision on a market its tape is recorded."""


@dataclass(slots=True, kw_only=True)
class _Followed:
    """One market: how far its tape is written, by instant and number."""

    condition_id: str
    heard_ms: Millis
    until_ms: Millis
    number: int = -1
    is_watched: bool = False


class TapeRecorder:
    """Follows tapes through the port of the books."""

    def __init__(self, books: BookStore, chronicle: Chronicle, clock: Clock) -> None:
        self._books = books
        self._chronicle = chronicle
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._bell = asyncio.Event()

    def follow(self, condition_id: str) -> None:
        """Write this market's tape from now on, and for a while after it is last asked for."""
        now_ms = self._clock.now_ms()
        followed = self._followed.get(condition_id)
        if followed is not None:
            followed.until_ms = now_ms + FOLLOWED_FOR_MS
        elif len(self._followed) < MARKETS_MAX:
            self._followed[condition_id] = _Followed(
                condition_id=condition_id, heard_ms=now_ms - 1, until_ms=now_ms + FOLLOWED_FOR_MS
            )
            self._bell.set()

    def catch_up(self) -> None:
        """Write what every followed tape told until now."""
        for followed in self._followed.values():
            self._write(followed)

    async def run(self) -> None:
        """Write what tapes tell until cancelled."""
        async with asyncio.TaskGroup() as watches:
            while True:
                self._bell.clear()
                for followed in [one for one in self._followed.values() if not one.is_watched]:
                    followed.is_watched = True
                    watches.create_task(self._watch(followed), name=f"record tape {followed.condition_id}")
                await self._bell.wait()

    async def _watch(self, followed: _Followed) -> None:
        while self._clock.now_ms() < followed.until_ms:
            try:
                async with asyncio.timeout((followed.until_ms - self._clock.now_ms()) / 1000):
                    await self._books.printed(followed.condition_id, followed.heard_ms)
            except TimeoutError:
                continue
            self._write(followed)
            # More may be told in the same millisecond: it is asked for once more when that is over.
            await self._clock.sleep_ms(1)
            self._write(followed)
        del self._followed[followed.condition_id]

    def _write(self, followed: _Followed) -> None:
        for entry in self._books.tape_after(followed.condition_id, followed.heard_ms - 1):
            if entry.number > followed.number:
                followed.number, followed.heard_ms = entry.number, entry.at_ms
                self._chronicle.write(_written(followed.condition_id, entry))


def _written(condition_id: str, entry: TapeEntry) -> Printed | TickChanged | Resolved:
    match entry.told:
        case TradePrint():
            return Printed(at_ms=entry.at_ms, condition_id=condition_id, told=entry.told)
        case TickSizeChanged():
            return TickChanged(at_ms=entry.at_ms, condition_id=condition_id, told=entry.told)
        case MarketResolved():
            return Resolved(at_ms=entry.at_ms, condition_id=condition_id, told=entry.told)
        case _:
            assert_never(entry.told)
