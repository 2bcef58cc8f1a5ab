"""Where a session is written down so that it can be played again, and what it is played on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from copytrade.ports.books import BookStore
from copytrade.ports.clock import Clock
from copytrade.ports.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.book_history import Quote
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.positions import Position
    from copytrade.domain.tape import Told
    from copytrade.domain.units import Millis, Price, Shares


class Chronicle(Protocol):
    """Growing entries, in the order they were written."""

    @property
    def entries(self) -> int:
        """How many there are."""

    def write(self, entry: object) -> None:
        """Append an entry; never waits, never raises. What cannot be written ends the recording, and that is noted."""


class PlayedBooks(BookStore, Protocol):
    """Books that show what they are told to."""

    def show(self, token_id: str, levels: Mapping[Quote, Shares], *, venue_ts_ms: Millis, at_ms: Millis) -> None:
        """Show a whole book."""

    def move(
        self, token_id: str, changes: Sequence[tuple[Quote, Shares]], *, venue_ts_ms: Millis, at_ms: Millis
    ) -> None:
        """Show the next settled state of a book that is shown."""

    def lose(self, token_id: str, *, at_ms: Millis) -> None:
        """Show that there is no book."""

    def tell(self, condition_id: str, told: Told, *, at_ms: Millis) -> None:
        """Have the venue print or announce something of a market."""

    def touches(self) -> Mapping[str, tuple[Price, Price]]:
        """Return best bid and best ask of every book that has both, as it was shown last."""


class PlayedClock(Clock, Protocol):
    """Time that goes on when everybody waits."""

    async def until(self, at_ms: Millis) -> None:
        """Wait until the beginning of a millisecond; not at all if it has begun."""

    async def settled(self) -> None:
        """Wait until nobody has anything left to do at this instant."""


class PlayedLedger(Ledger, Protocol):
    """A ledger that takes facts for given."""

    def hold_fill(self, recorded: RecordedFill) -> None:
        """Have a leader fill as it was, without asking where it came from."""

    def hold_position(self, position: Position) -> None:
        """Have a position as it was at the start."""
