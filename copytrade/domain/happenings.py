"""What the worker did, told to people and screens once it is durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.book import BookSnapshot
    from copytrade.domain.fills import RecordedFill, Source
    from copytrade.domain.market import Market
    from copytrade.domain.positions import Position
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDetected:
    """A leader fill was stored for the first time, at `stored_at_ms`; `is_history` ones are never copied."""

    recorded: RecordedFill
    leader_label: str
    market: Market | None
    stored_at_ms: Millis
    is_history: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FillJoined:
    """A source (`by`) reported a fill that is stored already, for the first time."""

    recorded: RecordedFill
    by: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """An attempt was stored, TRADE or SKIP; `book` is the one the decision saw."""

    recorded: RecordedFill
    attempt: ExecutionAttempt
    market: Market | None
    book: BookSnapshot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSent:
    """An order is on its way; the attempt's `placed_at_ms` is when the venue is expected to have it."""

    attempt: ExecutionAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled:
    """One execution was booked; `position` is the one after it, `leader_price` what the leader paid or got."""

    attempt: ExecutionAttempt
    fill: ExecutionFill
    position: Position
    recorded: RecordedFill | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSettled:
    """Shares left a position, or came to it, without a trade; `position` is the one after it."""

    settlement: PositionSettlement
    position: Position
    market: Market | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded:
    """An order is over."""

    attempt: ExecutionAttempt
    status: AttemptStatus
    reason: Reason | None


FIGURES: Final = "FIGURES"
"""The code of a note of the books' counts."""
POLLING: Final = "POLLING"
"""The code of a note of how often each leader is really polled."""
ROWS_COUNTED: Final = "ROWS_COUNTED"
"""The code of a note of how many rows there were, kept for the audit: none of them may go."""
UNTOLD: Final = frozenset({FIGURES, POLLING, ROWS_COUNTED})
"""Notes that are kept for `status` and told to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Something an operator should know (also a `worker_event` row)."""

    code: str
    detail: Mapping[str, object]
    at_ms: Millis


Happening: TypeAlias = (
    FillDetected | FillJoined | Decided | OrderSent | OrderFilled | PositionSettled | OrderEnded | Noted
)
