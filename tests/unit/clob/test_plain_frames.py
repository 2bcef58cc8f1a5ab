"""The fast way through a frame and the exact one agree, whatever the numbers are written like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.clob.shelf import Shelf
from copytrade.adapters.clob.wire import PLAIN_SIZE_LIMIT, MalformedFrameError, decode_plain
from copytrade.domain.units import MICRO, format_micro
from tests.unit.clob.fake_venue import MARKET, NO, YES
from tests.virtual_time import VirtualClock

STAMP = 1_790_000_000_000


class FixedClock(VirtualClock):
    """A clock that stands still."""

    def now_ms(self) -> int:
        return STAMP

    def monotonic_ms(self) -> int:
        return 0


def seeded_shelf() -> tuple[Shelf, list[str]]:
    doubted: list[str] = []
    shelf = Shelf(
        clock=FixedClock(),
        history_ms=60_000,
        note=lambda code, detail: None,
        on_event=lambda event: None,
        on_doubt=lambda tracked: doubted.append(tracked.token_id),
        forget=lambda token_id: None,
    )
    for token_id in (YES, NO):
        shelf.add(token_id).book.replace({1: MICRO, -999_999: MICRO}, STAMP, STAMP)
    return shelf, doubted


def frame_of(price: str, size: str, *, side: str = "BUY", token_id: str = YES, stamp: int = STAMP) -> bytes:
    change = {"asset_id": token_id, "price": price, "size": size, "side": side, "hash": "", "best_bid": ""}
    message = {"event_type": "price_change", "market": MARKET, "timestamp": str(stamp), "price_changes": [change]}
    return json.dumps(message).encode()


def both_ways(frame: bytes) -> list[object]:
    """What is held after a frame, and after the same in an array, which is never plain."""
    outcomes: list[object] = []
    for sent in (frame, b"[" + frame + b"]"):
        shelf, doubted = seeded_shelf()
        try:
            shelf.apply_frame(sent)
        except MalformedFrameError:
            doubted.append("frame")
        outcomes.append((shelf.tokens[YES].book._levels, doubted, shelf.counters.malformed))
    return outcomes


@given(
    price=st.integers(min_value=2, max_value=999_998),
    size=st.integers(min_value=0, max_value=2 * PLAIN_SIZE_LIMIT),
    side=st.sampled_from(["BUY", "SELL"]),
)
def test_every_number_is_read_exactly_both_ways(price: int, size: int, side: str) -> None:
    fast, exact = both_ways(frame_of(format_micro(price), format_micro(size), side=side))

    assert fast == exact


@pytest.mark.parametrize("price", ["0", "1", "1.5", "-0.5", "0.1234567", "NaN", "inf", "", "x"])
def test_a_price_that_is_none_is_refused_both_ways(price: str) -> None:
    fast, exact = both_ways(frame_of(price, "5"))

    assert fast == exact


@pytest.mark.parametrize("size", ["-1", "0.1234567", "NaN", "Infinity", "", "9" * 30, "9" * 5_000, "-0.000001"])
def test_a_size_that_is_none_is_refused_both_ways(size: str) -> None:
    fast, exact = both_ways(frame_of("0.5", size))

    assert fast == exact


def test_sizes_too_large_for_a_float_are_read_exactly() -> None:
    fast, _ = both_ways(frame_of("0.5", "9007199254.740993"))

    assert fast == ({1: MICRO, -999_999: MICRO, 500_000: 9_007_199_254_740_993}, [], 0)


@pytest.mark.parametrize(
    "frame",
    [
        frame_of("0.5", "1", stamp=STAMP // 1000),
        frame_of("0.5", "1", side="HOLD"),
        json.dumps({"event_type": "book", "asset_id": YES, "timestamp": str(STAMP)}).encode(),
        b"[]",
        b"{",
        b"[" + frame_of("0.5", "1") + b"]",
    ],
)
def test_only_todays_price_change_alone_is_plain(frame: bytes) -> None:
    assert decode_plain(frame_of("0.5", "1")) is not None
    assert decode_plain(frame) is None
