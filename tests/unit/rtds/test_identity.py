"""One fill is one row, however often and on whichever topic and connection it is told; two alike stay two."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.rtds.decode import ActivityRow, parse_message, parse_row
from copytrade.adapters.rtds.identity import Identities
from tests.makers import LEADER
from tests.unit.rtds.fake_stream import TOKEN, a_message, tx

KEY = f"{tx(1)}|{LEADER}|{TOKEN}|BUY|4.33|0.45"


def a_row(kind: str, **changes) -> ActivityRow:
    return parse_row(parse_message(json.dumps(a_message(kind, **changes))))


MATCHED, TRADE = a_row("orders_matched"), a_row("trades")


def test_a_taker_told_on_both_topics_is_one_row_in_either_order():
    for rows in ((MATCHED, TRADE), (TRADE, MATCHED)):
        identities = Identities()

        assert [identities.new_key_of(row, 0) for row in rows] == [f"{KEY}|0", None]


def test_equal_fills_of_one_settlement_stay_as_many_as_trades_tells():
    identities = Identities()

    keys = [identities.new_key_of(row, 0) for row in (TRADE, MATCHED, TRADE, MATCHED, TRADE)]

    assert keys == [f"{KEY}|0", None, f"{KEY}|1", None, f"{KEY}|2"]


def test_a_matched_message_sent_twice_is_one_row():
    identities = Identities()

    assert [identities.new_key_of(MATCHED, 0) for _ in range(3)] == [f"{KEY}|0", None, None]


def test_the_overlap_of_two_connections_adds_nothing():
    identities = Identities()

    both = [identities.new_key_of(row, connection) for row in (TRADE, MATCHED, TRADE) for connection in (0, 1)]

    assert both == [f"{KEY}|0", None, None, None, f"{KEY}|1", None]


def test_a_price_that_the_topics_write_differently_does_not_make_a_second_fill():
    rounded = a_row("trades", price=0.4501)
    for rows in ((MATCHED, rounded, a_row("trades", price=0.4501)), (rounded, MATCHED, rounded)):
        identities = Identities()

        keys = [identities.new_key_of(row, 0) for row in rows]

        assert [key is not None for key in keys] == [True, False, True]
        assert len(set(keys)) == 3


def test_fills_that_differ_in_anything_are_different():
    identities = Identities()
    differences = ({"side": "SELL"}, {"size": 4.34}, {"price": 0.46}, {"asset": "5"}, {"transactionHash": tx(2)})

    keys = [identities.new_key_of(a_row("trades", **changes), 0) for changes in ({}, *differences)]

    assert None not in keys
    assert len(set(keys)) == 6


def test_what_was_forgotten_gets_the_key_it_had():
    identities = Identities(alike_max=2)
    first = identities.new_key_of(TRADE, 0)
    for name in range(2, 5):
        identities.new_key_of(a_row("trades", transactionHash=tx(name)), 0)

    assert identities.new_key_of(TRADE, 0) == first
    assert len(identities._groups) == 2


@given(st.integers(0, 4), st.booleans(), st.randoms(use_true_random=False))
def test_over_any_order_and_overlap_the_count_is_that_of_the_settlement(makers, is_taker, rng):
    """Each connection tells every fill on trades once, and the taker's on orders_matched, in an order of its own."""
    identities = Identities()
    fills = makers + is_taker
    told = [(row, at) for at in (0, 1) for row in [TRADE] * fills + [MATCHED] * is_taker]
    rng.shuffle(told)

    keys = [key for row, at in told if (key := identities.new_key_of(row, at)) is not None]

    assert keys == [f"{KEY}|{n}" for n in range(fills)]
