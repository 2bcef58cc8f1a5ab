"""What of a real venue a simulated order feels; each part can be switched off to see what it costs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """One part of the simulation.

    LATENCY: the order is placed later than it was decided. DELAY: the venue holds an order that would take.
    IMPACT: what we took is gone until the book says otherwise. QUEUE: an order at rest stands behind what was
    there before it, and is filled by trades at its price. FEES: a taker pays.
    """

    LATENCY = "latency"
    DELAY = "delay"
    IMPACT = "impact"
    QUEUE = "queue"
    FEES = "fees"


ALL_EFFECTS: Final = frozenset(Effect)
ACCEPTED: Final = f"all, none, or some of {', '.join(Effect)}"


def parse_effects(text: str) -> frozenset[Effect]:
    """Return what "all", "none" or "latency,fees" means.

    :raises ValueError: a word is none of these.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return ALL_EFFECTS
    if words == ["none"]:
        return frozenset()
    unknown = [word for word in words if word not in set(Effect)]
    if unknown or not words:
        raise ValueError(f"not {ACCEPTED}: {text!r}")
    return frozenset(Effect(word) for word in words)
