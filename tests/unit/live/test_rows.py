"""What the venue tells of orders and trades: read exactly, or refused by the field that is wrong."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.live.rows import (
    MalformedRowError,
    OrderPhase,
    read_order,
    read_trade,
    settlement_of,
)
from copytrade.adapters.live.transport import Answer
from copytrade.adapters.live.verdicts import Doubt, Refused, Taken, verdict_of
from copytrade.domain.attempts import Liquidity, Settlement
from copytrade.domain.fills import Side
from tests.makers import NO, YES, micro

WALLET, OTHER = "0x" + "aa" * 20, "0x" + "bb" * 20
HASH = "0x" + "0d" * 32
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just(HASH),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def an_order(**changes: Any) -> dict[str, Any]:
    facts = {"id": HASH.upper().replace("0X", "0x"), "status": "LIVE", "size_matched": "1.5", "associate_trades": ["t"]}
    return facts | changes


def a_maker(**changes: Any) -> dict[str, Any]:
    facts = {
        "order_id": "0x" + "1d" * 32,
        "owner": "theirs",
        "maker_address": OTHER,
        "matched_amount": "10",
        "price": "0.5",
        "asset_id": YES,
        "side": "SELL",
    }
    return facts | changes


def a_trade(**changes: Any) -> dict[str, Any]:
    facts = {
        "id": "t1",
        "taker_order_id": HASH,
        "asset_id": YES,
        "side": "BUY",
        "size": "10",
        "price": "0.5",
        "status": "MATCHED",
        "owner": "ours",
        "maker_address": WALLET,
        "match_time": "1790000000",
        "trader_side": "TAKER",
        "maker_orders": [a_maker()],
    }
    return facts | changes


def ours(row: dict[str, Any]) -> Any:
    return read_trade(row, wallet=WALLET, api_key="ours")


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("LIVE", OrderPhase.OPEN),
        ("ORDER_STATUS_DELAYED", OrderPhase.OPEN),
        ("unmatched", OrderPhase.OPEN),
        ("MATCHED", OrderPhase.MATCHED),
        ("CANCELED_MARKET_RESOLVED", OrderPhase.ENDED),
        ("CANCELED_order couldn't be fully filled. FOK orders are fully filled or killed.", OrderPhase.ENDED),
        ("INVALID", OrderPhase.ENDED),
        ("PONDERED", OrderPhase.UNCLEAR),
    ],
)
def test_a_word_for_an_order_that_nobody_knows_is_no_end(word: str, phase: OrderPhase) -> None:
    assert read_order(an_order(status=word)).phase is phase


@pytest.mark.parametrize("told", [[], {}, "-1", "1e9", "x", str(2**70), True])
def test_an_amount_that_is_none_is_refused(told: Any) -> None:
    with pytest.raises(MalformedRowError, match="size_matched"):
        read_order(an_order(size_matched=told))


@pytest.mark.parametrize(("told", "matched"), [("1.5", micro("1.5")), ("", None), (None, None), (0, 0)])
def test_what_is_matched_is_known_or_not(told: Any, matched: int | None) -> None:
    row = read_order(an_order(size_matched=told))

    assert (row.order_hash, row.matched, row.trades) == (HASH, matched, {"t"})


@pytest.mark.parametrize(
    ("word", "settlement"),
    [
        ("TRADE_STATUS_MATCHED_NOT_BROADCASTED", Settlement.MATCHED),
        ("MINED", Settlement.MINED),
        ("TRADE_STATUS_CONFIRMED", Settlement.CONFIRMED),
        ("retrying", Settlement.RETRYING),
        ("FAILED", Settlement.FAILED),
        ("SOMETHING", Settlement.MATCHED),
    ],
)
def test_a_word_for_a_trade_that_nobody_knows_is_no_progress(word: str, settlement: Settlement) -> None:
    assert settlement_of(word) is settlement


def test_a_taker_pays_the_average_of_what_he_meets_on_either_outcome() -> None:
    makers = [a_maker(matched_amount="6", price="0.4"), a_maker(matched_amount="4", price="0.3", asset_id=NO)]

    (part,) = ours(a_trade(price="0.7", maker_orders=makers))

    assert (part.price, part.shares, part.liquidity) == (micro("0.52"), micro("10"), Liquidity.TAKER)
    assert [match.price for match in part.met] == [micro("0.4"), micro("0.7")]


def test_a_taker_is_told_one_price_where_what_he_met_is_not_all_there() -> None:
    (part,) = ours(a_trade(maker_orders=[a_maker(matched_amount="6", price="0.4")]))

    assert (part.price, part.met) == (micro("0.5"), ())


def test_a_maker_is_found_among_the_others_by_wallet_or_key_with_his_own_outcome_side_and_price() -> None:
    by_key = a_maker(order_id=HASH, owner="ours", asset_id=NO, side="BUY", price="0.45", matched_amount="4")
    by_wallet = a_maker(order_id="0x" + "2d" * 32, maker_address=WALLET.upper().replace("0X", "0x"))
    again = by_key | {"matched_amount": "2"}
    row = a_trade(
        owner="theirs", maker_address=OTHER, trader_side="MAKER", maker_orders=[a_maker(), by_key, by_wallet, again]
    )

    first, second = ours(row)

    assert (first.order_hash, first.token_id, first.side) == (HASH, NO, Side.BUY)
    assert (first.shares, first.price, first.liquidity) == (micro("6"), micro("0.45"), Liquidity.MAKER)
    assert second.order_hash == "0x" + "2d" * 32
    assert first.key != second.key


def test_a_trade_of_others_is_nothing_of_ours() -> None:
    assert ours(a_trade(owner="", maker_address=OTHER)) == ()


@pytest.mark.parametrize(
    "told",
    [
        {"match_time": "1790000000"},
        {"match_time": 1790000000000},
        {"match_time": None, "matchtime": "1790000000000"},
        {"match_time": "2026-09-21T14:13:20+00:00"},
        {"match_time": "", "timestamp": "1790000000"},
        {"match_time": "2026-09-21T14:13:20"},
    ],
)
def test_a_time_is_read_in_whatever_unit_it_comes(told: dict[str, Any]) -> None:
    assert ours(a_trade(**told))[0].matched_ms == 1_790_000_000_000


def test_a_time_without_a_zone_is_utc_wherever_the_worker_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert ours(a_trade(match_time="2026-09-21T14:13:20"))[0].matched_ms == 1_790_000_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("told", ["999999999999999", "9999-12-31", "1969-12-31", "0", "-1"])
def test_a_time_at_which_no_trade_can_have_been_is_refused(told: str) -> None:
    with pytest.raises(MalformedRowError, match="match_time"):
        ours(a_trade(match_time=told))


@pytest.mark.parametrize("told", ["t\0", "\x1b[2Jt", "t\n", "t" * 1_001])
def test_a_name_that_no_database_or_log_can_hold_is_refused(told: str) -> None:
    with pytest.raises(MalformedRowError, match="id"):
        ours(a_trade(id=told))


@pytest.mark.parametrize(
    ("changes", "is_possible"),
    [
        ({}, True),
        ({"size": "0", "maker_orders": []}, False),
        ({"price": "1", "maker_orders": []}, False),
        ({"price": "0", "maker_orders": []}, False),
        ({"maker_orders": [a_maker(price="1.5")]}, False),
    ],
)
def test_a_trade_of_nothing_or_at_no_price_is_not_possible(changes: dict[str, Any], is_possible: bool) -> None:
    (trade,) = ours(a_trade(**changes))
    assert trade.is_possible is is_possible


@given(json | st.dictionaries(st.sampled_from([*an_order(), *a_trade()]), json))
def test_anything_is_a_row_or_is_refused(told: Any) -> None:
    for base in ({}, an_order(), a_trade()):
        row = base | told if isinstance(told, dict) else told
        for read in (read_order, ours):
            with suppress(MalformedRowError):
                read(row)


def answered(status: int, body: Any, *, is_json: bool = True) -> Any:
    answer = Answer(status=status, body=body, is_json=is_json, retry_after_ms=None, took_ms=1, headers={})
    return verdict_of(answer, order_hash=HASH)


GOOD = {"success": True, "errorMsg": "", "orderID": HASH, "status": "live"}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, GOOD, Taken),
        (201, GOOD | {"errorMsg": None, "status": "a new word"}, Taken),
        (200, GOOD | {"orderID": ""}, Doubt),
        (200, GOOD | {"orderID": "0x" + "1d" * 32}, Doubt),
        (200, GOOD | {"success": False}, Doubt),
        (200, {"success": False, "errorMsg": "not enough balance / allowance: x"}, Refused),
        (200, GOOD | {"errorMsg": "a new text"}, Doubt),
        (200, GOOD | {"errorMsg": "not enough balance / allowance: x"}, Doubt),
        (200, GOOD | {"orderID": "", "errorMsg": "not enough balance / allowance: x"}, Refused),
        (400, {"error": "invalid signature"}, Refused),
        (400, {"error": f"order {HASH} is invalid. Duplicated."}, Doubt),
        (400, {"error": "a new text"}, Doubt),
        (400, {}, Doubt),
        (404, {"error": "invalid signature"}, Doubt),
        (401, {"error": "Unauthorized/Invalid api key"}, Doubt),
        (425, {"error": "matching engine is restarting"}, Doubt),
        (429, {"error": "Too Many Requests"}, Doubt),
        (500, {"error": "order timed out"}, Doubt),
        (503, {"error_msg": "post-only mode: only post-only orders and cancels are allowed"}, Doubt),
    ],
    ids=str,
)
def test_only_what_is_documented_is_believed(status: int, body: Any, kind: type) -> None:
    assert type(answered(status, body)) is kind


@given(st.integers(100, 599), json | st.dictionaries(st.sampled_from([*GOOD, "error", "error_msg"]), json))
def test_whatever_is_answered_is_judged_and_success_needs_our_own_hash(status: int, body: Any) -> None:
    verdict = answered(status, body)

    if isinstance(verdict, Taken):
        assert (body["success"], body["orderID"].lower(), status < 300) == (True, HASH, True)
    assert answered(status, None, is_json=False).why.code == "UNREADABLE_ANSWER"
