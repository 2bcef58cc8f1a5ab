"""What is written down of a session: what the world gave, and what came of it.

Given: the facts of each decision, as they were gathered, with the book they saw; from then on every settled state
of the books of its market and what the venue printed and announced of it; blocks that were taken away. Came of it:
attempts, orders, executions, endings, settlements, each at the place in the order of things at which the worker knew
of it. `at_ms` is when it was written, which never goes back; of a state of a book, or of something that was printed, it
is when that came to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.market_events import MarketResolved, TickSizeChanged
    from copytrade.domain.positions import Position
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.tape import TradePrint
    from copytrade.domain.units import Millis
    from copytrade.ports.leader_fills import FillsRemoved
    from copytrade.strategies.copy import CopyFacts

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """The first entry: who recorded, and the settings that decisions and paper depend on, as text by name."""

    at_ms: Millis
    format: int
    program: str
    mode: str
    strategy_id: str
    account_id: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What was held at the start, and which orders an earlier life had left open."""

    at_ms: Millis
    positions: tuple[Position, ...]
    open_attempts: tuple[ExecutionAttempt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What decisions of earlier lives left for the next ones: see `ports.copy_memory`."""

    at_ms: Millis
    carries: tuple[Carry, ...]
    last_entries: Mapping[UUID, Millis]
    decided: tuple[tuple[RecordedFill, ExecutionAttempt], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Everything a decision is made from."""

    at_ms: Millis
    recorded: RecordedFill
    facts: CopyFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An attempt, as it was decided, and what waits after it if that changed."""

    at_ms: Millis
    attempt: ExecutionAttempt
    carry: Carry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order was written down to be sent, or could not be any more."""

    at_ms: Millis
    attempt_id: UUID
    placed_at_ms: Millis
    is_sent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """An execution was booked."""

    at_ms: Millis
    fill: ExecutionFill


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """An attempt ended."""

    at_ms: Millis
    attempt_id: UUID
    status: AttemptStatus
    reason: Reason | None
    done_at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Shares left or came to positions without a trade."""

    at_ms: Millis
    settlements: tuple[PositionSettlement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A reorg took logs away."""

    at_ms: Millis
    removed: FillsRemoved


@dataclass(frozen=True, slots=True, kw_only=True)
class BookShown:
    """A whole book; `token` stands for the token from now on. `levels` are quotes and sizes in turn."""

    at_ms: Millis
    token: int
    token_id: str
    venue_ts_ms: Millis
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookMoved:
    """The next settled state of a book, as what changed: quotes and new sizes in turn."""

    at_ms: Millis
    token: int
    venue_ts_ms: Millis
    changes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookGone:
    """From now on there is no book, or none is recorded any more."""

    at_ms: Millis
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookAged:
    """How old a book was when whoever trades on it looked: the time since it was last known true."""

    at_ms: Millis
    token_id: str
    age_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """The venue printed a trade of a market."""

    at_ms: Millis
    condition_id: str
    told: TradePrint


@dataclass(frozen=True, slots=True, kw_only=True)
class TickChanged:
    """The venue announced another grid of prices for a market."""

    at_ms: Millis
    condition_id: str
    told: TickSizeChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The venue announced how a market was resolved."""

    at_ms: Millis
    condition_id: str
    told: MarketResolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last entry, with how many there were before it: nothing is missing."""

    at_ms: Millis
    entries: int


BookEntry: TypeAlias = BookShown | BookMoved | BookGone | BookAged
TapeEntry: TypeAlias = Printed | TickChanged | Resolved
Outcome: TypeAlias = Made | Placed | Filled | Closed
Entry: TypeAlias = Began | Held | Remembered | Gathered | Outcome | Settled | Removed | BookEntry | TapeEntry | Ended

_EVERY: Final = (
    *(Began, Held, Remembered, Gathered, Made, Placed, Filled, Closed, Settled, Removed),
    *(BookShown, BookMoved, BookGone, BookAged, Printed, TickChanged, Resolved, Ended),
)
KINDS: Final[Mapping[str, type]] = {kind.__name__: kind for kind in _EVERY}
