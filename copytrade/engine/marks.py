"""What a token is worth now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from copytrade.domain.units import Price
    from copytrade.ports.books import BookStore


def best_bids(books: BookStore) -> Callable[[str], Price | None]:
    """Return what marks a token: its best bid now, None where there is no book."""

    def mark(token_id: str) -> Price | None:
        view = books.view(token_id)
        return view.book.best_bid if view else None

    return mark
