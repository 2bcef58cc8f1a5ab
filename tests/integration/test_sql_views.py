"""What people see in SQL and in reports: the same numbers on both databases."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import Database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.reports import SqlReports
from copytrade.domain.attempts import AttemptStatus, Decision, Liquidity, Settlement, reason
from copytrade.domain.fills import Side, Source
from copytrade.ports.leader_fills import ChainConfirmed, Cursor, CursorScope, FillsSeen
from tests.ledger_facts import a_log, a_row, an_attempt, an_execution
from tests.ledgers import rows, sql_database
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_leader, a_market, micro

DAY_MS = 86_400_000
MIDNIGHT_MS = NOW_MS // DAY_MS * DAY_MS + DAY_MS


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = (
        f"sqlite:///{tmp_path}/ledger.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_database"))
    )
    schema.upgrade(database)
    return database


async def a_day_of_trading(database: Database) -> None:
    """A buy in two fills before midnight, a sell after it, a skip, an order without fills, and a stranger's token."""
    ledger = SqlLedger(database)
    await ledger.add_leader(a_leader(label="Ann"))
    await ledger.add_leader(a_leader(address=OTHER, label="Bob"))
    await ledger.save_markets([a_market()])
    logs = (
        a_log(1, tx_hash="0x01", fill_ts_ms=MIDNIGHT_MS - 4_000, detected_at_ms=MIDNIGHT_MS - 4_250),
        a_log(2, tx_hash="0x02", side=Side.SELL, fill_ts_ms=MIDNIGHT_MS, detected_at_ms=MIDNIGHT_MS + 1),
        a_log(3, tx_hash="0x03", number=200),
        a_log(4, tx_hash="0x04", leader=OTHER, token_id=NO),
        a_log(5, tx_hash="0x05", leader=OTHER, token_id="999", number=201),
    )
    cursor = Cursor(scope=CursorScope(), last_processed_block=210, proved_block=190)
    ingested = await ledger.ingest(FillsSeen(source=Source.POLYGON, sightings=logs, cursor=cursor), now_ms=NOW_MS)
    bought, sold, skipped, resting, _ = ingested.new
    await ledger.ingest(FillsSeen(source=Source.DATA_API, sightings=(a_row(tx_hash="0x03"),)), now_ms=NOW_MS)
    await ledger.confirm(ChainConfirmed(block_number=200, at_ms=NOW_MS))

    buy = an_attempt(bought, decided_at_ms=MIDNIGHT_MS - 4_100, size_shares_target=micro("100"))
    sell = an_attempt(sold, decided_at_ms=MIDNIGHT_MS + 2, created_at_ms=NOW_MS + 2)
    skip = an_attempt(
        skipped,
        decision=Decision.SKIP,
        status=AttemptStatus.SKIPPED,
        reasons=(reason("TOO_OLD", age_ms=31_000), reason("NO_BOOK")),
        created_at_ms=NOW_MS + 3,
    )
    idle = an_attempt(resting, created_at_ms=NOW_MS + 4)
    for attempt in (buy, sell, skip, idle):
        await ledger.record_attempt(attempt)
    await ledger.submit_attempt(buy.id, order_hash="0xb0", placed_at_ms=MIDNIGHT_MS - 3_950)
    await ledger.submit_attempt(sell.id, order_hash="0x50", placed_at_ms=MIDNIGHT_MS + 152)
    maker = {"liquidity": Liquidity.MAKER, "fee_usdc": 0}
    for execution in (
        an_execution(buy, trade="1", shares="33.333333", price=micro("0.51"), fill_at_ms=MIDNIGHT_MS - 3_900),
        an_execution(buy, trade="2", shares="66.666667", price=micro("0.49"), fill_at_ms=MIDNIGHT_MS - 1, **maker),
        an_execution(sell, trade="3", shares="40", price=micro("0.45"), fill_at_ms=MIDNIGHT_MS + 152),
        an_execution(sell, trade="4", shares="1", settlement=Settlement.FAILED, fill_at_ms=MIDNIGHT_MS + 153),
    ):
        await ledger.book_execution(execution)
    await ledger.close_attempt(
        sell.id, status=AttemptStatus.CANCELED, reason=reason("EXPIRED"), at_ms=MIDNIGHT_MS + 5_152
    )
    await ledger.note("FIGURES", {"tracked": 6, "hard_stale": 1}, at_ms=NOW_MS - 60_000)
    await ledger.note("STARTED", {"leaders": 2}, at_ms=NOW_MS)
    await ledger.note("FIGURES", {"tracked": 7, "hard_stale": 0}, at_ms=NOW_MS)
    await ledger.note("POLLING", {"wanted_ms": 3_000, "slowest": {LEADER: 4_100}}, at_ms=NOW_MS)


def plain(value: Any) -> Any:
    """Make the two drivers' values comparable: numbers as decimals, days and times as text."""
    if isinstance(value, float | int | Decimal):
        return Decimal(str(value + 0)).normalize()
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    return value.isoformat() if isinstance(value, date) else value


