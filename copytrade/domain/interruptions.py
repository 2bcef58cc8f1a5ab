"""Times at which the venue's engine does not take every order: restarts and what follows them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from copytrade.domain.units import Millis

RESTART_MS: Final[Millis] = 90_000
"""How long the engine is away (docs.polymarket.com, matching engine restarts)."""
AFTER_RESTART_MS: Final[Millis] = 120_000
"""How long it takes only post-only orders afterwards."""
WEEK_MS: Final[Millis] = 7 * 86_400_000
SECONDS_MAX: Final = 86_400
ACCEPTED: Final = (
    "comma-separated MODE@START or MODE@START/SECONDS: MODE restart, post_only, cancel_only or disabled; "
    "START an instant such as 2026-11-24T12:00:00Z, or a UTC time of the week such as TUE-12:00"
)
_DAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_WEEKLY: Final = re.compile(rf"({'|'.join(_DAYS)})-([01]\d|2[0-3]):([0-5]\d)")
_MONDAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class VenueMode(StrEnum):
    """What the engine does with new orders."""

    RESTART = "restart"
    POST_ONLY = "post_only"
    CANCEL_ONLY = "cancel_only"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruption:
    """A mode from `start_ms` on, for `duration_ms`; again every week if `is_weekly`."""

    mode: VenueMode
    start_ms: Millis
    duration_ms: Millis
    is_weekly: bool = False

    def left_ms(self, at_ms: Millis) -> Millis:
        """Return how long it still lasts at an instant, zero outside of it."""
        since_ms = at_ms - self.start_ms
        if self.is_weekly:
            since_ms %= WEEK_MS
        return self.duration_ms - since_ms if 0 <= since_ms < self.duration_ms else 0


def interruption_at(interruptions: Iterable[Interruption], at_ms: Millis) -> Interruption | None:
    """Return what the venue is in at an instant, the first that is listed."""
    return next((one for one in interruptions if one.left_ms(at_ms) > 0), None)


def parse_interruptions(text: str) -> tuple[Interruption, ...]:
    """Return what "restart@TUE-12:00, cancel_only@2026-11-24T12:00:00Z/600" means; a restart is two in a row.

    :raises ValueError: not of that form.
    """
    return tuple(
        found for part in text.split(",") if part.strip() for found in _parsed(part.strip(), whole=text.strip())
    )


def _parsed(text: str, *, whole: str) -> tuple[Interruption, ...]:
    mode, _, rest = text.partition("@")
    start, has_seconds, seconds = rest.partition("/")
    if mode not in set(VenueMode) or bool(has_seconds) == (mode == VenueMode.RESTART):
        raise ValueError(f"not {ACCEPTED}: {whole!r}")
    start_ms, is_weekly = _start(start, whole=whole)
    if mode == VenueMode.RESTART:
        restart = Interruption(mode=VenueMode.RESTART, start_ms=start_ms, duration_ms=RESTART_MS, is_weekly=is_weekly)
        after = Interruption(
            mode=VenueMode.POST_ONLY,
            start_ms=start_ms + RESTART_MS,
            duration_ms=AFTER_RESTART_MS,
            is_weekly=is_weekly,
        )
        return (restart, after)
    if not (seconds.isascii() and seconds.isdigit() and 0 < int(seconds) <= SECONDS_MAX):
        raise ValueError(f"SECONDS is not an integer from 1 to {SECONDS_MAX}: {whole!r}")
    duration_ms = int(seconds) * 1_000
    return (Interruption(mode=VenueMode(mode), start_ms=start_ms, duration_ms=duration_ms, is_weekly=is_weekly),)


def _start(text: str, *, whole: str) -> tuple[Millis, bool]:
    if weekly := _WEEKLY.fullmatch(text):
        day, hour, minute = weekly.groups()
        start = _MONDAY + timedelta(days=_DAYS.index(day), hours=int(hour), minutes=int(minute))
        return (start - _EPOCH) // _MILLISECOND, True
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"START is no instant and no time of the week: {whole!r}") from error
    if instant.tzinfo is None:
        raise ValueError(f"START has no time zone (Z for UTC): {whole!r}")
    return (instant - _EPOCH) // _MILLISECOND, False
