"""Times as people write them on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copytrade.domain.units import Millis

_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_UNIX_MS_FROM: Final = 10**12


def parse_since(text: str, *, now_ms: Millis) -> Millis:
    """Return a past instant from "2h" (ago), an ISO time (UTC unless it says otherwise) or Unix seconds.

    :raises ValueError: none of these, or not in the past.
    """
    at_ms = _instant(text.strip(), now_ms=now_ms)
    if at_ms > now_ms:
        raise ValueError(f"{text!r} is not in the past")
    return at_ms


def _instant(text: str, *, now_ms: Millis) -> Millis:
    if ago := _AGO.fullmatch(text):
        return now_ms - int(ago[1]) * _UNIT_MS[ago[2]]
    if text.isascii() and text.isdigit():
        number = int(text)
        return number if number >= _UNIX_MS_FROM else number * 1_000
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write 2h, 3d, 2026-11-01, 2026-11-01T12:00 or Unix seconds") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def utc(at_ms: Millis) -> str:
    """Return an instant as ISO text."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
