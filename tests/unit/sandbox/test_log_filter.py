"""Filters select what geth would select."""

from __future__ import annotations

import pytest

from copytrade.sandbox.chain import ChainLog
from copytrade.sandbox.log_filter import BadFilterError, parse_filter

ADDRESS = "0x" + "aa" * 20
OTHER = "0x" + "bb" * 20


def _topic(byte: int) -> str:
    return "0x" + f"{byte:02x}" * 32


LOG = ChainLog(
    address=ADDRESS,
    topics=(_topic(1), _topic(2), _topic(3)),
    data="0x",
    block_number=1,
    block_hash=_topic(9),
    block_timestamp=1,
    tx_hash=_topic(8),
    tx_index=0,
    log_index=0,
)


@pytest.mark.parametrize(
    ("criteria", "matches"),
    [
        ({}, True),
        ({"address": ADDRESS.upper().replace("0X", "0x")}, True),
        ({"address": [OTHER, ADDRESS]}, True),
        ({"address": OTHER}, False),
        ({"topics": []}, True),
        ({"topics": [_topic(1)]}, True),
        ({"topics": [_topic(2)]}, False),
        ({"topics": [None, _topic(2)]}, True),
        ({"topics": [None, None, [_topic(7), _topic(3)]]}, True),
        ({"topics": [_topic(1), [], _topic(3)]}, True),
        ({"topics": [[_topic(5), _topic(6)]]}, False),
        ({"topics": [None, None, None, None]}, False),
    ],
)
def test_topics_select_by_place_and_by_any_of_a_list(criteria, matches):
    assert parse_filter(criteria).matches(LOG) is matches


@pytest.mark.parametrize(
    "criteria",
    [
        {"address": "0x12"},
        {"address": 5},
        {"topics": ["0x12"]},
        {"topics": _topic(1)},
        {"topics": [None] * 5},
    ],
)
def test_a_malformed_filter_is_refused(criteria):
    with pytest.raises(BadFilterError):
        parse_filter(criteria)
