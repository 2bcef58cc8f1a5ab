"""The decoder, on logs whose meaning is known: worked examples and an independent ABI decoder."""

from __future__ import annotations

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.polygon import decode
from copytrade.domain.fills import LeaderRole, Side
from copytrade.domain.units import price_half_up
from tests.unit.polygon.raw_logs import (
    DECODERS,
    LEADER,
    NEG_RISK,
    STANDARD,
    STANDARD_V1,
    STRANGER,
    TOKEN,
    V3,
    data_v1,
    data_v2,
    raw_log,
)

OTHER_TOKEN = TOKEN ^ 0xFF
WORD = 2**256 - 1


def test_a_buy_gives_collateral_and_gets_shares():
    decoded = decode.decode_log(raw_log(data=data_v2(side=0, given=2_355_200, got=2_560_000, fee=17)), DECODERS)

    assert (decoded.event.side, decoded.event.usdc, decoded.event.shares) == (Side.BUY, 2_355_200, 2_560_000)
    assert (decoded.event.price, decoded.event.fee) == (920_000, 17)


def test_a_sell_gives_shares_and_gets_collateral_before_the_fee():
    decoded = decode.decode_log(raw_log(data=data_v2(side=1, given=6_000_000, got=2_880_000, fee=104_830)), DECODERS)

    assert (decoded.event.side, decoded.event.usdc, decoded.event.shares) == (Side.SELL, 2_880_000, 6_000_000)
    assert (decoded.event.price, decoded.event.fee) == (480_000, 104_830)


def test_the_owner_of_the_order_is_the_taker_when_the_exchange_is_the_counterparty():
    decoded = decode.decode_log(raw_log(address=NEG_RISK, taker=NEG_RISK), DECODERS)

    assert decoded.role is LeaderRole.TAKER
    assert decoded.event.maker == LEADER


@pytest.mark.parametrize("taker", [STRANGER, NEG_RISK, V3])
def test_any_other_counterparty_makes_him_the_maker_even_another_exchange(taker):
    assert decode.decode_log(raw_log(address=STANDARD, taker=taker), DECODERS).role is LeaderRole.MAKER


def test_the_place_and_the_time_are_kept_in_lower_case():
    log = raw_log(address=STANDARD.upper().replace("0X", "0x"), blockHash="0x" + "0B" * 32)

    decoded = decode.decode_log(log, DECODERS)

    assert decoded.exchange_address == STANDARD
    assert decoded.source_key() == f"0x{'0b' * 32}|0x{'0c' * 32}|7"
    assert decoded.block_ts_ms == 0x6A772E03 * 1000


def test_a_sighting_keeps_the_log_as_it_came():
    log = raw_log()

    sighting = decode.decode_log(log, DECODERS).sighting(log, fill_ts_ms=1, detected_at_ms=2)

    assert decode.msgspec.json.decode(sighting.payload) == log
    assert (sighting.fill.fill_ts_ms, sighting.fill.detected_at_ms, sighting.fill.fee) == (1, 2, 0)


def test_a_v1_buy_gives_asset_zero_and_pays_its_fee_in_shares():
    data = data_v1(given_asset=0, got_asset=TOKEN, given=7_434_000, got=17_700_000, fee=1_770_000)
    topics = [decode.TOPIC_V1, *raw_log()["topics"][1:]]

    decoded = decode.decode_log(raw_log(address=STANDARD_V1, topics=topics, data=data), DECODERS)

    assert (decoded.event.side, decoded.event.token_id) == (Side.BUY, str(TOKEN))
    assert (decoded.event.fee, decoded.event.fee_in_shares) == (1_770_000, True)
    assert decoded.leader_fill(fill_ts_ms=0, detected_at_ms=0).fee is None


def test_a_v1_sell_gives_the_token():
    data = data_v1(given_asset=TOKEN, got_asset=0, given=5_190_000, got=2_117_520, fee=3)
    topics = [decode.TOPIC_V1, *raw_log()["topics"][1:]]

    decoded = decode.decode_log(raw_log(address=STANDARD_V1, topics=topics, data=data), DECODERS)

    assert (decoded.event.side, decoded.event.token_id, decoded.event.price) == (Side.SELL, str(TOKEN), 408_000)
    assert decoded.leader_fill(fill_ts_ms=0, detected_at_ms=0).fee == 3


