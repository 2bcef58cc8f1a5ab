"""Hostile and broken logs: refused with a reason, never anything else, and quickly."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.polygon import decode
from tests.unit.polygon.raw_logs import DECODERS, STANDARD, STANDARD_V1, data_v1, data_v2, raw_log

TOPICS = raw_log()["topics"]
ODD_TEXT = (
    "",
    "0x",
    "0X" + "0" * 64,
    "0x" + "0" * 63,
    "0x" + "g" * 64,
    "é" * 66,
    "0x" + " " * 64,
    "0x" + "\N{FULLWIDTH DIGIT ONE}" * 64,
)
ODD_VALUES: tuple[Any, ...] = (None, True, 0, -1, 10**40, 1.5, [], {}, [[]], "null", "latest", *ODD_TEXT)
FIELDS = ("address", "topics", "data", "blockNumber", "blockHash", "transactionHash", "logIndex")


def corpus() -> list[Any]:
    odd: list[Any] = [None, 1, "log", [], {}, [{}], {"removed": True}, {"topics": TOPICS}]
    odd += [raw_log(**{field: value}) for field in FIELDS for value in ODD_VALUES]
    odd += [{key: value for key, value in raw_log().items() if key != field} for field in FIELDS]
    odd += [raw_log(topics=TOPICS[:count]) for count in range(4)]
    odd += [raw_log(topics=[*TOPICS, TOPICS[1]])]
    odd += [raw_log(topics=[*TOPICS[:at], value, *TOPICS[at + 1 :]]) for at in range(4) for value in ODD_VALUES]
    odd += [raw_log(data=data_v2()[:-size]) for size in (1, 2, 62, 64, 66)]
    odd += [raw_log(data=data_v2() + extra) for extra in ("0", "00", "00" * 31, "00" * 33)]
    odd += [raw_log(data=data_v2(side=side)) for side in (2, 255, 2**255)]
    odd += [raw_log(data=data_v2(**{name: value})) for name in ("given", "got", "fee") for value in (2**64, 2**256 - 1)]
    odd += [raw_log(data=data_v1(given_asset=0, got_asset=1, given=1, got=2))]
    odd += [raw_log(address=STANDARD_V1, data=data_v2())]
    odd += [raw_log(address=STANDARD_V1, topics=[decode.TOPIC_V1, *TOPICS[1:]], data=data_v2())]
    both = data_v1(given_asset=3, got_asset=5, given=1, got=1)
    odd += [raw_log(address=STANDARD_V1, topics=[decode.TOPIC_V1, *TOPICS[1:]], data=both)]
    return odd


@pytest.mark.parametrize("log", corpus())
def test_a_bad_log_is_refused_and_nothing_else_happens(log):
    before = copy.deepcopy(log)

    with pytest.raises(decode.MalformedLogError) as refused:
        decode.decode_log(log, DECODERS)

    assert refused.value.reason
    assert log == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70) | st.sampled_from([STANDARD, *TOPICS, data_v2()]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "removed", "blockTimestamp"]), json_values))
def test_random_fields_decode_or_are_refused(fields):
    try:
        decoded = decode.decode_log(raw_log() | fields, DECODERS)
    except decode.MalformedLogError:
        return
    assert 0 < decoded.event.usdc <= decoded.event.shares


def test_the_corpus_is_large_enough():
    assert len(corpus()) >= 60
