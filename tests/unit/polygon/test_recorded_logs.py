"""Every recorded log decodes to what its recording says, and each wallet's fills are found once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from copytrade.adapters.polygon import bloom, decode
from copytrade.domain.fills import LeaderRole, Side
from tests.unit.polygon.raw_logs import DECODERS, NEG_RISK, STANDARD, data_v2, raw_log

pytestmark = pytest.mark.recorded


def load(recorded_data, name: str) -> Any:
    text = (recorded_data / name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()] if name.endswith(".jsonl") else json.loads(text)


def as_sent(log: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a log with quantities as hex and without holes, as a node sends it."""
    full = {"blockHash": "0x" + "00" * 32, "removed": False} | log | more
    return {key: hex(value) if type(value) is int else value for key, value in full.items()}


def decoded(log: dict[str, Any], **more: Any) -> decode.DecodedFill:
    return decode.decode_log(as_sent(log, **more), DECODERS)


def is_fill(log: dict[str, Any]) -> bool:
    return log["topics"][0] in {decode.TOPIC_V1, decode.TOPIC_V2}


def micro(number: Any) -> int:
    return int(Decimal(str(number)) * 1_000_000)


def test_logs_with_expected_decodes(recorded_data):
    entries = load(recorded_data, "onchain/ctf_and_exchange_single_logs.json")
    fills = [entry for entry in entries if is_fill(entry["log"])]

    for entry in fills:
        got, expected = decoded(entry["log"]), entry["expected"]
        assert got.event.token_id == expected["token_id"]
        assert got.event.side == expected["side"]
        assert (got.event.shares, got.event.price) == (micro(expected["size"]), micro(expected["price"]))
        assert (got.event.fee, got.block_number) == (micro(expected["fee"]), expected["block"])
        assert got.block_ts_ms == expected["ts_ms"]
    assert len(fills) >= 2


def test_logs_of_other_events_are_refused(recorded_data):
    entries = load(recorded_data, "onchain/ctf_and_exchange_single_logs.json")

    for entry in entries:
        if not is_fill(entry["log"]):
            with pytest.raises(decode.MalformedLogError):
                decoded(entry["log"])


def test_whole_transactions_give_each_wallet_its_expected_fill(recorded_data):
    for case in load(recorded_data, "onchain/v2_fills_poly_shadow.json"):
        fills = [decoded(log) for log in case["logs"] if is_fill(log)]
        own = [fill for fill in fills if fill.event.maker == case["wallet"]]
        takers = [fill for fill in own if fill.role is LeaderRole.TAKER]

        assert case["expectedRole"] == "TAKER_AGGREGATE"
        assert len(takers) == 1
        event = takers[0].event
        assert (event.side, event.token_id) == (case["expectedSide"], case["expectedTokenId"])
        assert (event.shares, event.fee) == (micro(case["expectedShares"]), int(case["expectedFee"]))
        assert event.price == round(Decimal(case["expectedPrice10"]) * 1_000_000)
        assert takers[0].exchange_address == (NEG_RISK if case["expectedNegRisk"] else STANDARD)
        assert takers[0].block_ts_ms == case["blockTimestamp"] * 1000


def test_the_maker_legs_of_a_transaction_sum_to_its_taker_leg(recorded_data):
    for case in load(recorded_data, "onchain/v2_fills_poly_shadow.json"):
        fills = [decoded(log) for log in case["logs"] if is_fill(log)]
        taker = next(fill for fill in fills if fill.role is LeaderRole.TAKER)
        makers = [fill for fill in fills if fill.role is LeaderRole.MAKER]

        assert sum(fill.event.shares for fill in makers) == taker.event.shares
        assert all(fill.event.taker == taker.event.maker for fill in makers)


def test_a_receipt_gives_the_taker_one_aggregate_fill_and_each_minter_his_own_token(recorded_data):
    receipt = load(recorded_data, "onchain/receipt_v2_standard_b5d41ea9.json")
    fills = [decoded(log) for log in receipt["logs"] if is_fill(log) and log["address"] == STANDARD]
    (taker,) = [fill for fill in fills if fill.role is LeaderRole.TAKER]
    makers = [fill for fill in fills if fill.role is LeaderRole.MAKER]

    leader = taker.event.maker

    assert [fill for fill in fills if fill.event.maker == leader] == [taker]
    assert (taker.event.shares, taker.event.fee) == (20_001_050, 255_400)
    assert sum(fill.event.shares for fill in makers) == 20_001_050
    assert {fill.event.side for fill in makers} == {taker.event.side} == {Side.BUY}
    assert taker.event.token_id not in {fill.event.token_id for fill in makers}
    assert len({fill.event.token_id for fill in fills}) == 2


def test_the_rest_of_a_receipt_is_refused(recorded_data):
    receipt = load(recorded_data, "onchain/receipt_v2_standard_b5d41ea9.json")

    refused = 0
    for log in receipt["logs"]:
        try:
            decoded(log)
        except decode.MalformedLogError:
            refused += 1

    assert (len(receipt["logs"]), refused) == (23, 20)


