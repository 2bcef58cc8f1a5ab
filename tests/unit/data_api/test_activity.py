"""What a wallet did other than trade, as the Data API tells it: every row once, none invented."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from copytrade.adapters.data_api.activity import DataApiActivity
from copytrade.adapters.data_api.activity_decode import parse_event, parse_holding
from copytrade.adapters.data_api.decode import parse_page
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.domain.leader_events import LeaderEventKind
from copytrade.ports.leader_events import ActivityUnavailableError
from tests.makers import LEADER, NOW_MS, OTHER, micro
from tests.unit.data_api.fake_api import NOW_S, TOKEN, FakeApi, tx
from tests.virtual_time import VirtualClock, run_virtual

CONDITION = "0x" + "c0" * 32
CASH = ("REWARD", "MAKER_REBATE", "TAKER_REBATE", "YIELD", "REFERRAL_REWARD", "TIP", "TRADE")


def a_row(**changes: Any) -> dict[str, Any]:
    row = {
        "proxy_wallet": LEADER,
        "type": "MERGE",
        "side": "",
        "token_id": "",
        "condition_id": CONDITION,
        "size": 10.5,
        "usdc_size": 10.5,
        "price": 0,
        "timestamp": NOW_S,
        "outcome_index": 999,
        "transaction_hash": tx(1),
    }
    return row | changes


def parsed(row: dict[str, Any]) -> Any:
    """Parse a row as it comes off the wire: numbers are decimals."""
    page = parse_page(json.dumps({"data": [row]}).encode())
    return parse_event(page.rows[0], LEADER, detected_at_ms=NOW_MS)


def test_a_row_becomes_an_event_with_its_numbers_exact() -> None:
    event = parsed(a_row(size=10980911.728675, type="REDEEM")).event

    assert event.kind is LeaderEventKind.REDEEM
    assert event.shares == 10_980_911_728_675
    assert (event.condition_id, event.token_id, event.event_ts_ms) == (CONDITION, None, NOW_MS // 1000 * 1000)
    assert '"size":10980911.728675' in event.payload


@pytest.mark.parametrize("kind", CASH)
def test_money_and_trades_are_no_events(kind: str) -> None:
    assert parsed(a_row(type=kind, condition_id="")) is None


@pytest.mark.parametrize("kind", ["DEPOSIT", "WITHDRAWAL"])
def test_a_transfer_of_cash_is_no_event_and_one_of_shares_is(kind: str) -> None:
    assert parsed(a_row(type=kind, condition_id="")) is None
    assert parsed(a_row(type=kind, token_id=TOKEN)).event.token_id == TOKEN


def test_a_condition_of_62_digits_is_the_one_of_64() -> None:
    assert parsed(a_row(condition_id="0x" + "C1" * 31)).event.condition_id == "0x" + "c1" * 31 + "00"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "TELEPORT"}, "type"),
        ({"type": "SNAPSHOT"}, "type"),
        ({"type": ["MERGE"]}, "type"),
        ({"proxy_wallet": OTHER}, "another-wallet"),
        ({"condition_id": ""}, "condition"),
        ({"condition_id": "0x12"}, "condition"),
        ({"token_id": "abc"}, "token"),
        ({"size": "10"}, "size"),
        ({"size": -1}, "size"),
        ({"size": True}, "size"),
        ({"size": 1e30}, "size"),
        ({"usdc_size": None}, "usdc-size"),
        ({"timestamp": 5}, "timestamp"),
        ({"transaction_hash": ""}, "transaction-hash"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        parsed(a_row(**changes))


def test_a_position_is_a_token_and_its_shares() -> None:
    page = parse_page(json.dumps({"data": [a_row(token_id=TOKEN, current_size=0.05)]}).encode())

    assert parse_holding(page.rows[0], LEADER) == (TOKEN, micro("0.05"))
    with pytest.raises(MalformedError, match="token"):
        parse_holding(a_row(current_size=1), LEADER)


Noted = list[tuple[str, Mapping[str, object]]]


def asking(api: FakeApi, ask: Callable[[DataApiActivity], Any]) -> tuple[list[Any], Noted]:
    """Ask twice, as two polls would; return both answers and what was noted."""
    noted: Noted = []

    async def main() -> list[Any]:
        async with httpx.AsyncClient(transport=api.transport()) as http:
            activity = DataApiActivity(
                url="https://api.test",
                http=http,
                clock=VirtualClock(),
                note=lambda code, what: noted.append((code, what)),
            )
            return [await ask(activity), await ask(activity)]

    return run_virtual(main, epoch_ms=NOW_MS), noted


def events_since(since_ms: int) -> Callable[[DataApiActivity], Any]:
    return lambda activity: activity.events(LEADER, since_ms=since_ms)


def test_equal_rows_are_different_events_and_the_same_ones_at_every_poll() -> None:
    api = FakeApi(rows=[a_row(), a_row(), a_row(transaction_hash=tx(2)), a_row(size=3)], page_rows=3)

    (first, second), _ = asking(api, events_since(NOW_MS - 60_000))

    assert len({event.dedupe_key for event in first}) == 4
    assert Counter(event.dedupe_key for event in first) == Counter(event.dedupe_key for event in second)


def test_every_page_is_read_and_each_request_is_unlike_the_last() -> None:
    api = FakeApi(rows=[a_row(transaction_hash=tx(at), timestamp=NOW_S - at) for at in range(7)], page_rows=2)

    (events, _), _ = asking(api, events_since(NOW_MS - 60_000))

    assert len(events) == 7
    assert api.requests[0].path == "/v2/activity"
    assert api.requests[0].params["type"] == "SPLIT,MERGE,REDEEM,CONVERSION,MIGRATION,DEPOSIT,WITHDRAWAL"
    assert len({str(url) for url in api.requests}) == len(api.requests)


def test_a_refused_row_is_told_once_and_the_others_are_kept() -> None:
    api = FakeApi(rows=[a_row(type="TELEPORT"), a_row()])

    (events, _), noted = asking(api, events_since(NOW_MS - 60_000))

    assert len(events) == 1
    assert [(code, detail["reason"]) for code, detail in noted] == [("QUARANTINED", "activity-type")]


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(500), httpx.Response(429), httpx.Response(200, text="<html>"), httpx.Response(400, text="{}")],
    ids=lambda answer: str(answer.status_code),
)
def test_no_answer_is_no_knowledge(answer: httpx.Response) -> None:
    api = FakeApi(faults=lambda _: httpx.Response(answer.status_code, text=answer.text))

    with pytest.raises(ActivityUnavailableError, match=r"api\.test"):
        asking(api, events_since(NOW_MS))


def test_a_listing_that_cannot_be_read_whole_is_none() -> None:
    rows = [a_row(token_id=TOKEN, current_size=1), a_row(current_size=1)]
    api = FakeApi(faults=lambda _: httpx.Response(200, text=json.dumps({"data": rows})))

    with pytest.raises(ActivityUnavailableError, match="token"):
        asking(api, lambda activity: activity.holdings(LEADER))


def test_a_listing_is_asked_for_without_the_dust_floor() -> None:
    rows = [a_row(token_id=TOKEN, current_size=12.25)]
    api = FakeApi(faults=lambda _: httpx.Response(200, text=json.dumps({"data": rows})))

    (held, _), _ = asking(api, lambda activity: activity.holdings(LEADER))

    assert held == {TOKEN: micro("12.25")}
    assert api.requests[0].params["filter_amount"] == "0"


NAMES = {"usdcSize": "usdc_size", "conditionId": "condition_id", "transactionHash": "transaction_hash"}


def recorded_rows(folder: Path) -> list[dict[str, Any]]:
    """Return recorded activity rows of version 1 under the names of version 2."""
    found = [path for path in sorted((folder / "rest").rglob("*activity*")) if path.is_file()]
    rows: list[dict[str, Any]] = []
    for path in found:
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows += parse_page(b'{"data":' + text + b"}").rows
    named = {**NAMES, "proxyWallet": "proxy_wallet", "asset": "token_id", "outcomeIndex": "outcome_index"}
    return [{named.get(key, key): value for key, value in row.items()} for row in rows if "type" in row]


@pytest.mark.recorded
def test_every_recorded_row_is_understood(recorded_data: Path) -> None:
    rows = recorded_rows(recorded_data)
    seen: Counter[str] = Counter()

    for row in rows:
        event = parse_event(row, str(row["proxy_wallet"]).lower(), detected_at_ms=NOW_MS)
        assert (event is not None) is (row["type"] == "REDEEM"), row["type"]
        seen[row["type"]] += 1
        if event is not None:
            assert event.event.token_id is None
            assert event.event.condition_id == row["condition_id"]

    assert seen["REDEEM"] >= 80
    assert seen["TRADE"] >= 200
