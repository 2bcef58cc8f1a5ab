"""Gamma rows and CLOB records into markets: recorded bodies, and what must not be believed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.gamma.amounts import NotAPageError, NoTokensError, padded_condition
from copytrade.adapters.gamma.decode import parse_listing, parse_page, salvaged_cursor
from copytrade.adapters.gamma.details import market_of_details, parse_details
from copytrade.domain.market import NO_FEES, FeeSchedule, Market
from copytrade.domain.units import MICRO
from tests.unit.gamma.fake_gamma import details, row, v2_row


def parsed(record: dict[str, Any]) -> Market:
    return parse_listing(json.dumps(record).encode(), now_ms=1).market


def rows_in(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if {"conditionId", "outcomes", "question"} <= value.keys():
            yield value
        for inner in value.values():
            yield from rows_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from rows_in(inner)


def recorded_rows(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    paths = [*(folder / "rest").rglob("*.json*"), *(folder / "nautilus").rglob("*gamma*")]
    for path in sorted(paths):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        documents = text.splitlines() if ".jsonl" in path.name else [text]
        for document in documents:
            for record in rows_in(json.loads(document)):
                yield path, record


@pytest.mark.recorded
def test_every_recorded_gamma_body_is_a_market(recorded_data: Path) -> None:
    count = 0
    for path, record in recorded_rows(recorded_data):
        market = parsed(record)

        count += 1
        assert market.title == record["question"], path
        assert [token.token_id for token in market.tokens] == json.loads(record["clobTokenIds"])
        assert [token.outcome for token in market.tokens] == json.loads(record["outcomes"])
        if "orderPriceMinTickSize" in record:
            assert market.tick_size == Decimal(str(record["orderPriceMinTickSize"])) * MICRO
        schedule = record.get("feeSchedule") if record.get("feesEnabled") else None
        if schedule:
            assert market.fees.rate == Decimal(str(schedule["rate"])) * MICRO
            assert market.fees.exponent == schedule["exponent"]
    assert count >= 800


@pytest.mark.recorded
def test_recorded_compact_records_are_markets(recorded_data: Path) -> None:
    folder = recorded_data / "rest" / "trebuchet_fed_june"
    for record in json.loads((folder / "clob-markets.json").read_bytes()):
        market = market_of_details(parse_details(json.dumps(record).encode()), now_ms=1)

        assert market.tick_size == 1_000
        assert market.neg_risk
        assert market.fees == FeeSchedule(rate=50_000, exponent=1)


def test_a_62_digit_condition_is_padded_on_the_right() -> None:
    market = parsed(v2_row(3))

    assert market.condition_id == v2_row(3)["conditionId"] + "00"
    assert len(market.condition_id) == 66
    assert padded_condition("0x017791f201d5a788e0039e511fc1900e5f" + "0" * 28) == (
        "0x017791f201d5a788e0039e511fc1900e5f" + "0" * 30
    )


def test_the_version_and_not_the_presence_chooses_the_token_ids() -> None:
    both = row(1, positionIds=["4", "5"])

    assert [token.token_id for token in parsed(both).tokens] == json.loads(both["clobTokenIds"])
    assert [token.token_id for token in parsed({**both, "version": "v2"}).tokens] == ["4", "5"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "crypto"),
        ({"tags": None, "events": [{"slug": "e", "tags": [{"slug": "politics"}]}]}, "politics"),
        ({"tags": [{"label": "Pop Culture"}]}, "pop culture"),
        ({"tags": [], "feeType": "sports_fees_nfl_cfb_oct26"}, "sports"),
        ({"tags": None, "feeType": "finance_prices_fees"}, "finance_prices"),
        ({"tags": None, "feeType": "zero_fees"}, "unknown"),
        ({"tags": None, "feeType": None}, "unknown"),
    ],
)
def test_the_category_is_the_first_tag_then_the_fee_type(changes: dict[str, Any], expected: str) -> None:
    assert parsed(row(1, **changes)).category == expected


def test_a_market_without_an_event_is_its_own() -> None:
    market = parsed(row(1, events=None))

    assert market.event_slug == market.condition_id


@pytest.mark.parametrize("changes", [{"feesEnabled": False}, {"feeSchedule": None}])
def test_no_schedule_or_not_enabled_is_no_fee(changes: dict[str, Any]) -> None:
    assert parsed(row(1, **changes)).fees == NO_FEES


def test_seconds_of_delay_are_milliseconds_here() -> None:
    assert parsed(row(1, secondsDelay=3)).taker_delay_ms == 3_000


RESOLVED = {"closed": True, "umaResolutionStatus": "resolved", "outcomePrices": '["1", "0"]'}


@pytest.mark.parametrize(
    ("changes", "payouts"),
    [
        (RESOLVED, (MICRO, 0)),
        ({**RESOLVED, "umaResolutionStatus": None, "umaResolutionStatuses": '["proposed", "resolved"]'}, (MICRO, 0)),
        ({**RESOLVED, "umaResolutionStatus": "proposed"}, None),
        ({**RESOLVED, "umaResolutionStatus": None}, None),
        ({**RESOLVED, "closed": False}, None),
        ({**RESOLVED, "outcomePrices": '["0.9995", "0.0005"]'}, None),
        ({**RESOLVED, "outcomePrices": '["0.5", "0.5"]'}, None),
        ({**RESOLVED, "outcomePrices": '["1", "1"]'}, None),
        ({**RESOLVED, "outcomePrices": '["0", "0"]'}, None),
        ({**RESOLVED, "outcomePrices": None}, None),
    ],
)
def test_payouts_are_only_what_is_certain(changes: dict[str, Any], payouts: tuple[int, int] | None) -> None:
    assert parsed(row(1, **changes)).payouts == payouts


@pytest.mark.parametrize("gone", [{"active": False}, {"archived": True}, {"acceptingOrders": None}])
def test_a_market_out_of_trade_accepts_no_orders(gone: dict[str, Any]) -> None:
    assert not parsed(row(1, **gone)).accepting_orders


def test_a_market_without_a_tick_is_not_tradable() -> None:
    assert not parsed(row(1, orderPriceMinTickSize=None)).enable_order_book


@pytest.mark.parametrize(
    ("text", "millis"),
    [
        ("2026-10-05T23:15:00Z", 1_791_242_100_000),
        ("2026-10-05 23:15:00+00", 1_791_242_100_000),
        ("2026-10-05T23:15:00", 1_791_242_100_000),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_an_end_that_cannot_be_read_is_none(text: str | None, millis: int | None) -> None:
    assert parsed(row(1, endDate=text)).end_date_ms == millis


@pytest.mark.parametrize(
    "changes",
    [
        {"orderPriceMinTickSize": 0},
        {"orderPriceMinTickSize": 0.0000001},
        {"orderPriceMinTickSize": "Infinity"},
        {"orderMinSize": -5},
        {"feeSchedule": {"rate": "NaN", "exponent": 1}},
        {"feeSchedule": {"rate": 0.07, "exponent": "NaN"}},
        {"feeSchedule": {"rate": 0.07, "exponent": 0.5}},
        {"secondsDelay": -1},
        {"outcomes": '["Yes"]'},
        {"clobTokenIds": '["7", "7"]'},
        {"clobTokenIds": '["0x12", "7"]'},
        {"conditionId": "xyz"},
        {"version": "v3"},
    ],
)
def test_a_row_that_cannot_be_right_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parsed(row(1, **changes))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(row(1))), value=JSON)
def test_whatever_a_field_holds_a_row_is_a_market_or_refused(field: str, value: object) -> None:
    try:
        parsed({**row(1), field: value})
    except ValueError:
        return


@given(record=st.dictionaries(st.sampled_from(sorted(details(1))), JSON, max_size=9))
def test_whatever_a_record_holds_it_is_a_market_or_refused(record: dict[str, Any]) -> None:
    try:
        market_of_details(parse_details(msgspec.json.encode({**details(1), **record})), now_ms=1)
    except (NotAPageError, ValueError):
        return


@given(body=st.binary(max_size=60))
def test_whatever_a_page_is_it_is_read_or_refused(body: bytes) -> None:
    try:
        parse_page(body)
    except NotAPageError:
        return


def test_a_deeply_nested_body_is_refused() -> None:
    with pytest.raises(NotAPageError):
        parse_page(b"[" * 100_000)


def test_a_market_without_tokens_is_told_apart() -> None:
    with pytest.raises(NoTokensError):
        parsed(row(1, clobTokenIds=None))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id": "5308512", "liquidityNum": 18191.2606}, (5_308_512, 18_191)),
        ({"id": 7, "liquidityNum": "many"}, (None, 0)),
        ({"id": "x" * 9, "liquidityNum": -1}, (None, 0)),
        ({"id": None, "liquidityNum": 1e300}, (None, 0)),
    ],
)
def test_what_only_ranks_a_market_never_refuses_it(changes: dict[str, Any], expected: tuple[int | None, int]) -> None:
    listing = parse_listing(json.dumps(row(1, **changes)).encode(), now_ms=1)

    assert (listing.gamma_id, listing.liquidity_usdc) == expected


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        (b'{"markets": [{"id": 1}, <garbage>], "next_cursor": "MTAw"}', "MTAw"),
        (b'{"markets": [{"next_cursor":"not this"}, !], "next_cursor":"this"}', "this"),
        (b'{"markets": [{"id"', None),
        (b'{"next_cursor": ""}', None),
    ],
)
def test_a_broken_page_may_still_show_the_way_on(body: bytes, cursor: str | None) -> None:
    assert salvaged_cursor(body) == cursor
