"""Order books in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from copytrade.domain.book import BookSnapshot, BookView
    from copytrade.domain.tape import TapeEntry
    from copytrade.domain.units import Millis


class BookStore(Protocol):
    """The books of the tokens we track.

    A token has no book before its first snapshot and after a lost connection until it is seeded again.
    States are judged after the last message of a venue timestamp: a half-applied sweep is never shown.
    """

    def track(self, token_id: str) -> None:
        """Start keeping this token's book; does nothing if it is kept already."""

    def pin(self, pinned: Callable[[], Collection[str]]) -> None:
        """Never drop a token that `pinned` names to make room; it is asked again each time."""

    def view(self, token_id: str) -> BookView | None:
        """Return the book now and its age, None while there is none; never touches the network."""

    async def first_view(self, token_id: str, *, timeout_ms: Millis) -> BookView | None:
        """Track the token and wait for its book; None when there is none after `timeout_ms`."""

    async def refresh(self, token_id: str) -> BookView | None:
        """Ask the venue for this one book now and return the result; None when it has none or cannot answer."""

    def book_at(self, token_id: str, at_ms: Millis) -> BookSnapshot | None:
        """Return the book as it stood at a past instant of our clock.

        None when there was no book at that instant or it is older than the configured history.
        """

    def states_after(self, token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        """Return every kept settled state newer than `revision`, oldest first."""

    def tape_after(self, condition_id: str, at_ms: Millis) -> tuple[TapeEntry, ...]:
        """Return what was printed and announced about a market after an instant of our clock, oldest first.

        Kept as long as past books are, for markets whose books are tracked.
        """

    async def printed(self, condition_id: str, at_ms: Millis) -> None:
        """Wait until the tape of a market has an entry from after an instant."""

    async def changed(self, token_id: str, revision: int) -> None:
        """Wait until there is a settled state newer than `revision`, or the book is lost or dropped meanwhile.

        While there is no book this waits for the next one; for a token that is not tracked it returns at once.
        """

    async def run(self) -> None:
        """Keep the books until cancelled, healing connections."""
