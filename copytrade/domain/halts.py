"""When nothing, or nothing new, may be bought or sold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Reason, reason
from copytrade.domain.fills import Side
from copytrade.domain.ids import halt_id

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.units import Millis

BY_OPERATOR: Final = "operator"
BY_FILE: Final = "file"
BY_DRAWDOWN: Final = "drawdown"
BY_COMPARISON: Final = "account"
BY_GATE: Final = "gate "
"""What causes start with that a gate made; its name follows."""
REASON_LENGTH_MAX: Final = 500


class HaltLevel(StrEnum):
    """What a halt stops: buys, or everything."""

    ENTRIES = "entries"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """A halt from its start to its end; there is at most one open halt of a cause."""

    id: UUID
    cause: str
    level: HaltLevel
    why: str
    started_by: str
    started_at_ms: Millis
    ended_by: str | None = None
    ended_at_ms: Millis | None = None

    def stops(self, side: Side) -> bool:
        """Tell whether orders of that side are stopped."""
        return self.level is HaltLevel.ALL or side is Side.BUY

    def says_the_same(self, other: Halt) -> bool:
        """Tell whether another halt has the same cause, level and reason."""
        return (self.cause, self.level, self.why) == (other.cause, other.level, other.why)


def new_halt(cause: str, *, level: HaltLevel, why: str, by: str, now_ms: Millis) -> Halt:
    """Return a halt that begins now; the reason becomes one line, cut to a bound."""
    reason_given = " ".join(why.split())[:REASON_LENGTH_MAX] or "no reason given"
    return Halt(
        id=halt_id(cause, level, reason_given, now_ms),
        cause=cause,
        level=level,
        why=reason_given,
        started_by=by,
        started_at_ms=now_ms,
    )


def told(halt: Halt) -> dict[str, object]:
    """Return what a row and a message say of a halt."""
    facts = {"cause": halt.cause, "level": halt.level, "why": halt.why, "by": halt.started_by}
    ended = {} if halt.ended_by is None else {"ended_by": halt.ended_by}
    return {**facts, "since_ms": halt.started_at_ms, **ended}


def halted(halt: Halt) -> Reason:
    """Return why an order is not made, or made no longer."""
    return reason("HALTED", level=halt.level, cause=halt.cause, why=halt.why)
