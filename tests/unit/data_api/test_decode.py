"""Rows of the Data API, exactly as written."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.data_api.decode import (
    NotAnEnvelope,
    nearest_micro,
    parse_page,
    parse_row,
)
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.domain.fills import LeaderRole, Side
from tests.makers import LEADER, NOW_MS
from tests.unit.data_api.fake_api import NOW_S, TOKEN, a_row, tx


def parsed(**changes):
    page = parse_page(json.dumps({"data": [a_row(**changes)], "pagination": {}}).encode())
    return parse_row(page.rows[0], LEADER)


def test_a_row_becomes_a_sighting_that_knows_neither_role_nor_fee_nor_place():
    sighting = parsed(size=261, price=0.8990804598).sighting(2, detected_at_ms=NOW_MS)
    fill = sighting.fill

    assert sighting.source_key == f"{tx(1)}|{LEADER}|{TOKEN}|BUY|261|0.8990804598|2"
    assert (fill.side, fill.size, fill.usdc, fill.price) == (Side.BUY, 261_000_000, 234_660_000, 899_080)
    assert (fill.role, fill.fee, fill.place) == (LeaderRole.UNKNOWN, None, None)
    assert fill.fill_ts_ms == NOW_S * 1000


def test_the_payload_keeps_every_number_as_it_was_written():
    row = parsed(size=0.1, price=0.30000000000000004)

    assert json.loads(row.payload) == a_row(size=0.1, price=0.30000000000000004)
    assert '"price":0.30000000000000004' in row.payload


def test_half_a_character_in_a_title_stays_escaped_because_no_database_takes_it():
    row = parsed(title="half \ud800, \u00e9")

    assert json.loads(row.payload.encode()) == a_row(title="half \ud800, \u00e9")


@pytest.mark.parametrize("size", ["10", "10.0", "1e1", "10.000000"])
def test_one_number_written_in_many_ways_has_one_key(size):
    body = json.dumps({"data": [a_row(size="SIZE")]}).replace('"SIZE"', size).encode()

    row = parse_row(parse_page(body).rows[0], LEADER)

    assert row is not None
    assert "|10|0.95" in row.identity


def test_an_upper_case_wallet_and_hash_are_the_same_ones():
    row = parsed(proxy_wallet=LEADER.upper(), transaction_hash="0x" + "AB" * 32)

    assert (row.leader, row.tx_hash) == (LEADER, "0x" + "ab" * 32)


@pytest.mark.parametrize("changes", [{"token_id": "", "side": ""}, {"token_id": None, "side": None}])
def test_a_row_that_is_no_trade_is_left_out(changes):
    assert parsed(**changes) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"proxy_wallet": "0x" + "00" * 20}, "another-wallet"),
        ({"proxy_wallet": None}, "another-wallet"),
        ({"token_id": "", "side": "BUY"}, "token"),
        ({"token_id": 5}, "token"),
        ({"token_id": "0x10"}, "token"),
        ({"token_id": "1" * 79}, "token"),
        ({"side": "buy"}, "side"),
        ({"side": ""}, "side"),
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
        ({"transaction_hash": "0x12"}, "transaction-hash"),
        ({"transaction_hash": None}, "transaction-hash"),
    ],
)
def test_a_row_with_a_field_that_cannot_be_right_is_refused(changes, reason):
    with pytest.raises(MalformedError) as refused:
        parsed(**changes)

    assert refused.value.reason == reason


@pytest.mark.parametrize("row", [None, 1, "row", [], [a_row()]])
def test_what_is_no_row_is_refused(row):
    with pytest.raises(MalformedError):
        parse_row(row, LEADER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"data": 1}',
        b'{"data": {}}',
        b'{"data": [NaN]}',
        b'{"data": [Infinity]}',
        b'{"data": [',
        b'{"data": ["\xff"]}',
        b"[" * 100_000,
        b'{"data": [1e99999999999999999999]}',
        b'{"error":"x","code":"y"}',
    ],
)
def test_what_is_no_envelope_is_refused(body):
    with pytest.raises(NotAnEnvelope):
        parse_page(body)


@pytest.mark.parametrize("body", [b'{"data": null}', b'{"data": []}', b'{"data": null, "pagination": null}'])
def test_no_data_is_an_empty_page(body):
    page = parse_page(body)

    assert (page.rows, page.next_cursor) == ((), None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(a_row())), json_values))
def test_random_fields_parse_or_are_refused(fields):
    body = json.dumps({"data": [a_row() | fields]}).encode()
    try:
        row = parse_row(parse_page(body).rows[0], LEADER)
    except MalformedError:
        return
    if row is not None:
        assert row.size > 0
        assert 0 < row.price <= 1_000_000
        assert json.loads(row.payload) == a_row() | fields


@given(st.integers(1, 10**15), st.integers(1, 999))
def test_prices_and_sizes_of_the_venue_come_through_exactly(shares, price):
    body = f'{{"data": [{json.dumps(a_row(size="S", price="P"))}]}}'
    body = body.replace('"S"', f"{Decimal(shares).scaleb(-6):f}").replace('"P"', f"{Decimal(price).scaleb(-3):f}")

    row = parse_row(parse_page(body.encode()).rows[0], LEADER)

    assert row is not None
    assert row.size == shares
    assert row.usdc == nearest_micro(Decimal(shares).scaleb(-6) * Decimal(price).scaleb(-3))


@pytest.mark.recorded
def test_the_recorded_answer(recorded_data):
    body = (recorded_data / "nautilus/newer/data_api_trades_captured_response_SANITISED.json").read_bytes()
    page = parse_page(body)

    rows = [parse_row(row, row["proxy_wallet"]) for row in page.rows]

    assert rows
    first = rows[0]
    assert first is not None
    assert (first.side, first.size, first.price, first.usdc) == (Side.SELL, 92_590_000, 700_000, 64_813_000)
