"""Seeded draws of latencies, the same for an attempt whatever else is drawn."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from copytrade.domain.latency import LATENCY_MS_MAX
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from copytrade.domain.latency import Latency
    from copytrade.domain.units import Millis


def latency_ms(latency: Latency, *, seed: int, attempt_id: UUID, leg: str) -> Millis:
    """Return how long one leg of this attempt's way takes."""
    # A text seeds through SHA-512, so it does not depend on PYTHONHASHSEED.
    generator = random.Random(f"{seed}|{attempt_id}|{leg}")
    if latency.measured:
        return _quantile(latency.measured, generator.random())
    if latency.sigma == 0 or latency.median_ms == 0:
        return latency.median_ms
    drawn = generator.lognormvariate(math.log(latency.median_ms), latency.sigma / MICRO)
    return min(LATENCY_MS_MAX, round(drawn))


def _quantile(measured: Sequence[Millis], share: float) -> Millis:
    """Return the value below which that share of the sorted measurements lies, between two of them in proportion."""
    place = share * (len(measured) - 1)
    below = int(place)
    above = min(below + 1, len(measured) - 1)
    return round(measured[below] + (place - below) * (measured[above] - measured[below]))
