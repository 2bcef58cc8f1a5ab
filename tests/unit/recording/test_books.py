"""Books that are recorded and shown again are the same at every instant, whatever happened to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copytrade.adapters.recording.books import RecordedBooks
from copytrade.domain.book import QuoteTier
from copytrade.domain.order_book import LiveBook
from copytrade.engine import book_recording
from copytrade.engine.book_recording import BookRecorder, RecordingBooks
from copytrade.engine.replaying import in_order
from copytrade.engine.session import BookAged, BookGone, BookMoved, BookShown, Closed
from tests.fakes import FakeBooks
from tests.makers import NOW_MS, YES, a_book
from tests.recordings import MemoryChronicle
from tests.virtual_time import VirtualClock, run_virtual

LENGTH_MS = 400


class LiveBooks(RecordedBooks):
    """A store whose books change as a test says, with nothing known of ages."""

    def __init__(self) -> None:
        super().__init__(VirtualClock(), fresh_ms=2_000, stale_ms=5_000, ages={})

    @property
    def book(self) -> LiveBook:
        return self._books[YES]


def recorded(story: Callable[[LiveBooks, BookRecorder], Awaitable[None]]) -> tuple[MemoryChronicle, LiveBooks]:
    async def main() -> tuple[MemoryChronicle, LiveBooks]:
        books, chronicle = LiveBooks(), MemoryChronicle()
        recorder = BookRecorder(books, chronicle, VirtualClock())
        running = asyncio.create_task(recorder.run())
        await story(books, recorder)
        recorder.catch_up()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return chronicle, books

    return run_virtual(main, epoch_ms=NOW_MS)


def shown_again(chronicle: MemoryChronicle) -> LiveBooks:
    async def main() -> LiveBooks:
        books = LiveBooks()
        for entry in in_order(chronicle.read()):
            match entry:
                case BookShown():
                    books.show(YES, _pairs(entry.levels), venue_ts_ms=entry.venue_ts_ms, at_ms=entry.at_ms)
                case BookMoved():
                    changes = list(_pairs(entry.changes).items())
                    books.move(YES, changes, venue_ts_ms=entry.venue_ts_ms, at_ms=entry.at_ms)
                case BookGone():
                    books.lose(YES, at_ms=entry.at_ms)
        return books

    return run_virtual(main, epoch_ms=NOW_MS)


def _pairs(numbers: tuple[int, ...]) -> dict[int, int]:
    return dict(zip(numbers[::2], numbers[1::2], strict=True))


def sides(books: LiveBooks, after_ms: int) -> Any:
    book = books.book_at(YES, NOW_MS + after_ms)
    return book and (book.bids, book.asks)


QUOTES = st.integers(1, 9).map(lambda tick: tick * 10_000) | st.integers(11, 19).map(lambda tick: -tick * 10_000)
CHANGES = st.lists(st.tuples(QUOTES, st.integers(0, 5)), min_size=1, max_size=3)
STEPS = st.lists(
    st.tuples(st.integers(0, 40), st.one_of(CHANGES, st.just("lose"), st.dictionaries(QUOTES, st.integers(1, 5)))),
    max_size=12,
)


@settings(max_examples=60)
@given(STEPS)
def test_a_book_that_was_recorded_is_the_same_at_every_instant(steps: list[tuple[int, Any]]) -> None:
    async def story(books: LiveBooks, recorder: BookRecorder) -> None:
        clock = VirtualClock()
        books.show(YES, {10_000: 1, -190_000: 1}, venue_ts_ms=1, at_ms=NOW_MS)
        recorder.follow(YES, None)
        for stamp, (pause_ms, step) in enumerate(steps, start=2):
            await clock.sleep_ms(pause_ms)
            now_ms = clock.now_ms()
            if step == "lose":
                books.lose(YES, at_ms=now_ms)
            elif isinstance(step, dict):
                books.show(YES, step, venue_ts_ms=stamp, at_ms=now_ms)
            elif books.book.is_seeded:
                books.move(YES, step, venue_ts_ms=stamp, at_ms=now_ms)
        await clock.sleep_ms(200)

    chronicle, before = recorded(story)
    after = shown_again(chronicle)

    instants = range(LENGTH_MS)
    assert [sides(after, one) for one in instants] == [sides(before, one) for one in instants]


def test_a_token_is_followed_for_a_while_and_longer_if_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_recording, "FOLLOWED_FOR_MS", 1_000)

    async def story(books: LiveBooks, recorder: BookRecorder) -> None:
        books.show(YES, {10_000: 1}, venue_ts_ms=1, at_ms=NOW_MS)
        recorder.follow(YES, None)
        await asyncio.sleep(0.6)
        assert recorder.keep(YES)
        await asyncio.sleep(0.6)
        assert recorder.keep(YES)
        await asyncio.sleep(2)
        assert not recorder.keep(YES)
        recorder.follow(YES, None)
        await asyncio.sleep(0.1)

    chronicle, _ = recorded(story)

    assert [type(entry) for entry in chronicle.read()] == [BookShown, BookGone, BookShown]
    assert [entry.at_ms - NOW_MS for entry in chronicle.read()] == [0, 2_200, 0]
    assert {entry.token for entry in chronicle.read() if isinstance(entry, BookShown)} == {0}


def test_beyond_the_bound_a_token_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_recording, "FOLLOWED_MAX", 0)

    async def story(books: LiveBooks, recorder: BookRecorder) -> None:
        recorder.follow(YES, None)
        assert not recorder.keep(YES)

    assert recorded(story)[0].lines == []


def test_a_book_that_comes_later_is_written_from_its_first_state() -> None:
    async def story(books: LiveBooks, recorder: BookRecorder) -> None:
        recorder.follow(YES, None)
        await asyncio.sleep(0.3)
        books.show(YES, {10_000: 1}, venue_ts_ms=1, at_ms=NOW_MS + 300)
        await asyncio.sleep(0.3)

    chronicle, _ = recorded(story)

    assert [(type(entry), entry.at_ms - NOW_MS) for entry in chronicle.read()] == [(BookShown, 300)]


def test_whoever_trades_is_shown_the_age_that_the_session_saw_at_its_next_look() -> None:
    async def main() -> list[int]:
        looks = {YES: [(NOW_MS + 100, 50), (NOW_MS + 250, 6_000), (NOW_MS + 9_000, 7_000)]}
        books = RecordedBooks(VirtualClock(), fresh_ms=2_000, stale_ms=5_000, ages=looks)
        books.show(YES, {10_000: 1}, venue_ts_ms=1, at_ms=NOW_MS)
        seen = []
        for after_ms in (0, 100, 240, 250, 300):
            await VirtualClock().until(NOW_MS + after_ms)
            view = books.view(YES)
            assert view is not None
            seen.append(view.age_ms)
        assert books.view("other") is None
        return seen

    assert run_virtual(main, epoch_ms=NOW_MS) == [0, 50, 5_990, 6_000, 0]


def test_each_look_of_whoever_trades_is_written() -> None:
    async def main() -> list[Any]:
        books, chronicle = FakeBooks(), MemoryChronicle()
        await books.show(a_book())
        books.age_ms, books.tier = 3_000, QuoteTier.SOFT_STALE
        traded = RecordingBooks(books, chronicle, VirtualClock())
        assert traded.view(YES) == books.view(YES)
        assert traded.view("other") is None
        return chronicle.read()

    assert run_virtual(main, epoch_ms=NOW_MS) == [BookAged(at_ms=NOW_MS, token_id=YES, age_ms=3_000)]


def test_entries_are_played_by_their_times_the_books_of_an_instant_first() -> None:
    late = BookGone(at_ms=5, token=1)
    entries: list[Any] = [
        BookGone(at_ms=1, token=0),
        BookAged(at_ms=6, token_id=YES, age_ms=1),
        BookGone(at_ms=6, token=2),
        late,
        BookGone(at_ms=9_000, token=3),
    ]

    assert [entry.at_ms for entry in in_order(entries)] == [1, 5, 6, 6, 9_000]
    assert Closed not in {type(entry) for entry in in_order(entries)}
