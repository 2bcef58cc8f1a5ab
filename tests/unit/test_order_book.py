"""The live book against full copies of every state, and the rules of settling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copytrade.domain.book import BookSnapshot, Level
from copytrade.domain.book_history import Quote
from copytrade.domain.order_book import CHECKPOINT_CHANGES, LiveBook
from copytrade.domain.units import MICRO

TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
HISTORY_MS = 60_000
CENT = MICRO // 100
SHARE = MICRO


def make_book(*, history_ms: int = HISTORY_MS, revision: int = 0) -> LiveBook:
    return LiveBook(TOKEN, history_ms=history_ms, revision=revision)


def seeded(bids: dict[int, int], asks: dict[int, int], *, at_ms: int = 1_000, venue_ts_ms: int = 10) -> LiveBook:
    """A book with prices in cents and sizes in shares."""
    book = make_book()
    book.replace(quotes(bids, asks), venue_ts_ms, at_ms)
    return book


def quotes(bids: dict[int, int], asks: dict[int, int]) -> dict[Quote, int]:
    levels = {price * CENT: size * SHARE for price, size in bids.items()}
    levels.update({-price * CENT: size * SHARE for price, size in asks.items()})
    return levels


def touch(state: BookSnapshot | None) -> tuple[int | None, int | None]:
    assert state is not None
    return in_cents(state.best_bid), in_cents(state.best_ask)


def in_cents(price: int | None) -> int | None:
    return None if price is None else price // CENT


def test_levels_are_best_first_whatever_the_order_they_came_in() -> None:
    book = seeded({49: 1, 50: 2, 48: 3}, {53: 1, 51: 2, 52: 3})

    state = book.latest()

    assert state is not None
    assert [level.price // CENT for level in state.bids] == [50, 49, 48]
    assert [level.price // CENT for level in state.asks] == [51, 52, 53]
    assert state.bids[0] == Level(50 * CENT, 2 * SHARE)


def test_a_size_is_absolute_and_zero_removes_the_level() -> None:
    book = seeded({50: 1}, {51: 1})

    book.change(50 * CENT, 7 * SHARE, 11, 1_001)
    book.change(-51 * CENT, 0, 12, 1_002)
    book.change(-99 * CENT, 0, 13, 1_003)

    state = book.latest()
    assert state is not None
    assert state.bids == (Level(50 * CENT, 7 * SHARE),)
    assert state.asks == ()
    assert book.best_ask is None


def test_prices_of_every_tick_and_off_the_grid_live_side_by_side() -> None:
    book = seeded({10: 1}, {90: 1})

    for price in (123_400, 125_000, 100_100, 123_457):
        book.change(price, SHARE, 11, 1_001)
    book.change(123_457, 0, 12, 1_002)

    assert book.best_bid == 125_000


def test_a_crossed_state_is_not_shown_between_messages_of_one_timestamp() -> None:
    book = seeded({50: 1}, {51: 1, 52: 1})

    book.change(52 * CENT, 5 * SHARE, 11, 1_001)
    shown_meanwhile = touch(book.latest())
    book.change(-51 * CENT, 0, 11, 1_002)
    shown_half_way = touch(book.latest())
    book.change(-52 * CENT, 0, 11, 1_003)

    assert shown_meanwhile == shown_half_way == (50, 51)
    assert touch(book.latest()) == (52, None)
    assert [touch(state) for state in book.states_after(0)] == [(50, 51), (52, None)]


def test_a_book_still_crossed_when_the_next_timestamp_comes_was_really_crossed() -> None:
    book = seeded({50: 1}, {51: 1})

    book.change(52 * CENT, SHARE, 11, 1_001)
    book.change(49 * CENT, SHARE, 12, 1_005)
    still_crossed = book.latest()
    book.settle(1_055)

    assert touch(still_crossed) == (52, 51)
    assert still_crossed is not None
    assert still_crossed.at_ms == 1_005
    assert touch(book.book_at(1_004)) == (50, 51)
    assert touch(book.book_at(1_054)) == (52, 51)
    assert [state.at_ms for state in book.states_after(0)] == [1_000, 1_005, 1_055]


def test_settling_shows_a_book_that_stays_crossed() -> None:
    book = seeded({50: 1}, {51: 1})
    book.change(52 * CENT, SHARE, 11, 1_001)
    revision = book.revision

    book.settle(1_051)

    state = book.latest()
    assert state is not None
    assert state.is_crossed
    assert book.revision > revision


def test_a_crossed_snapshot_is_not_shown_before_it_is_settled() -> None:
    book = seeded({52: 1}, {51: 1})

    before = book.latest()
    book.settle(1_050)

    assert before is None
    assert touch(book.latest()) == (52, 51)
    assert book.book_at(1_049) is None
    assert touch(book.book_at(1_050)) == (52, 51)


def test_several_changes_in_one_message_are_one_state() -> None:
    book = seeded({50: 1}, {51: 1})

    book.change_many(((50 * CENT, 0), (49 * CENT, SHARE), (-51 * CENT, 3 * SHARE)), 11, 1_001)

    assert [touch(state) for state in book.states_after(0)] == [(50, 51), (49, 51)]


def test_the_same_book_again_is_no_new_state() -> None:
    book = seeded({50: 1}, {51: 1})
    revision = book.revision

    book.replace(quotes({50: 1}, {51: 1}), 99, 2_000)

    assert book.revision == revision
    assert book.venue_ts_ms == 99


def test_there_is_no_book_while_it_is_lost_and_the_past_stays() -> None:
    book = seeded({50: 1}, {51: 1}, at_ms=1_000)
    first = book.revision

    book.clear(2_000)
    lost = book.latest()
    book.replace(quotes({40: 1}, {41: 1}), 20, 3_000)

    assert lost is None
    assert touch(book.book_at(1_999)) == (50, 51)
    assert book.book_at(2_000) is None
    assert book.book_at(999) is None
    assert touch(book.book_at(3_000)) == (40, 41)
    assert [touch(state) for state in book.states_after(first)] == [(40, 41)]


def test_revisions_go_on_after_a_book_was_lost() -> None:
    book = seeded({50: 1}, {51: 1})
    book.change(49 * CENT, SHARE, 11, 1_001)
    before = book.revision

    book.clear(2_000)
    book.replace(quotes({50: 1}, {51: 1}), 20, 3_000)

    assert book.revision > before


def test_a_restarted_past_begins_with_what_is_held_as_a_new_state() -> None:
    book = seeded({50: 1}, {51: 1}, at_ms=9_000)
    book.change(49 * CENT, SHARE, 11, 9_500)
    before = book.revision

    book.restart(2_000)

    assert book.book_at(1_999) is None
    assert touch(book.book_at(2_000)) == (50, 51)
    assert [(state.at_ms, len(state.bids)) for state in book.states_after(before)] == [(2_000, 2)]
    assert (book.changed_at_ms, book.latest()) == (2_000, book.book_at(2_000))
    book.change(50 * CENT, 0, 12, 2_100)
    assert touch(book.book_at(2_099)) == (50, 51)
    assert touch(book.book_at(2_100)) == (49, 51)


def test_a_restart_shows_no_half_of_a_sweep() -> None:
    book = seeded({50: 1}, {51: 1}, at_ms=9_000)
    book.change(52 * CENT, SHARE, 11, 9_500)

    book.restart(2_000)

    assert book.book_at(2_000) is None
    book.settle(2_050)
    assert touch(book.book_at(2_050)) == (52, 51)


def test_a_lost_book_stays_lost_over_a_restart() -> None:
    book = seeded({50: 1}, {51: 1}, at_ms=9_000)
    book.clear(9_500)
    before = book.revision

    book.restart(2_000)
    book.replace(quotes({40: 1}, {41: 1}), 20, 3_000)

    assert book.book_at(2_500) is None
    assert touch(book.book_at(3_000)) == (40, 41)
    assert book.revision > before


def test_states_of_a_venue_timestamp_are_all_that_carry_it() -> None:
    book = seeded({50: 1}, {51: 1}, venue_ts_ms=10)
    book.change(49 * CENT, SHARE, 20, 1_001)
    book.change(48 * CENT, SHARE, 20, 1_002)
    book.change(47 * CENT, SHARE, 30, 1_003)

    assert len(book.states_of(25)) == 2
    assert [touch(state) for state in book.states_of(19)] == [(50, 51)]
    assert book.states_of(9) == ()


def test_old_history_is_dropped_but_the_window_stays_whole() -> None:
    book = make_book(history_ms=1_000)
    book.replace(quotes({50: 1}, {51: 1}), 1, 0)

    for instant in range(1, 5_001):
        book.change(49 * CENT, (1 + instant % 7) * SHARE, instant, instant)

    kept = book.states_after(0)
    assert len(kept) < 1_000 + 3 * CHECKPOINT_CHANGES
    for at_ms in (4_000, 4_500, 5_000):
        state = book.book_at(at_ms)
        assert state is not None
        assert state.at_ms == at_ms
        assert state.bids[1].size == (1 + at_ms % 7) * SHARE


@dataclass
class Copies:
    """Every settled state as a full copy, kept by the plainest possible rules."""

    levels: dict[Quote, int] | None = None
    venue_ts: int = 0
    pending: bool = False
    shown: list[tuple[int, tuple[Any, Any] | None]] = field(default_factory=list)

    def sides(self) -> tuple[Any, Any]:
        assert self.levels is not None
        bids = tuple(Level(quote, self.levels[quote]) for quote in sorted(self.levels, reverse=True) if quote > 0)
        asks = tuple(Level(-quote, self.levels[quote]) for quote in sorted(self.levels, reverse=True) if quote < 0)
        return bids, asks

    def is_crossed(self) -> bool:
        bids, asks = self.sides()
        return bool(bids and asks and bids[0].price >= asks[0].price)

    def message(self, changed: list[tuple[Quote, int]], venue_ts: int, at_ms: int) -> None:
        assert self.levels is not None
        if self.pending and venue_ts != self.venue_ts:
            self.settle(at_ms)
        for quote, size in changed:
            self.levels[quote] = size
            if not size:
                del self.levels[quote]
        self.finish(venue_ts, at_ms)

    def finish(self, venue_ts: int, at_ms: int) -> None:
        self.venue_ts = venue_ts
        self.pending = self.is_crossed()
        if not self.pending:
            self.shown.append((at_ms, self.sides()))

    def settle(self, at_ms: int) -> None:
        if self.pending:
            self.pending = False
            self.shown.append((at_ms, self.sides()))

    def clear(self, at_ms: int) -> None:
        self.levels = None
        self.pending = False
        self.shown.append((at_ms, None))


PRICES = st.integers(min_value=1, max_value=12).map(lambda tick: tick * 2_500)
QUOTES = st.builds(lambda price, is_bid: price if is_bid else -price, PRICES, st.booleans())
SIZES = st.integers(min_value=0, max_value=3).map(lambda lots: lots * 10_000)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["change", "change", "change", "many", "replace", "settle", "clear"]),
        st.lists(st.tuples(QUOTES, SIZES), min_size=1, max_size=4),
        st.integers(min_value=0, max_value=1),
        st.integers(min_value=0, max_value=3),
    ),
    max_size=60,
)


@settings(max_examples=100)
@given(steps=STEPS)
@pytest.mark.parametrize("checkpoint", [2, 5, CHECKPOINT_CHANGES])
def test_every_instant_equals_the_full_copies(
    steps: list[Any], checkpoint: int, monkeypatch_module: pytest.MonkeyPatch
) -> None:
    monkeypatch_module.setattr("copytrade.domain.order_book.CHECKPOINT_CHANGES", checkpoint)
    book, copies = make_book(), Copies()
    venue_ts, at_ms = 1, 1
    for kind, changed, venue_step, step in steps:
        venue_ts, at_ms = venue_ts + venue_step, at_ms + step
        _do(book, copies, kind, changed, venue_ts=venue_ts, at_ms=at_ms)

    seen = [sides for _, sides in copies.shown if sides is not None]
    states = book.states_after(0)
    assert [(state.bids, state.asks) for state in states] == seen
    assert [state.revision for state in states] == sorted({state.revision for state in states})
    for instant in range(at_ms + 2):
        expected = next((sides for shown, sides in reversed(copies.shown) if shown <= instant), None)
        found = book.book_at(instant)
        assert (found and (found.bids, found.asks)) == expected
    latest = book.latest()
    assert latest == (states[-1] if latest else None)
    for position, state in enumerate(states):
        assert book.states_after(state.revision) == states[position + 1 :]


def _do(
    book: LiveBook, copies: Copies, kind: str, changed: list[tuple[Quote, int]], *, venue_ts: int, at_ms: int
) -> None:
    if kind == "settle":
        book.settle(at_ms)
        copies.settle(at_ms)
    elif copies.levels is None or kind == "replace":
        full = {quote: size for quote, size in changed if size}
        was = copies.levels
        book.replace(full, venue_ts, at_ms)
        if was is None:
            copies.levels = full
            copies.finish(venue_ts, at_ms)
        elif was != full:
            gone = [(quote, 0) for quote in was if quote not in full]
            copies.levels = dict(was)
            copies.message([*gone, *full.items()], venue_ts, at_ms)
        else:
            copies.venue_ts = venue_ts
    elif kind == "clear":
        book.clear(at_ms)
        copies.clear(at_ms)
    elif kind == "many":
        unique = dict(changed)
        book.change_many(unique.items(), venue_ts, at_ms)
        _message(copies, unique, venue_ts, at_ms)
    else:
        quote, size = changed[0]
        book.change(quote, size, venue_ts, at_ms)
        _message(copies, {quote: size}, venue_ts, at_ms)


def _message(copies: Copies, changed: dict[Quote, int], venue_ts: int, at_ms: int) -> None:
    assert copies.levels is not None
    known = [(quote, size) for quote, size in changed.items() if size or quote in copies.levels]
    copies.message(known, venue_ts, at_ms)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch
