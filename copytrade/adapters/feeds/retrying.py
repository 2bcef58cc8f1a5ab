"""When to try again, and what of an address may be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import random

    from copytrade.domain.units import Millis

DOUBLINGS_MAX: Final = 10


def jitter_ms(rng: random.Random, failures: int, *, first_ms: Millis, most_ms: Millis) -> Millis:
    """Return a wait of at least `first_ms`, drawn below a ceiling that doubles with each failure in a row."""
    ceiling_ms = min(most_ms, first_ms * 2 ** min(failures, DOUBLINGS_MAX))
    return round(rng.uniform(first_ms, max(first_ms, ceiling_ms)))


def host_of(url: str) -> str:
    """Return the part of a URL that may be shown: others may hold keys."""
    return urlsplit(url).hostname or "(no host)"
