"""The receipts of a block and the root in its header, against the sandbox's own making of both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copytrade.adapters.polygon.receipts import EMPTY_ROOT, MalformedReceiptError, is_all_there_is
from copytrade.sandbox import trie
from tests.unit.polygon.fake_chain import encoded_receipt

words = st.integers(0, 2**256 - 1).map(lambda number: f"0x{number:064x}")
hexed = st.binary(max_size=100).map(lambda data: "0x" + data.hex())
logs = st.fixed_dictionaries(
    {"address": st.binary(min_size=20, max_size=20).map(lambda data: "0x" + data.hex()), "data": hexed}
    | {"topics": st.lists(words, max_size=4)}
)
some_receipts = st.fixed_dictionaries(
    {"status": st.sampled_from(["0x0", "0x1"]), "type": st.sampled_from(["0x0", "0x2", "0x7f"])}
    | {"cumulativeGasUsed": st.integers(0, 2**40).map(hex), "logsBloom": st.just("0x" + "00" * 256)}
    | {"logs": st.lists(logs, max_size=3), "from": st.just("0x" + "aa" * 20), "to": st.just("0x" + "bb" * 20)}
)
BRIDGE: dict[str, Any] = {
    "type": "0x0",
    "status": "0x1",
    "cumulativeGasUsed": "0x0",
    "logsBloom": "0x" + "00" * 256,
    "logs": [],
    "from": "0x" + "00" * 20,
    "to": None,
}


def root_of(receipts: list[dict[str, Any]]) -> str:
    return trie.root([encoded_receipt(receipt) for receipt in receipts])


def is_whole(receipts: list[Any], root: str) -> bool:
    return asyncio.run(is_all_there_is(receipts, root))


@settings(deadline=None, max_examples=60)
@given(st.lists(some_receipts, max_size=20), st.data())
def test_only_all_receipts_in_their_order_give_the_root(receipts, data):
    root = root_of(receipts)
    assert is_whole(receipts, root)
    if receipts:
        gone = data.draw(st.integers(0, len(receipts) - 1))
        assert not is_whole(receipts[:gone] + receipts[gone + 1 :], root)
        assert not is_whole([*receipts, receipts[0]], root)


@settings(deadline=None, max_examples=30)
@given(st.lists(some_receipts.filter(lambda one: one["logs"]), min_size=1, max_size=5), st.data())
def test_a_log_left_out_or_changed_gives_another_root(receipts, data):
    root = root_of(receipts)
    at = data.draw(st.integers(0, len(receipts) - 1))
    first, *rest = receipts[at]["logs"]
    for other in (rest, [first | {"data": first["data"] + "00"}, *rest]):
        assert not is_whole([*receipts[:at], receipts[at] | {"logs": other}, *receipts[at + 1 :]], root)


@pytest.mark.parametrize("count", [0, 1, 2, 16, 127, 128, 129, 300])
def test_blocks_of_every_size_have_their_root(count):
    receipts = [BRIDGE | {"from": "0x" + "aa" * 20, "cumulativeGasUsed": hex(at)} for at in range(count)]
    assert is_whole(receipts, root_of(receipts))
    assert (root_of(receipts) == EMPTY_ROOT) == (count == 0)


def test_what_a_node_appends_for_the_bridge_is_not_in_the_root():
    receipts = [BRIDGE | {"from": "0x" + "aa" * 20}]
    assert is_whole([*receipts, BRIDGE], root_of(receipts))
    assert is_whole([*receipts, BRIDGE], root_of([*receipts, BRIDGE]))
    assert not is_whole([*receipts, BRIDGE | {"to": "0x" + "bb" * 20}], root_of(receipts))


@pytest.mark.parametrize(
    "odd", [None, "text", {}, BRIDGE | {"status": "yes"}, BRIDGE | {"logs": None}, BRIDGE | {"logs": [{"topics": 1}]}]
)
def test_what_is_no_receipt_is_refused(odd):
    with pytest.raises(MalformedReceiptError):
        is_whole([odd], EMPTY_ROOT)