def test_a_v1_buy_without_a_fee_has_a_known_fee():
    data = data_v1(given_asset=0, got_asset=TOKEN, given=1, got=2)
    topics = [decode.TOPIC_V1, *raw_log()["topics"][1:]]

    decoded = decode.decode_log(raw_log(address=STANDARD_V1, topics=topics, data=data), DECODERS)

    assert decoded.leader_fill(fill_ts_ms=0, detected_at_ms=0).fee == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"removed": True}, "removed"),
        ({"address": STRANGER}, "unknown-contract-or-topic"),
        ({"address": STANDARD_V1}, "unknown-contract-or-topic"),
        ({"topics": [decode.TOPIC_V1, *raw_log()["topics"][1:]]}, "unknown-contract-or-topic"),
        ({"topics": raw_log()["topics"][:3]}, "topic-count"),
        ({"topics": [*raw_log()["topics"], "0x" + "00" * 32]}, "topic-count"),
        ({"data": data_v2() + "00" * 32}, "length"),
        ({"data": data_v2()[:-64]}, "length"),
        ({"data": data_v2(side=2)}, "side"),
        ({"data": data_v2(side=256)}, "side"),
        ({"data": data_v2(given=0)}, "zero-amount"),
        ({"data": data_v2(got=0)}, "zero-amount"),
        ({"data": data_v2(token=0)}, "zero-token"),
        ({"data": data_v2(given=2_560_001)}, "price-out-of-range"),
        ({"data": data_v2(side=1, given=1, got=2)}, "price-out-of-range"),
        ({"data": data_v2(given=1, got=10**9)}, "price-out-of-range"),
        ({"data": data_v2(given=2**63, got=2**63)}, "amount-out-of-range"),
        ({"data": data_v2(fee=2**64)}, "amount-out-of-range"),
        ({"data": data_v2(got=WORD)}, "amount-out-of-range"),
        ({"blockNumber": None}, "block-number"),
        ({"blockNumber": 100}, "block-number"),
        ({"blockHash": None}, "block-hash"),
        ({"transactionHash": "0x" + "0c" * 31}, "transaction-hash"),
        ({"logIndex": None}, "log-index"),
        ({"logIndex": "0x"}, "log-index"),
        ({"logIndex": "0x1_0"}, "log-index"),
        ({"blockTimestamp": "soon"}, "block-timestamp"),
    ],
)
def test_a_log_that_breaks_a_rule_is_refused_with_its_reason(changes, reason):
    with pytest.raises(decode.MalformedLogError) as refused:
        decode.decode_log(raw_log(**changes), DECODERS)

    assert refused.value.reason == reason


def test_an_address_topic_with_more_than_an_address_is_refused():
    topics = raw_log()["topics"]
    topics[2] = "0x" + "1" + topics[2][3:]

    with pytest.raises(decode.MalformedLogError, match="address-topic"):
        decode.decode_log(raw_log(topics=topics), DECODERS)


def test_the_two_sides_of_a_mint_keep_their_own_tokens():
    maker_leg = raw_log(maker=STRANGER, taker=LEADER, data=data_v2(token=TOKEN, given=3_972_900, got=6_970_000))
    taker_leg = raw_log(maker=LEADER, taker=STANDARD, data=data_v2(token=OTHER_TOKEN, given=2_997_100, got=6_970_000))

    maker, taker = (decode.decode_log(log, DECODERS) for log in (maker_leg, taker_leg))

    assert (maker.event.token_id, taker.event.token_id) == (str(TOKEN), str(OTHER_TOKEN))
    assert (maker.event.price, taker.event.price) == (570_000, 430_000)
    assert (maker.event.side, taker.event.side) == (Side.BUY, Side.BUY)


amounts = st.integers(1, decode.AMOUNT_MAX)
words32 = st.binary(min_size=32, max_size=32)


@given(st.integers(0, 1), words32.filter(any), st.tuples(amounts, amounts), amounts, st.tuples(*[words32] * 3))
def test_v2_agrees_with_an_independent_decoder(side, token, pair, fee, opaque):
    shares, usdc = max(pair), min(pair)
    builder, metadata, order_hash = opaque
    values = (side, int.from_bytes(token), *((usdc, shares) if side == 0 else (shares, usdc)), fee, builder, metadata)
    kinds = ["uint8", "uint256", "uint256", "uint256", "uint256", "bytes32", "bytes32"]
    log = raw_log(data="0x" + eth_abi.encode(kinds, values).hex(), order_hash="0x" + order_hash.hex())

    if price_half_up(usdc, shares) == 0:
        with pytest.raises(decode.MalformedLogError, match="price-out-of-range"):
            decode.decode_log(log, DECODERS)
        return
    event = decode.decode_log(log, DECODERS).event

    assert (event.side, event.token_id) == ((Side.BUY, Side.SELL)[side], str(int.from_bytes(token)))
    assert (event.usdc, event.shares, event.fee) == (usdc, shares, fee)
    assert event.order_hash == "0x" + order_hash.hex()


@given(st.booleans(), words32.filter(any), amounts, amounts, amounts)
def test_v1_agrees_with_an_independent_decoder(is_buy, token, one, other, fee):
    shares, usdc = max(one, other), min(one, other)
    asset = int.from_bytes(token)
    values = (0, asset, usdc, shares, fee) if is_buy else (asset, 0, shares, usdc, fee)
    topics = [decode.TOPIC_V1, *raw_log()["topics"][1:]]
    log = raw_log(address=STANDARD_V1, topics=topics, data="0x" + eth_abi.encode(["uint256"] * 5, values).hex())

    if price_half_up(usdc, shares) == 0:
        return
    event = decode.decode_log(log, DECODERS).event

    assert (event.side, event.token_id) == (Side.BUY if is_buy else Side.SELL, str(asset))
    assert (event.usdc, event.shares, event.fee, event.fee_in_shares) == (usdc, shares, fee, is_buy)


@given(st.binary(min_size=7 * 32, max_size=7 * 32))
def test_whatever_the_words_either_both_decoders_read_the_same_or_ours_refuses(data):
    try:
        event = decode.decode_v2(raw_log()["topics"], "0x" + data.hex())
    except decode.MalformedLogError:
        return
    side, token, given_amount, got, fee, _, _ = eth_abi.decode(
        ["uint8", "uint256", "uint256", "uint256", "uint256", "bytes32", "bytes32"], data
    )
    usdc, shares = (given_amount, got) if side == 0 else (got, given_amount)
    assert (event.token_id, event.usdc, event.shares, event.fee) == (str(token), usdc, shares, fee)