async def ask(database: Database, query: str) -> list[tuple[Any, ...]]:
    found = await database.read(partial(rows, query=query))
    return [tuple(plain(value) for value in row.values()) for row in found]


def decimals(*values: str | int | None) -> tuple[Any, ...]:
    return tuple(value if value is None else Decimal(value).normalize() for value in values)


async def test_trade_tells_who_did_what_where(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)

        found = await ask(
            database,
            "SELECT tx_hash, leader_address, leader_label, title, outcome, category, side, role, source FROM trade "
            "ORDER BY tx_hash",
        )
        numbers = await ask(
            database, "SELECT price, size, usdc, fee, detect_ms, confirmed, orphaned FROM trade ORDER BY tx_hash"
        )

    market = ("Will it rain in Paris?", "Yes", "weather")
    assert found[1] == ("0x02", LEADER, "Ann", *market, "SELL", "taker", "polygon")
    assert found[3][:5] == ("0x04", OTHER, "Bob", "Will it rain in Paris?", "No")
    assert found[4][3:6] == (None, None, None)
    assert numbers[0] == decimals("0.5", 100, 50, 0, -250, 1, 0)
    assert numbers[4] == decimals("0.5", 100, 50, 0, 800, 0, 0)


async def test_attempt_summary_has_every_price_and_latency(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)

        money = await ask(
            database,
            "SELECT leader_price, leader_size, filled_shares, avg_fill_price, fee_usdc, realized_pnl_usdc, "
            "slippage, slippage_bps FROM attempt_summary ORDER BY created_at",
        )
        times = await ask(
            database,
            "SELECT detect_ms, decide_ms, place_ms, first_fill_ms, done_ms, total_ms FROM attempt_summary "
            "ORDER BY created_at",
        )

    assert money == [
        decimals("0.5", 100, 100, "0.496667", "0.25", 0, "-0.003333", "-66.67"),
        decimals("0.5", 100, 40, "0.45", "0.25", "-1.866666", "0.05", 1000),
        decimals("0.5", 100, 0, None, 0, 0, None, None),
        decimals("0.5", 100, 0, None, 0, 0, None, None),
    ]
    assert times[0] == decimals(-250, 150, 150, 50, 3_949, 100)
    assert times[1] == decimals(1, 1, 150, 0, 5_000, 152)
    assert times[2][2:] == (None,) * 4


async def test_pnl_by_leader_adds_up_to_the_positions(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)

        found = await ask(
            database,
            "SELECT leader_label, attempts, trades, skips, filled_shares, filled_usdc, bought_usdc, sold_usdc, "
            "fees_usdc, realized_pnl_usdc, net_pnl_usdc FROM pnl_by_leader ORDER BY leader_label",
        )
        (position,) = await SqlLedger(database).positions()

    assert found == [
        ("Ann", *decimals(3, 2, 1, 140, "67.666667", "49.666667", 18, "0.5", "-1.866666", "-2.366666")),
        ("Bob", *decimals(1, 1, 0, 0, 0, 0, 0, 0, 0, 0)),
    ]
    assert position.realized_pnl_usdc == micro("-1.866666")
    assert (position.shares, position.cost_usdc) == (micro("60"), micro("29.800001"))
    assert position.fees_usdc == micro("0.5")


async def test_pnl_by_day_is_cut_at_midnight_utc(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)

        found = await ask(
            database,
            "SELECT day, strategy_id, account_id, fills, bought_usdc, sold_usdc, fees_usdc, realized_pnl_usdc, "
            "net_pnl_usdc FROM pnl_by_day ORDER BY day",
        )

    first = datetime.fromtimestamp(MIDNIGHT_MS / 1000 - 1, tz=UTC).date().isoformat()
    second = datetime.fromtimestamp(MIDNIGHT_MS / 1000, tz=UTC).date().isoformat()
    assert found == [
        (first, "copy", "paper", *decimals(2, "49.666667", 0, "0.25", 0, "-0.25")),
        (second, "copy", "paper", *decimals(1, 0, 18, "0.25", "-1.866666", "-2.116666")),
    ]


async def test_dividing_columns_keeps_the_fraction(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)

        found = await ask(
            database,
            "SELECT leader_usdc / leader_size AS price, leader_size / 3 > 33.3 AS is_exact FROM leader_fill LIMIT 1",
        )

    assert found == [decimals("0.5", 1)]


