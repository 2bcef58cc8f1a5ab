"""The venue's dead-man switch: after a first heartbeat it cancels all orders of the API key when one is missing.

It covers every program that uses the key, and cannot be taken back but by letting it run out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.ports.venue_account import VenueUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from copytrade.adapters.live.clob_account import ClobAccount
    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

BEAT_MS: Final[Millis] = 4_000
"""The venue cancels after 10 s without one: two in a row may be lost on the way."""
RETRY_MS: Final[Millis] = 1_000


class Heartbeat:
    """Sends one after the other until cancelled; each names the one the venue asked for last."""

    def __init__(self, *, clob: ClobAccount, clock: Clock, note: Callable[[str, Mapping[str, object]], None]) -> None:
        self._clob = clob
        self._clock = clock
        self._note = note
        self._id = ""
        self._missed = 0

    async def run(self) -> None:
        """Beat until cancelled; the first that is missed, of several in a row, is noted."""
        while True:
            await self._clock.sleep_ms(BEAT_MS if await self._beat() else RETRY_MS)

    async def _beat(self) -> bool:
        try:
            beat = await self._clob.beat(self._id)
        except VenueUnavailableError as error:
            self._missed += 1
            if self._missed == 1:
                self._note("HEARTBEAT_MISSED", {"why": str(error)})
            return False
        self._id = beat.next_id
        if beat.is_taken:
            self._missed = 0
        return beat.is_taken
