"""Scheduled actions in order of time; the only clock the world has."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

Action = Callable[[], None]


class Timeline:
    """Runs actions when time is moved past them; same schedule, same order, every run."""

    def __init__(self, *, start_ms: int) -> None:
        """Begin at `start_ms`, Unix milliseconds."""
        self._now_ms = start_ms
        self._order = itertools.count()
        self._queue: list[tuple[int, int, Action]] = []

    @property
    def now_ms(self) -> int:
        """The time of the action that runs, or the last time moved to."""
        return self._now_ms

    @property
    def next_ms(self) -> int | None:
        """When the next action is due."""
        return self._queue[0][0] if self._queue else None

    def after(self, delay_ms: int, action: Action) -> None:
        """Run `action` `delay_ms` from now, or at once when time next moves if negative."""
        at_ms = self._now_ms + max(delay_ms, 0)
        heapq.heappush(self._queue, (at_ms, next(self._order), action))

    def advance(self, to_ms: int) -> None:
        """Run everything due up to and including `to_ms`, each at its own time."""
        while self._queue and self._queue[0][0] <= to_ms:
            at_ms, _, action = heapq.heappop(self._queue)
            self._now_ms = max(self._now_ms, at_ms)
            action()
        self._now_ms = max(self._now_ms, to_ms)
