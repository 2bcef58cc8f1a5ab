"""Blooms, RLP and derived ids."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.sandbox import digest

HEX32 = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())


def _holds(bloom: str, item: str) -> bool:
    wanted = int(digest.logs_bloom([item]), 16)
    return int(bloom, 16) & wanted == wanted


@given(items=st.lists(HEX32, min_size=1, max_size=8))
def test_a_bloom_never_denies_what_it_holds(items):
    bloom = digest.logs_bloom(items)

    assert all(_holds(bloom, item) for item in items)


def test_an_empty_bloom_holds_nothing():
    assert digest.logs_bloom([]) == "0x" + "00" * 256


@pytest.mark.recorded
def test_the_bloom_of_a_recorded_receipt_is_met(recorded_data):
    receipt = json.loads((recorded_data / "onchain/receipt_v2_standard_b5d41ea9.json").read_text())
    items = [part for log in receipt["logs"] for part in (log["address"], *log["topics"])]

    assert digest.logs_bloom(items) == receipt["logsBloom"]


def test_rlp_follows_the_yellow_paper():
    assert digest.rlp(b"dog") == b"\x83dog"
    assert digest.rlp([b"cat", b"dog"]) == b"\xc8\x83cat\x83dog"
    assert digest.rlp(b"") == b"\x80"
    assert digest.rlp([]) == b"\xc0"
    assert digest.rlp(b"\x0f") == b"\x0f"
    assert digest.rlp(b"a" * 56) == b"\xb8\x38" + b"a" * 56


def test_token_ids_have_77_digits_and_no_protocol_v2_shape():
    for number in range(50):
        token = digest.derive_token("test", number)
        assert len(str(token)) == 77
        assert token & (((1 << 64) - 1) << 40) != 0
