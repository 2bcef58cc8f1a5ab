"""One leader's rows, swept page by page from the newest back to where the last sweep began, less an overlap."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from copytrade.adapters.data_api.decode import TradeRow
from copytrade.domain.fills import Sighting
from copytrade.domain.units import Millis

OVERLAP_S: Final = 300
"""Rows may come so late without being missed."""
DEEP_OVERLAP_S: Final = 3_600
DEEP_EVERY_MS: Final = 600_000
"""Now and then a sweep goes back an hour, for rows later than that."""
CONFIRM_AFTER_MS: Final = 60_000
KEYS_MAX: Final = 50_000
"""Row keys remembered per leader; a forgotten one is reported again, which is harmless."""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """When a row was first seen, of which second it is, and whether it was confirmed."""

    first_ms: Millis
    timestamp_s: int
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a page added: rows never seen before, oldest first, and keys of rows that are still served."""

    new: tuple[Sighting, ...]
    confirmed: tuple[str, ...]


class LeaderSweep:
    """The state of one leader's poll. Times of day are wall time, ages monotonic."""

    def __init__(self, *, since_s: int) -> None:
        self._since_s: Final = since_s
        self._next_start_s = since_s
        self._last_deep_ms: Millis | None = None
        self._seen: Final[dict[str, _Seen]] = {}
        self._held: list[TradeRow] = []
        self._began_s = 0
        self._is_deep = False
        self.start_s = since_s
        self.cursor: str | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether pages of this sweep are still to come."""
        return self.cursor is not None

    def begin(self, *, now_ms: Millis, monotonic_ms: Millis) -> None:
        """Start a sweep from the newest row."""
        self._held = []
        self._began_s = now_ms // 1000
        self._is_deep = self._last_deep_ms is None or monotonic_ms - self._last_deep_ms >= DEEP_EVERY_MS
        start_s = self._next_start_s
        if self._is_deep:
            start_s = min(start_s, self._began_s - DEEP_OVERLAP_S)
            self._last_deep_ms = monotonic_ms
        self.start_s = max(self._since_s, start_s)
        self.cursor = None

    def take(self, rows: list[TradeRow], *, next_cursor: str | None, now_ms: Millis, monotonic_ms: Millis) -> Found:
        """Take a page. Rows of its oldest second wait for the next page, so that a transaction is never split.

        All rows of a transaction share its block's second, so whatever is older than that is whole.
        """
        rows = self._held + rows
        self.cursor = next_cursor
        oldest_s = min((row.timestamp_s for row in rows), default=0)
        self._held = [row for row in rows if row.timestamp_s == oldest_s] if next_cursor is not None else []
        whole = [row for row in rows if next_cursor is None or row.timestamp_s > oldest_s]
        found = self._judge(whole, now_ms=now_ms, monotonic_ms=monotonic_ms)
        if next_cursor is None:
            self._finish()
        return found

    def abandon(self) -> None:
        """Give the sweep up: the next one starts where this one did."""
        self.cursor = None
        self._held = []

    def _judge(self, rows: list[TradeRow], *, now_ms: Millis, monotonic_ms: Millis) -> Found:
        ordinals: Counter[str] = Counter()
        new: list[Sighting] = []
        confirmed: list[str] = []
        for row in sorted(rows, key=lambda row: row.timestamp_s):
            sighting = row.sighting(ordinals[row.identity], detected_at_ms=now_ms)
            ordinals[row.identity] += 1
            seen = self._seen.get(sighting.source_key)
            if seen is None:
                self._seen[sighting.source_key] = _Seen(first_ms=monotonic_ms, timestamp_s=row.timestamp_s)
                new.append(sighting)
            elif not seen.is_confirmed and monotonic_ms - seen.first_ms >= CONFIRM_AFTER_MS:
                seen.is_confirmed = True
                confirmed.append(sighting.source_key)
        return Found(new=tuple(new), confirmed=tuple(confirmed))

    def _finish(self) -> None:
        """Move the next start up to the overlap, and forget what no later sweep can return."""
        self._next_start_s = max(self._since_s, self._began_s - OVERLAP_S)
        horizon_s = self._began_s - DEEP_OVERLAP_S - OVERLAP_S
        gone = [key for key, seen in self._seen.items() if seen.timestamp_s < horizon_s]
        surplus = list(self._seen)[: max(0, len(self._seen) - len(gone) - KEYS_MAX)]
        for key in (*gone, *surplus):
            self._seen.pop(key, None)
