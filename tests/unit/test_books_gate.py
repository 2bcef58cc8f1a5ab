"""Which books the gate looks at, and in which order: a look is remembered with the book."""

from __future__ import annotations

from copytrade.domain.book import BookView
from copytrade.domain.happenings import Decided
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.engine.gate_readings import BooksGate
from copytrade.engine.portfolio import Portfolio
from tests.fakes import FakeBooks, FakeRegistry
from tests.ledger_facts import an_attempt
from tests.makers import NOW_MS, a_book, a_fill, a_market, recorded
from tests.virtual_time import VirtualClock, run_virtual

TOKENS = ("111", "222", "333", "444", "555", "666", "777", "888")


class LookedAt(FakeBooks):
    """Notes which books were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.viewed: list[str] = []

    def view(self, token_id: str) -> BookView | None:
        self.viewed.append(token_id)
        return super().view(token_id)


def looked_at(*, usable: str | None) -> list[str]:
    books, registry = LookedAt(), FakeRegistry()
    registry.known = dict.fromkeys(TOKENS, a_market())

    async def main() -> None:
        gate = BooksGate(
            books=books,
            registry=registry,
            portfolio=Portfolio(strategy_id=COPY_STRATEGY_ID, account_id="paper"),
            stale_ms=5_000,
            clock=VirtualClock(),
        )
        for token_id in (*TOKENS, TOKENS[0]):
            seen = recorded(a_fill(token_id=token_id))
            gate.tell(Decided(recorded=seen, attempt=an_attempt(seen), market=None, book=None))
        if usable is not None:
            await books.show(a_book(token_id=usable))
        gate.read()

    run_virtual(main, epoch_ms=NOW_MS)
    return books.viewed


def test_books_are_looked_at_in_the_order_in_which_their_tokens_were_decided_on() -> None:
    assert looked_at(usable=None) == [*TOKENS]


def test_nobody_looks_further_than_the_first_usable_book() -> None:
    assert looked_at(usable="444") == [*TOKENS[:4]]
