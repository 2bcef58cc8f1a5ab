"""Whether what a decision relies on is healthy enough to enter a trade on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Reason, reason

if TYPE_CHECKING:
    from copytrade.domain.units import Millis


class GateName(StrEnum):
    """What is looked at; GATE_ before it is the code of a refusal."""

    BOOKS = "BOOKS"
    CHAIN_LAG = "CHAIN_LAG"
    PROVED_LAG = "PROVED_LAG"
    REGISTRY_AGE = "REGISTRY_AGE"
    DATABASE = "DATABASE"
    CLOCK_SKEW = "CLOCK_SKEW"
    SOURCES = "SOURCES"


WAITS_FOR_A_PERSON: Final = frozenset({GateName.CLOCK_SKEW, GateName.SOURCES})
"""A halt of these is not ended by the gate itself: a clock that jumped and sources that contradict each other
leave decisions behind them that somebody should look at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a gate finds now: a measured value against its limit, both as people read them."""

    is_healthy: bool
    value: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """A gate at one time; `since_ms` is when it last became healthy or unhealthy."""

    name: GateName
    reading: Reading
    since_ms: Millis

    @property
    def refusal(self) -> Reason | None:
        """Why no entry is made, None while the gate is open."""
        if self.reading.is_healthy:
            return None
        return reason(f"GATE_{self.name}", value=self.reading.value, limit=self.reading.limit)
