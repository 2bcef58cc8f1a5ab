"""The bloom: absence is a proof, presence is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.polygon import bloom
from copytrade.adapters.polygon.node import LogFilter, parse_header
from copytrade.sandbox.digest import logs_bloom
from tests.unit.polygon.fake_chain import FakeChain
from tests.unit.polygon.raw_logs import LEADER, LIVE, STANDARD, STRANGER, raw_log

items = st.binary(min_size=20, max_size=32).map(lambda raw: "0x" + raw.hex())


@given(st.lists(items, min_size=1, max_size=30), items)
def test_what_was_put_in_is_always_found(put_in, other):
    bits = int(logs_bloom(put_in), 16)

    assert all(bloom.may_hold(bits, (item,)) for item in put_in)
    assert bloom.may_hold(bits, (other, put_in[0]))
    assert not bloom.may_hold(0, (other,))


def test_a_block_with_another_wallets_order_is_proved_empty():
    chain = FakeChain()
    header = parse_header(chain.mine(raw_log(maker=STRANGER)).header())
    assert header is not None

    assert LogFilter((STANDARD,), (raw_log()["topics"][0],), (STRANGER,)).may_match(header)
    assert not LogFilter((STANDARD,), (raw_log()["topics"][0],), (LEADER,)).may_match(header)
    assert not LogFilter(LIVE[1:], (raw_log()["topics"][0],), (STRANGER,)).may_match(header)


def test_a_header_without_a_bloom_proves_nothing():
    chain = FakeChain()
    answer = chain.mine().header()
    del answer["logsBloom"]
    header = parse_header(answer)
    assert header is not None

    assert LogFilter(LIVE, (raw_log()["topics"][0],), (LEADER,)).may_match(header)