async def test_payloads_and_reasons_are_readable(url: str) -> None:
    payload = '{ "b" : 1.50, "a" : [ null ],  "b" : "\\u0000" }'
    async with sql_database(url) as database:
        await a_day_of_trading(database)
        log = a_log(9, tx_hash="0x09")
        seen = FillsSeen(source=Source.POLYGON, sightings=(type(log)(**{**fields(log), "payload": payload}),))
        await SqlLedger(database).ingest(seen, now_ms=NOW_MS)

        kept = await ask(database, "SELECT CAST(payload AS text) FROM leader_fill_raw WHERE source_key LIKE '%0x09%'")
        why = await ask(database, "SELECT CAST(decision_reason AS text) FROM execution_attempt WHERE decision = 'SKIP'")
        ids = await ask(database, "SELECT CAST(id AS text) FROM leader_fill")

    assert kept == [(payload,)]
    assert json.loads(why[0][0]) == [{"code": "TOO_OLD", "age_ms": "31000"}, {"code": "NO_BOOK"}]
    assert {len(text) for (text,) in ids} == {36}


def fields(sighting: Any) -> dict[str, Any]:
    return {name: getattr(sighting, name) for name in ("fill", "source_key", "payload")}


# Reports


async def test_status_counts_everything(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)

        status = await SqlReports(database).status(now_ms=NOW_MS + 500)

    json.dumps(status)
    assert status["leaders"] == {"enabled": 2, "disabled": 0}
    assert status["fills"] == {"stored": 5, "confirmed": 4, "orphaned": 0, "undecided": 1}
    assert status["fills_by_first_source"] == {"polygon": 5}
    assert status["reports_by_source"] == {"data_api": 1, "polygon": 5}
    assert status["attempts_by_decision"] == {"SKIP": 1, "TRADE": 3}
    assert status["attempts_by_status"] == {"CANCELED": 1, "FILLED": 1, "PENDING": 1, "SKIPPED": 1}
    assert status["reasons"] == {"EXPIRED": 1, "NO_BOOK": 1, "OK": 3, "TOO_OLD": 1}
    assert status["open_positions"] == 1
    (cursor,) = status["cursors"]
    assert (cursor["last_processed_block"], cursor["unproved_blocks"], cursor["moved_ms_ago"]) == (210, 20, 500)
    assert status["registry"]["markets"] == 1
    assert [(event["code"], event["detail"]) for event in status["events"]] == [("STARTED", {"leaders": 2})]
    assert (status["books"]["tracked"], status["books"]["hard_stale"]) == (7, 0)
    assert (status["polling"]["wanted_ms"], status["polling"]["slowest"]) == (3_000, {LEADER: 4_100})


async def test_status_of_an_empty_ledger_is_zeros(url: str) -> None:
    async with sql_database(url) as database:
        status = await SqlReports(database).status(now_ms=NOW_MS)

    assert status["fills"] == {"stored": 0, "confirmed": 0, "orphaned": 0, "undecided": 0}
    assert (status["reasons"], status["cursors"], status["registry"]["updated_at"]) == ({}, [], None)
    assert (status["books"], status["polling"]) == ({}, {})


async def test_attempts_are_listed_newest_first_and_by_leader_and_status(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)
        reports = SqlReports(database)

        everything = await reports.attempts(limit=10)
        of_ann = await reports.attempts(limit=10, leader="Ann")
        of_bob = await reports.attempts(limit=10, leader=OTHER.upper().replace("0X", "0x"))
        filled = await reports.attempts(limit=10, status="filled")
        last = await reports.attempts(limit=1)

    json.dumps(everything)
    assert [row["status"] for row in everything] == ["PENDING", "SKIPPED", "CANCELED", "FILLED"]
    assert ([row["status"] for row in of_ann], [row["status"] for row in of_bob]) == (
        ["SKIPPED", "CANCELED", "FILLED"],
        ["PENDING"],
    )
    assert last == everything[:1]
    (buy,) = filled
    assert (buy["avg_fill_price"], buy["slippage_bps"], buy["total_ms"]) == ("0.496667", "-66.67", 100)
    assert buy["decision_reason"] == [{"code": "OK", "slippage_bps": "300", "touch": "0.51"}]
    assert buy["first_fill_at"].endswith("T23:59:56.100Z")


async def test_positions_trades_and_pnl_are_plain_rows(url: str) -> None:
    async with sql_database(url) as database:
        await a_day_of_trading(database)
        reports = SqlReports(database)

        found = [
            await reports.positions(),
            await reports.trades(limit=2),
            await reports.trades(limit=9, leader="Bob"),
            await reports.pnl_by_leader(),
            await reports.pnl_by_day(),
        ]

    json.dumps(found)
    positions, newest, of_bob, by_leader, by_day = found
    assert [(row["token_id"], row["outcome"], row["shares"], row["realized_pnl_usdc"]) for row in positions] == [
        (YES, "Yes", "60.00", "-1.866666")
    ]
    assert [row["tx_hash"] for row in newest] == ["0x02", "0x01"]
    assert (newest[0]["confirmed"], newest[0]["orphaned"], newest[0]["detect_ms"]) == (True, False, 1)
    assert len(of_bob) == 2
    assert [(row["leader_label"], row["net_pnl_usdc"]) for row in by_leader] == [("Bob", "0.00"), ("Ann", "-2.366666")]
    assert [row["net_pnl_usdc"] for row in by_day] == ["-2.116666", "-0.25"]
