"""What an account paid and received, as the Data API tells it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from copytrade.adapters.data_api.history import DataApiHistories
from copytrade.ports.histories import HistoryUnavailableError
from tests.makers import LEADER, NOW_MS, OTHER, micro
from tests.unit.data_api.fake_api import NOW_S, TOKEN
from tests.virtual_time import VirtualClock, run_virtual

Answers = dict[str, Sequence[Any]]


def a_row(**changes: Any) -> dict[str, Any]:
    row = {
        "proxy_wallet": LEADER,
        "type": "TRADE",
        "side": "BUY",
        "token_id": TOKEN,
        "condition_id": "0x" + "c0" * 32,
        "event_slug": "rain",
        "size": 10,
        "price": 0.5,
        "usdc_size": 5.1,
        "timestamp": NOW_S,
        "current_size": 10,
        "current_price": 0.7,
    }
    return row | changes


def asking(answers: Answers, ask: Callable[[DataApiHistories], Any], *, page_rows: int = 1_000) -> Any:
    def respond(request: httpx.Request) -> httpx.Response:
        path = request.url.path + ("?taken" if request.url.params.get("taker_only") == "true" else "")
        rows, start = answers.get(path, []), int(request.url.params.get("cursor", 0))
        cursor = str(start + page_rows) if start + page_rows < len(rows) else None
        page = {"data": rows[start : start + page_rows], "pagination": {"next_cursor": cursor}}
        return httpx.Response(200, text=json.dumps(page))

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            return await ask(DataApiHistories(url="https://api.test", http=http, clock=VirtualClock()))

    return run_virtual(main, epoch_ms=NOW_MS)


def history(api: DataApiHistories) -> Any:
    return api.history(LEADER, since_ms=NOW_MS - 86_400_000)


def test_trades_and_other_events_become_cash_with_the_fee_where_it_is_told() -> None:
    rows = [
        a_row(),
        a_row(side="SELL", usdc_size=2, size=4, timestamp=NOW_S + 1),
        *(a_row(type=kind, side="", token_id="", usdc_size=3, timestamp=NOW_S + 2) for kind in ("REDEEM", "MERGE")),
        a_row(type="SPLIT", side="", token_id="", usdc_size=1, timestamp=NOW_S + 3),
    ]

    found = asking({"/v2/activity": rows, "/v2/positions": [a_row()]}, history)

    assert [flow.cash for flow in found.flows] == [micro(text) for text in ("-5.1", "2", "3", "3", "-1")]
    assert [flow.shares for flow in found.flows] == [micro("10"), micro("-4"), 0, 0, 0]
    assert {flow.event for flow in found.flows} == {"rain"}
    assert [(one.event, one.shares, one.value) for one in found.holdings] == [("rain", micro("10"), micro("7"))]


def test_what_was_not_taken_rested() -> None:
    answers = {"/v2/activity": [a_row(), a_row(size=30)], "/v2/trades?taken": [a_row()]}

    found = asking(answers, history)

    assert (found.trade_usdc, found.maker_usdc) == (micro("20"), micro("15"))


def test_every_page_is_read_and_a_history_beyond_the_bound_is_said_to_be_cut() -> None:
    rows = [a_row(timestamp=NOW_S - at) for at in range(60)]

    whole = asking({"/v2/activity": rows}, history, page_rows=20)
    cut = asking({"/v2/activity": rows}, history, page_rows=2)

    assert (len(whole.flows), whole.is_cut) == (60, False)
    assert (len(cut.flows), cut.is_cut) == (50, True)
    assert cut.flows[-1].at_ms == NOW_S * 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"usdc_size": "5"},
        {"type": "TELEPORT"},
        {"side": "HOLD"},
        {"timestamp": 5},
        {"proxy_wallet": OTHER},
        {"size": None},
        {"event_slug": 7},
    ],
)
def test_a_row_that_makes_no_sense_is_an_error_for_it_may_hide_a_loss(changes: dict[str, Any]) -> None:
    with pytest.raises(HistoryUnavailableError, match="makes no sense"):
        asking({"/v2/activity": [a_row(**changes)]}, history)


def test_the_table_of_the_best_is_read_under_either_name_of_the_wallet() -> None:
    rows = [
        {"rank": 1, "user_id": LEADER.upper().replace("0X", "0x"), "user_name": "bob", "pnl": -12.5},
        {"rank": "2", "proxy_wallet": OTHER, "user_name": None, "pnl": 3},
    ]

    found = asking({"/v2/leaderboard": rows}, lambda api: api.leaderboard(period="month", category="", limit=2))

    assert [(one.address, one.name, one.pnl) for one in found] == [
        (LEADER, "bob", micro("-12.5")),
        (OTHER, "", micro("3")),
    ]
    with pytest.raises(HistoryUnavailableError):
        asking({"/v2/leaderboard": [{"pnl": 1}]}, lambda api: api.leaderboard(period="month", category="", limit=2))


def test_a_venue_that_does_not_answer_is_named() -> None:
    async def main() -> None:
        refusing = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
        async with httpx.AsyncClient(transport=refusing) as http:
            await history(DataApiHistories(url="https://api.test", http=http, clock=VirtualClock()))

    with pytest.raises(HistoryUnavailableError, match=r"data_api: api\.test: answered a web page"):
        run_virtual(main, epoch_ms=NOW_MS)
