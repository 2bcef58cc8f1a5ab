"""How late the event loop comes to what is due: the first sign that something blocks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

LOOK_EVERY_MS: Final[Millis] = 500


class LoopLag:
    """Sleeps and tells by how much it was woken too late."""

    def __init__(self, clock: Clock, lagged: Callable[[Millis], None]) -> None:
        self._clock = clock
        self._lagged = lagged

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            started_ms = self._clock.monotonic_ms()
            await self._clock.sleep_ms(LOOK_EVERY_MS)
            self._lagged(max(0, self._clock.monotonic_ms() - started_ms - LOOK_EVERY_MS))
