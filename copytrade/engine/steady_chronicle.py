"""A recording ends where the wall clock is set back: no order of what follows would be that of its times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.engine.session import Ended
from copytrade.ports.recording import Chronicle

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.units import Millis
    from copytrade.ports.clock import Clock

SET_BACK_MS_MIN: Final[Millis] = 1_000
"""A wall clock that goes back by more was set; orders on paper are interrupted by it too."""


class SteadyChronicle(Chronicle):
    """Writes to another chronicle, and its last entry once the clock was set back; what comes then is left out."""

    def __init__(self, chronicle: Chronicle, clock: Clock, ended: Callable[[str], None]) -> None:
        """Write to `chronicle`; `ended` is told once why nothing more is written."""
        self._chronicle = chronicle
        self._clock = clock
        self._ended = ended
        self._newest_ms: Millis = 0
        self._is_over = False

    @property
    def entries(self) -> int:
        return self._chronicle.entries

    def write(self, entry: object) -> None:
        if self._is_over:
            return
        now_ms = self._clock.now_ms()
        back_ms = self._newest_ms - now_ms
        if back_ms >= SET_BACK_MS_MIN:
            self._is_over = True
            self._chronicle.write(Ended(at_ms=self._newest_ms, entries=self.entries))
            self._ended(f"the clock was set back by {back_ms} ms; what came before can be replayed")
            return
        self._newest_ms = max(self._newest_ms, now_ms)
        self._chronicle.write(entry)
