"""The book as it stood a moment ago, and whether it could be relied on then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from copytrade.domain.attribution import top_of

if TYPE_CHECKING:
    from copytrade.domain.attribution import BookTop
    from copytrade.domain.units import Millis
    from copytrade.ports.books import BookStore

SETTLED_AFTER_MS: Final[Millis] = 100
"""How long after an instant nothing changes any more what the book was then."""


class PastBooks:
    """Answers from the history of the books that are kept; nothing is asked of the venue."""

    def __init__(self, books: BookStore, *, stale_ms: Millis) -> None:
        self._books = books
        self._stale_ms = stale_ms

    def at(self, token_id: str, at_ms: Millis, *, now_ms: Millis) -> BookTop | str:
        """Return the book of an instant, or why it is not known: NO_BOOK, or STALE if it was older than allowed."""
        book = self._books.book_at(token_id, at_ms)
        if book is None:
            return "NO_BOOK"
        view = self._books.view(token_id)
        is_same = view is not None and view.book.revision == book.revision
        if view is not None and is_same and view.age_ms - (now_ms - at_ms) > self._stale_ms:
            return "STALE"
        return top_of(book)
