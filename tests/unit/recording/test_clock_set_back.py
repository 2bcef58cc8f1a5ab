"""What is recorded until the wall clock is set back is a whole recording; what follows is left out."""

from __future__ import annotations

from typing import Any

import pytest

from copytrade.engine.session import BookGone, Ended
from copytrade.engine.steady_chronicle import SteadyChronicle
from tests.recordings import MemoryChronicle


class HandSetClock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.shows_ms = 10_000

    def now_ms(self) -> int:
        return self.shows_ms


@pytest.mark.parametrize(("back_ms", "is_set_back"), [(999, False), (1_000, True), (70_000, True)])
def test_the_last_entry_is_written_when_the_clock_is_set_back(back_ms: int, *, is_set_back: bool) -> None:
    clock: Any = HandSetClock()
    kept, told = MemoryChronicle(), list[str]()
    steady = SteadyChronicle(kept, clock, told.append)
    before, after = (BookGone(at_ms=10_000, token=token) for token in (1, 2))

    steady.write(before)
    clock.shows_ms -= back_ms
    steady.write(after)
    clock.shows_ms += 90_000
    steady.write(after)

    assert kept.read() == ([before, Ended(at_ms=10_000, entries=1)] if is_set_back else [before, after, after])
    assert steady.entries == len(kept.lines)
    assert told == (
        [f"the clock was set back by {back_ms} ms; what came before can be replayed"] if is_set_back else []
    )
