"""Frames of the live stream, exactly as written."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.feeds.sockets import SubscriptionRefused
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.adapters.rtds.decode import ActivityRow, parse_message, parse_row, split_frame
from copytrade.domain.fills import LeaderRole, Side, Source
from tests.makers import LEADER, NOW_MS
from tests.unit.rtds.fake_stream import TOKEN, a_message, tx


def parsed(kind: str = "trades", **changes) -> ActivityRow:
    return parse_row(parse_message(json.dumps(a_message(kind, **changes))))


@pytest.mark.parametrize(("kind", "role"), [("orders_matched", LeaderRole.TAKER), ("trades", LeaderRole.UNKNOWN)])
def test_a_message_becomes_a_sighting_whose_topic_tells_the_role(kind, role):
    sighting = parsed(kind).sighting("key", detected_at_ms=NOW_MS + 5)
    fill = sighting.fill

    assert (fill.source, fill.leader, fill.tx_hash, fill.token_id) == (Source.RTDS, LEADER, tx(1), TOKEN)
    assert (fill.side, fill.size, fill.price, fill.usdc) == (Side.BUY, 4_330_000, 450_000, 1_948_500)
    assert (fill.role, fill.fee, fill.place) == (role, None, None)
    assert (fill.fill_ts_ms, fill.detected_at_ms) == (NOW_MS, NOW_MS + 5)
    assert sighting.payload == json.dumps(a_message(kind))


def test_doubles_that_miss_by_a_hair_are_the_same_row():
    exact, noisy = parsed(size=0.3, price=0.7), parsed(size=0.30000000000000004, price=0.7000000000000001)

    assert noisy.identity == exact.identity == f"{tx(1)}|{LEADER}|{TOKEN}|BUY|0.3|0.7"


def test_a_hash_in_capitals_is_the_same_one():
    assert parsed(transactionHash="0x" + "AB" * 32).tx_hash == "0x" + "ab" * 32


@pytest.mark.parametrize("frame", ["", " ", "\n", "PONG", "pong", b"", b"PONG"])
def test_an_answer_to_a_ping_is_no_message(frame):
    assert split_frame(frame) == []


def test_an_array_holds_messages_as_they_were_written():
    messages = [json.dumps(a_message(price=0.30000000000000004)), '{"a" : 1.50}']

    assert split_frame(f" [{messages[0]} , {messages[1]}]") == messages
    assert split_frame("[]") == []


@pytest.mark.parametrize("frame", ["[", "[1,", "[[" * 100_000, "[\x01]", b"[\xff"])
def test_a_broken_array_is_refused(frame):
    with pytest.raises(MalformedError):
        split_frame(frame)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PANG", "not-json"),
        ("{", "not-json"),
        ('{"x":' * 100_000, "not-json"),
        ("\ud800", "not-json"),
        ("5", "not-a-message"),
        ("null", "not-a-message"),
        ("[]", "not-a-message"),
        ('{"topic": 5}', "not-a-message"),
        ('{"topic": "activity", "type": "trades", "payload": 5}', "not-a-message"),
        ('{"topic": "activity", "type": "trades", "payload": {"proxyWallet": 5}}', "not-a-message"),
        ('{"topic": "activity", "type": "trades", "payload": {}}', "no-wallet"),
        ('{"topic": "activity", "type": "trades", "payload": null}', "no-wallet"),
        ("{}", "unknown-topic"),
        ('{"topic": "comments", "type": "trades"}', "unknown-topic"),
    ],
)
def test_what_is_no_message_is_refused(text, reason):
    with pytest.raises(MalformedError) as refused:
        parse_message(text)

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asset": ""}, "token"),
        ({"asset": 5}, "token"),
        ({"asset": "0x10"}, "token"),
        ({"asset": "1" * 79}, "token"),
        ({"side": "buy"}, "side"),
        ({"side": []}, "side"),
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": "10"}, "size"),
        ({"size": True}, "size"),
        ({"size": None}, "size"),
        ({"size": 1e300}, "size"),
        ({"size": 1e-9}, "too-small"),
        ({"price": 0}, "price"),
        ({"price": 1.01}, "price"),
        ({"price": 1e-9}, "too-small"),
        ({"timestamp": NOW_MS}, "timestamp"),
        ({"timestamp": "1791241834"}, "timestamp"),
        ({"timestamp": 1791241834.5}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
        ({"transactionHash": "0x12"}, "transaction-hash"),
        ({"transactionHash": None}, "transaction-hash"),
    ],
)
def test_a_row_with_a_field_that_cannot_be_right_is_refused(changes, reason):
    with pytest.raises(MalformedError) as refused:
        parsed(**changes)

    assert refused.value.reason == reason


def test_an_activity_of_an_unknown_type_is_refused():
    with pytest.raises(MalformedError, match="unknown-type"):
        parsed("splits")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e99999999999999999999", "1" * 5_000])
def test_a_number_that_is_none_is_refused(number):
    text = json.dumps(a_message(size="SIZE")).replace('"SIZE"', number)

    with pytest.raises(MalformedError):
        parse_row(parse_message(text))


def test_what_a_database_would_not_take_as_json_is_refused():
    text = json.dumps(a_message(bio="BIO")).replace("BIO", "\x00")

    with pytest.raises(MalformedError, match="not-json"):
        parse_row(parse_message(text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(a_message()["payload"])), json_values), st.sampled_from(["trades", "x"]))
def test_random_fields_parse_or_are_refused(fields, kind):
    try:
        row = parsed(kind, **fields)
    except MalformedError:
        return
    assert row.size > 0
    assert 0 < row.sighting("k", detected_at_ms=0).fill.price <= 1_000_000


@given(st.integers(1, 10**15), st.integers(1, 999))
def test_prices_and_sizes_of_the_venue_come_through_exactly(shares, price):
    text = json.dumps(a_message(size="S", price="P"))
    text = text.replace('"S"', f"{Decimal(shares).scaleb(-6):f}").replace('"P"', f"{Decimal(price).scaleb(-3):f}")

    row = parse_row(parse_message(text))

    assert (row.size, row.price) == (shares, price * 1_000)


@pytest.mark.recorded
def test_the_recorded_trade(recorded_data):
    frame = (recorded_data / "ws/rtds_activity_trade_20260725.json").read_text()

    (text,) = split_frame(frame)
    message = parse_message(text)
    row = parse_row(message)

    assert message.wallet == json.loads(frame)["payload"]["proxyWallet"].lower() != ""
    assert (row.side, row.size, row.price, row.usdc) == (Side.BUY, 4_330_000, 450_000, 1_948_500)
    assert row.timestamp_s == 1_785_027_308


@pytest.mark.recorded
def test_the_recorded_errors_and_foreign_topics(recorded_data):
    lines = (recorded_data / "ws/pulsearb_rare_messages_20260909.jsonl").read_text().splitlines()
    frames = [json.loads(line)["payload"] for line in lines if json.loads(line)["fonte"] == "rtds"]
    errors = [json.dumps(frame) for frame in frames if "statusCode" in frame]
    prices = [json.dumps(frame) for frame in frames if "statusCode" not in frame]

    assert errors
    for error in errors:
        with pytest.raises(SubscriptionRefused, match=r"^500 .*AddSubscriptions|^4\d\d "):
            parse_message(error)
    assert prices
    for price in prices:
        with pytest.raises(MalformedError, match="unknown-topic"):
            parse_message(price)