def test_the_bloom_of_a_receipt_holds_all_its_logs(recorded_data):
    receipt = load(recorded_data, "onchain/receipt_v2_standard_b5d41ea9.json")
    bits = int(receipt["logsBloom"], 16)

    for log in receipt["logs"]:
        assert bloom.may_hold(bits, (log["address"],), *((topic,) for topic in log["topics"]))
    assert not bloom.may_hold(bits, (NEG_RISK,))


def test_wallets_seen_on_chain_and_by_the_api_agree(recorded_data):
    for entry in load(recorded_data, "onchain/v2_wallet_0x2f633efb_logs_vs_dataapi.json"):
        event, row = decoded(entry["log"]).event, entry["data_api"]

        assert (event.side, event.token_id, event.shares) == (row["side"], row["asset"], micro(row["size"]))
        assert event.price == round(Decimal(str(row["price"])) * 1_000_000)


def test_logs_against_the_api_values_of_their_transactions(recorded_data):
    recording = load(recorded_data, "onchain/polyprinter_v2_logs_vs_dataapi.json")
    expected, got = (
        recording["expected_from_source_test"],
        {name: decoded(log) for name, log in recording["logs"].items()},
    )

    buy, sell, taker = got["BUY_LOG"].event, got["SELL_LOG"].event, got["TAKER_OWN_ORDER_LOG"]

    row = expected["BUY_LOG"]["data_api"]
    assert (buy.maker, buy.side, buy.token_id) == (expected["BUY_LOG"]["wallet"], row["side"], row["asset"])
    assert (buy.shares, buy.usdc, buy.price) == (micro(row["size"]), micro(row["usdcSize"]), micro(row["price"]))
    row = expected["SELL_LOG"]["data_api"]
    assert (sell.side, sell.shares, sell.price) == (row["side"], micro(row["size"]), micro(row["price"]))
    assert sell.fee == micro(expected["SELL_LOG"]["fee_usd"])
    assert (taker.role, taker.event.maker) == (LeaderRole.TAKER, expected["TAKER_OWN_ORDER_LOG"]["maker"])


def test_the_v1_match_on_the_neg_risk_exchange(recorded_data):
    recording = load(recorded_data, "onchain/v1_negrisk_match_73ca58d5.json")
    fills = [decoded(log) for log in recording["logs"] if is_fill(log)]

    assert [fill.role for fill in fills] == [LeaderRole.MAKER, LeaderRole.TAKER]
    for fill, expected in zip(fills, recording["decoded_by_source"], strict=False):
        is_buy = expected["makerAssetId"] == "0"
        assert fill.event.maker == expected["maker"].lower()
        assert fill.event.side is (Side.BUY if is_buy else Side.SELL)
        assert fill.event.token_id == expected["takerAssetId" if is_buy else "makerAssetId"]
        assert fill.event.usdc == expected["makerAmountFilled" if is_buy else "takerAmountFilled"]
        assert fill.event.shares == expected["takerAmountFilled" if is_buy else "makerAmountFilled"]


def test_a_wallet_of_2022_decodes_whole(recorded_data):
    blocks = load(recorded_data, "onchain/v1_wallet_0xa0932d9a_orderfilled.jsonl")
    fills = [
        decoded(log, blockNumber=block["header"]["number"], blockHash=block["header"]["hash"])
        for block in blocks
        for log in block["logs"]
    ]

    assert len(fills) == 13
    assert len({fill.event.maker for fill in fills}) == 1
    assert all(0 < fill.event.price < 1_000_000 for fill in fills)


def test_single_logs(recorded_data):
    v1 = decoded(load(recorded_data, "onchain/lobsterroll_v1_logs.json")["legacy"])
    v2 = {name: decoded(log) for name, log in load(recorded_data, "onchain/lobsterroll_v2_logs.json").items()}
    single = load(recorded_data, "onchain/v2_single_f418d3a1.json")
    event = decode.decode_v2(single["topics"], single["data"])

    assert (v1.event.side, v1.event.shares, v1.event.price) == (Side.SELL, 5_190_000, 408_000)
    assert (v2["buy_side0"].event.side, v2["buy_side0"].event.shares) == (Side.BUY, 5_760_000)
    assert (v2["buy_side0"].event.price, v2["buy_side0"].role) == (950_000, LeaderRole.MAKER)
    assert (v2["sell_side1"].event.side, v2["sell_side1"].event.fee) == (Side.SELL, 19_150)
    assert (event.side, event.usdc, event.shares) == (Side.BUY, 37_500_000, 50_000_000)
    assert (event.price, event.fee) == (750_000, 656_250)


def test_taker_legs_with_fees(recorded_data):
    rows = load(recorded_data, "nautilus/newer/chain_order_filled_taker_fees.json")

    for row in rows:
        data = data_v2(
            side=0 if row["side"] == "BUY" else 1,
            given=int(row["maker_amount_filled"]),
            got=int(row["taker_amount_filled"]),
            fee=int(row["fee"]),
        )
        exchange = NEG_RISK if row["exchange"] == "neg_risk" else STANDARD
        fill = decode.decode_log(raw_log(address=exchange, taker=exchange, data=data), DECODERS)

        assert (fill.event.side, fill.role, fill.event.fee) == (row["side"], LeaderRole.TAKER, int(row["fee"]))
        assert abs(fill.event.price - micro(row["price"])) <= 1
    assert len(rows) == 21
