"""PnL by leader, market, category and day adds up to the account's; what waits is shown; migrations keep it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import Database, open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.reports import SqlReports
from copytrade.domain.fills import Side
from copytrade.domain.money import EquityPoint, valuation
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import parse_micro
from tests.ledger_facts import an_execution
from tests.ledgers import rows, sql_database
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_market, micro
from tests.money_facts import an_order, bought

DAY_MS = 86_400_000
SECOND = "0x" + "c1" * 32
THIRD = "0x" + "c2" * 32


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "postgres":
        database = str(request.getfixturevalue("postgres_database"))
    schema.upgrade(database)
    return database


def named(prefix: str, condition_id: str, **changes: Any) -> Any:
    """A market like any, with tokens of its own."""
    market = a_market(condition_id=condition_id, slug=f"{prefix}-market", title=f"Market {prefix}", **changes)
    return replace(market, tokens=tuple(replace(one, token_id=prefix + one.token_id) for one in market.tokens))


async def some_days(ledger: SqlLedger) -> None:
    """Two leaders in one market, resolved; another that waits for its payouts; one disputed; one of no market."""
    await ledger.save_markets([a_market(), named("7", SECOND, category="sport", closed=True)])
    await ledger.save_markets([named("8", THIRD, category="sport", resolution_status="disputed")])
    await ledger.fund_account("copy", "paper", start_cash=micro("1000"), now_ms=NOW_MS)
    await bought(ledger, "01", shares="33.333333", price="0.423457")
    await bought(ledger, "02", shares="66.666667", price="0.7", leader=OTHER)
    await bought(ledger, "03", token_id=NO, shares="10", price="0.3", leader=OTHER)
    await bought(ledger, "04", token_id="7" + YES, shares="11", price="0.9")
    await bought(ledger, "05", token_id="8" + NO, shares="12", price="0.5")
    await bought(ledger, "06", token_id="999", shares="13", price="0.25")
    sell = await an_order(ledger, "07", side=Side.SELL, leader=OTHER)
    await ledger.book_execution(an_execution(sell, trade="s", shares="40", price=micro("0.654321")))
    await ledger.close_attempt(sell.id, status="CANCELED", reason=None, at_ms=NOW_MS)
    await ledger.settle(told(NOW_MS + DAY_MS))


def told(at_ms: int) -> Resolution:
    return Resolution(
        condition_id=a_market().condition_id,
        payouts=(micro("0.654321"), micro("0.345679")),
        source=ResolutionSource.CHAIN,
        at_ms=at_ms,
    )


def total(found: Iterable[dict[str, Any]], column: str) -> int:
    return sum(parse_micro(row[column]) for row in found)


async def test_every_way_to_cut_the_pnl_adds_up_to_the_positions_to_the_micro_unit(url: str) -> None:
    async with sql_database(url) as database:
        await some_days(SqlLedger(database))
        reports = SqlReports(database)
        positions = await SqlLedger(database).positions()
        cuts = [
            await reports.pnl_by_leader(),
            await reports.pnl_by_day(),
            await reports.pnl_by_market(),
            await reports.pnl_by_category(),
            await reports.accounts(),
        ]

    realized = sum(one.realized_pnl_usdc for one in positions)
    fees = sum(one.fees_usdc for one in positions)
    assert realized
    assert fees
    for cut in cuts:
        assert total(cut, "realized_pnl_usdc") == realized
        assert total(cut, "fees_usdc") == fees
        assert total(cut, "net_pnl_usdc") == realized - fees
    by_leader, by_day, by_market, by_category, (account,) = cuts
    cost = sum(one.cost_usdc for one in positions)
    assert total(by_market, "cost_usdc") == total(by_category, "cost_usdc") == cost
    assert parse_micro(account["exposure_usdc"]) == cost
    assert parse_micro(account["cash_usdc"]) == micro("1000") + realized - fees - cost
    assert total(by_leader, "settled_usdc") == total(by_day, "settled_usdc") > 0
    assert {row["leader_address"] for row in by_leader if row["settled_usdc"] != "0.00"} == {LEADER, OTHER}
    assert [(row["fills"], row["settlements"]) for row in by_day] == [(0, 2), (7, 0)]
    assert {row["category"] for row in by_category} == {"weather", "sport", "unknown"}


async def test_what_an_open_position_waits_for_is_shown(url: str) -> None:
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        await some_days(ledger)
        positions = [one for one in await ledger.positions() if one.shares]
        marks = {"7" + YES: micro("0.95"), "8" + NO: None}
        point = EquityPoint(account_id="paper", at_ms=NOW_MS, valuation=valuation(micro("1"), positions, marks.get))
        await ledger.add_equity_point(point, marks)
        reports = SqlReports(database)
        shown = {row["token_id"]: row for row in await reports.positions()}
        status = await reports.status(now_ms=NOW_MS)
        (account,) = await reports.accounts()

    assert {token: row["state"] for token, row in shown.items()} == {
        YES: "closed",
        NO: "closed",
        "7" + YES: "awaiting payouts",
        "8" + NO: "disputed",
        "999": "unmapped",
    }
    assert status["positions_by_state"] == {"awaiting payouts": 1, "disputed": 1, "unmapped": 1}
    marked, unmarked = shown["7" + YES], shown["8" + NO]
    assert (marked["mark"], marked["value_usdc"], marked["unrealized_pnl_usdc"]) == ("0.95", "10.45", "0.55")
    assert (unmarked["mark"], unmarked["value_usdc"], unmarked["unrealized_pnl_usdc"]) == (None, None, None)
    assert (account["last_valued"]["marked_value_usdc"], account["last_valued"]["unmarked_positions"]) == ("10.45", 2)


async def test_a_schema_from_before_money_is_brought_up_with_its_cash_and_back(url: str) -> None:
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        await some_days(ledger)
        settled = await ledger.positions()

    schema.downgrade(url, to=BEFORE_MONEY)
    async with open_database(url) as database:
        before = {row["token_id"]: row["shares"] for row in await database.read(partial(rows, query=POSITIONS))}
    assert float(before[YES]) == 60
    schema.upgrade(url)

    async with sql_database(url, empty=False) as database:
        ledger = SqlLedger(database)
        (balance,) = await ledger.balances()
        positions = await ledger.positions()
        moved = sum(one.realized_pnl_usdc - one.fees_usdc - one.cost_usdc for one in positions)
        assert (balance.start_cash_usdc, balance.cash_usdc) == (0, moved)
        await ledger.settle(told(NOW_MS + DAY_MS))
        assert await ledger.positions() == settled


BEFORE_MONEY = "0008"
POSITIONS = "SELECT token_id, shares FROM position"


async def test_the_plain_views_answer_on_both_databases(url: str) -> None:
    async with sql_database(url) as database:
        await some_days(SqlLedger(database))
        found = {view: await count(database, view) for view in ("pnl_by_market", "pnl_by_category", "account_money")}

    assert found == {"pnl_by_market": 4, "pnl_by_category": 3, "account_money": 1}


async def count(database: Database, view: str) -> int:
    return len(await database.read(partial(rows, query=f"SELECT * FROM {view}")))
