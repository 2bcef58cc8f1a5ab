"""Frames and books as the venue writes them, and what must be refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.clob.wire import (
    ASKS,
    BIDS,
    SIZES,
    MalformedFrameError,
    WireLevel,
    best_price,
    decode_book,
    decode_books,
    decode_frame,
    levels_of,
    timestamp_ms,
)
from copytrade.domain.units import MICRO, format_micro


@pytest.mark.parametrize(
    ("text", "micro"),
    [(".48", 480_000), ("0.5000", 500_000), ("0.0025", 2_500), ("0.5", 500_000), ("0.9999", 999_900), ("0.000001", 1)],
)
def test_prices_are_read_exactly_however_they_are_written(text: str, micro: int) -> None:
    assert BIDS[text] == micro
    assert ASKS[text] == -micro


@pytest.mark.parametrize(
    "text", ["0", "1", "1.0", "-0.5", "NaN", "nan", "inf", "", ".", "1e-1", "0x1", "0.1234567", "½"]
)
def test_what_is_no_price_between_0_and_1_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        BIDS[text]


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("219.217767", 219_217_767),
        ("5", 5_000_000),
        ("0", 0),
        ("0.00", 0),
        ("00007.10", 7_100_000),
        ("1.0000000", MICRO),
    ],
)
def test_sizes_are_read_exactly(text: str, micro: int) -> None:
    assert SIZES[text] == micro


@pytest.mark.parametrize("text", ["-1", "NaN", "Infinity", "", "1_0", " 1", "1e3", "9" * 30, "9" * 5_000, "\uff11"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        SIZES[text]


@given(micro=st.integers(min_value=0, max_value=2**63 - 1))
def test_every_size_survives_being_written_and_read(micro: int) -> None:
    assert SIZES[format_micro(micro)] == micro


def test_an_empty_side_is_carried_as_zero_or_one() -> None:
    assert best_price("0") is None
    assert best_price("1") is None
    assert best_price("0.73") == 730_000


def test_levels_come_in_any_order_and_of_a_price_listed_twice_the_last_counts() -> None:
    bids = [WireLevel("0.3", "1"), WireLevel("0.5", "2"), WireLevel("0.30", "4"), WireLevel("0.2", "0")]

    assert levels_of(bids, [WireLevel("0.6", "3")]) == {300_000: 4 * MICRO, 500_000: 2 * MICRO, -600_000: 3 * MICRO}


def test_timestamps_in_seconds_become_milliseconds() -> None:
    assert timestamp_ms("1782753357257") == 1_782_753_357_257
    assert timestamp_ms("1782753357") == 1_782_753_357_000


def test_a_frame_is_one_message_or_several() -> None:
    one = {"event_type": "book", "asset_id": "1", "timestamp": "1", "bids": [], "asks": []}

    assert len(decode_frame(json.dumps(one).encode())[0]) == 1
    assert len(decode_frame(json.dumps([one, one]).encode())[0]) == 2


def test_a_bad_message_does_not_spoil_the_frame_around_it() -> None:
    good = {"event_type": "book", "asset_id": "1", "timestamp": "1"}
    bad = {"event_type": "price_change", "price_changes": [{"price": 0.5}]}
    unknown = {"event_type": "weather", "price": 12}

    messages, rejected = decode_frame(json.dumps([good, bad, unknown]).encode())

    assert [message.event_type for message in messages] == ["book", "weather"]
    assert rejected == [json.dumps(bad).encode()]


@pytest.mark.parametrize("frame", [b"{", b"<html>", b"\xff", b"[1,", b'{"event_type": "book"', b"[" * 100_000, b"PING"])
def test_what_is_no_json_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        decode_frame(frame)


@given(frame=st.binary(max_size=80))
def test_whatever_arrives_is_read_or_malformed(frame: bytes) -> None:
    try:
        decode_frame(frame)
    except MalformedFrameError:
        return


def test_truncating_a_real_frame_anywhere_is_malformed() -> None:
    frame = json.dumps(
        [{"event_type": "price_change", "timestamp": "1", "price_changes": [{"asset_id": "1", "price": "0.5"}]}]
    ).encode()
    for end in range(1, len(frame)):
        with pytest.raises(MalformedFrameError):
            decode_frame(frame[:end])


def test_books_that_are_none_are_left_out() -> None:
    good = {"asset_id": "1", "timestamp": "1782753357257", "bids": [], "asks": []}

    books, rejected = decode_books(json.dumps([good, {"asset_id": 5}, None]).encode())

    assert [book.asset_id for book in books] == ["1"]
    assert len(rejected) == 2


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"null", b""])
def test_an_answer_that_is_no_list_of_books_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        decode_books(body)
    with pytest.raises(MalformedFrameError):
        decode_book(body)
