"""The fast way through a frame and the exact one agree, whatever the numbers are written like."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.clob.feed import Feed
from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.clob.wire import PLAIN_SIZE_LIMIT, MalformedFrameError
from copytrade.domain.fills import Side
from copytrade.domain.tape import TradePrint
from copytrade.domain.units import MICRO, format_micro
from tests.unit.clob.fake_venue import MARKET, NO, YES
from tests.virtual_time import VirtualClock

STAMP = 1_790_000_000_000


class FixedClock(VirtualClock):
    """A clock that stands still unless it is moved."""

    now = STAMP

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return 0


@dataclass
class Bench:
    """A feed into books of YES and NO, mirrors of each other unless they are kept apart."""

    doubted: list[str] = field(default_factory=list)
    parted: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FixedClock()
        self.shelf = Shelf(
            clock=self.clock,
            history_ms=60_000,
            note=lambda code, detail: None,
            on_doubt=lambda tracked: self.doubted.append(tracked.token_id),
            on_parted=self.parted.append,
        )
        self.feed = Feed(
            shelf=self.shelf,
            note=lambda code, detail: None,
            on_event=lambda event: None,
            forget=lambda token_id: None,
        )
        self.shelf.add(YES, NO)
        self.shelf.books[YES].book.replace({1: MICRO, -999_999: MICRO}, STAMP, STAMP)

    @property
    def levels(self) -> dict[int, int]:
        return dict(self.shelf.books[YES].book.levels)


def change_of(token_id: str, side: str, price: str, size: str) -> dict[str, str]:
    return {"asset_id": token_id, "price": price, "size": size, "side": side, "hash": "", "best_bid": ""}


def frame_of(*changes: dict[str, str], stamp: int = STAMP, kind: str = "price_change") -> bytes:
    message = {"event_type": kind, "market": MARKET, "timestamp": str(stamp), "price_changes": changes}
    return json.dumps(message).encode()


def told_twice(price: str, size: str, *, side: str = "BUY", of_twin: str = "0.5") -> tuple[dict[str, str], ...]:
    other = "SELL" if side == "BUY" else "BUY"
    return change_of(YES, side, price, size), change_of(NO, other, of_twin, size)


def both_ways(frame: bytes) -> list[object]:
    """What is held after a frame, and after the same in an array, which is never plain."""
    outcomes: list[object] = []
    for sent in (frame, b"[" + frame + b"]"):
        bench = Bench()
        try:
            bench.feed.apply_frame(sent)
        except MalformedFrameError:
            bench.doubted.append("frame")
        outcomes.append((bench.levels, bench.doubted, bench.parted, bench.shelf.counters.malformed))
    return outcomes


def is_plain(frame: bytes) -> bool:
    """Whether a frame goes the short way."""
    bench = Bench()
    with contextlib.suppress(MalformedFrameError):
        bench.feed.apply_frame(frame)
    return bench.shelf.counters.messages == bench.shelf.counters.malformed == 0


@given(
    price=st.integers(min_value=2, max_value=999_998),
    size=st.integers(min_value=0, max_value=2 * PLAIN_SIZE_LIMIT * MICRO),
    side=st.sampled_from(["BUY", "SELL"]),
)
def test_every_number_is_read_exactly_both_ways(price: int, size: int, side: str) -> None:
    changes = told_twice(format_micro(price), format_micro(size), side=side, of_twin=format_micro(MICRO - price))
    plain = frame_of(*changes)

    fast, exact = both_ways(plain)

    assert fast == exact
    assert is_plain(plain) == (size < PLAIN_SIZE_LIMIT * MICRO)
    assert both_ways(frame_of(*changes[::-1])) == [fast, exact]
    assert both_ways(frame_of(changes[0])) == [fast, exact]
    assert both_ways(frame_of(changes[1])) == [fast, exact]


@pytest.mark.parametrize("price", ["0", "1", "1.5", "-0.5", "0.1234567", "NaN", "inf", "", "x"])
def test_a_price_that_is_none_is_refused_both_ways(price: str) -> None:
    fast, exact = both_ways(frame_of(*told_twice(price, "5")))

    assert fast == exact


@pytest.mark.parametrize("size", ["-1", "0.1234567", "NaN", "Infinity", "", "9" * 30, "9" * 5_000, "-0.000001"])
def test_a_size_that_is_none_is_refused_both_ways(size: str) -> None:
    fast, exact = both_ways(frame_of(*told_twice("0.5", size)))

    assert fast == exact


def test_sizes_too_large_for_a_float_are_read_exactly() -> None:
    fast, _ = both_ways(frame_of(*told_twice("0.5", "9007199254.740993")))

    assert fast == ({1: MICRO, -999_999: MICRO, 500_000: 9_007_199_254_740_993}, [], [], 0)


@pytest.mark.parametrize(
    "told_of_twin",
    [
        change_of(NO, "SELL", "0.7", "5"),
        change_of(NO, "BUY", "0.6", "5"),
        change_of(NO, "SELL", "0.6", "6"),
        change_of(NO, "SELL", "0.6", "0"),
    ],
)
def test_outcomes_that_do_not_mirror_each_other_get_a_book_each(told_of_twin: dict[str, str]) -> None:
    bench = Bench()

    bench.feed.apply_frame(frame_of(change_of(YES, "BUY", "0.4", "5"), told_of_twin))
    apart = bench.shelf.add(NO, YES)

    assert (bench.doubted, bench.parted) == ([YES], [NO])
    assert not bench.shelf.books[YES].book.is_seeded
    assert not apart.is_mirrored
    assert apart.tracked is not bench.shelf.books[YES]


def test_several_changes_in_one_message_are_read_both_ways() -> None:
    told = [change_of(YES, "BUY", "0.4", "5"), change_of(NO, "SELL", "0.6", "5")]
    told += [change_of(NO, "BUY", "0.3", "7"), change_of(YES, "SELL", "0.7", "7")]
    bench = Bench()

    bench.feed.apply_frame(frame_of(*told))

    assert bench.levels == {1: MICRO, -999_999: MICRO, 400_000: 5 * MICRO, -700_000: 7 * MICRO}
    assert bench.doubted == []


def test_the_past_stays_in_order_when_the_clock_goes_back() -> None:
    bench = Bench()
    book = bench.shelf.books[YES].book
    for number, now in enumerate((STAMP + 10, STAMP + 5, STAMP + 20, STAMP + 1), start=1):
        bench.clock.now = now
        bench.feed.apply_frame(frame_of(*told_twice(f"0.{number}", "1", of_twin=f"0.{10 - number}")))

    assert [state.at_ms - STAMP for state in book.states_after(book.revision - 4)] == [10, 10, 20, 20]
    before_twenty = book.book_at(STAMP + 19)
    assert before_twenty is not None
    assert [level.price for level in before_twenty.bids] == [200_000, 100_000, 1]


def test_a_plain_frame_notices_a_clock_that_was_set_back() -> None:
    bench = Bench()
    book = bench.shelf.books[YES].book
    for number, now in enumerate((STAMP + 10, STAMP - 60_000, STAMP - 59_000), start=1):
        bench.clock.now = now
        bench.feed.apply_frame(frame_of(*told_twice(f"0.{number}", "1", of_twin=f"0.{10 - number}")))

    assert [state.at_ms - STAMP for state in book.states_after(0)] == [-60_000, -60_000, -59_000]
    assert book.book_at(STAMP - 60_001) is None


def test_the_tape_of_before_a_clock_was_set_back_is_forgotten() -> None:
    bench = Bench()
    tape, print_of = bench.shelf.tape, TradePrint(token_id=YES, side=Side.BUY, price=MICRO // 2, size=MICRO)
    tape.note(MARKET, print_of, bench.shelf.now_ms())
    bench.clock.now = STAMP - 60_000
    tape.note(MARKET, print_of, bench.shelf.now_ms())

    assert [entry.at_ms - STAMP for entry in tape.after(MARKET, 0)] == [-60_000]


@pytest.mark.parametrize(
    "frame",
    [
        frame_of(*told_twice("0.5", "1"), stamp=STAMP // 1000),
        frame_of(*told_twice("0.5", "1", side="HOLD")),
        frame_of(*told_twice("0.5", "1"), kind="price_change_of_2030"),
        frame_of(change_of(YES, "BUY", "0.5", "1")),
        frame_of(change_of(YES, "BUY", "0.5", "1"), change_of("3", "SELL", "0.5", "1")),
        json.dumps({"event_type": "book", "asset_id": YES, "timestamp": str(STAMP)}).encode(),
        b"[]",
        b"{",
        b"[" + frame_of(*told_twice("0.5", "1")) + b"]",
    ],
)
def test_only_todays_price_change_alone_is_plain(frame: bytes) -> None:
    assert is_plain(frame_of(*told_twice("0.5", "1")))
    assert not is_plain(frame) or frame == b"[]"
