"""With 50,000 stored fills on PostgreSQL a start and the lists find their rows by index: the planner says so."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from benchmarks import many_fills
from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.sql.reports import SqlReports
from copytrade.adapters.sql.statistics import SqlStatistics
from copytrade.domain.exposure import Exposure
from copytrade.engine.at_stake import AtStake
from copytrade.engine.portfolio import Portfolio
from copytrade.engine.stake_keeping import StakeKeeping
from tests.makers import NOW_MS
from tests.statements import heard
from tests.still_clock import StillClock

FILLS = 50_000
DAY_MS = 86_400_000
LATER_MS = NOW_MS + 3 * DAY_MS
OWNER = ("copy", "paper")
READS = ("SELECT", "WITH")
BIG = ("leader_fill_raw", "leader_fill", "execution_attempt", "execution_fill")
RACE = "anon_1.first_source"
"""Part of the one statement that asks for the newest 10,000 fills: of 50,000 they are too many for an index."""
WHOLE_TABLE = re.compile(rf"Seq Scan on ({'|'.join(BIG)})\b")
Ask = Callable[[SqlLedger, SqlReports, SqlStatistics], Awaitable[Any]]

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]


async def load_portfolio(ledger: SqlLedger, _reports: SqlReports, _statistics: SqlStatistics) -> None:
    """Read at a start what is held and open."""
    await Portfolio(strategy_id=OWNER[0], account_id=OWNER[1]).load(ledger)


async def load_at_stake(ledger: SqlLedger, _reports: SqlReports, _statistics: SqlStatistics) -> None:
    """Count at a start what is at stake, after the last day's history has been kept."""
    stake = AtStake(strategy_id=OWNER[0], account_id=OWNER[1], exposure=Exposure())
    await stake.load(ledger, day_started_ms=LATER_MS, results_since_ms=LATER_MS, entries_since_ms=LATER_MS)


ASKED: dict[str, Ask] = {
    "start: positions and open orders": load_portfolio,
    "start: at stake": load_at_stake,
    "start: fills to decide": lambda ledger, *_: ledger.undecided(limit=1_000),
    "start: what was decided last": lambda ledger, *_: ledger.decided_since(
        NOW_MS - 60_000, strategy_id=OWNER[0], account_id=OWNER[1]
    ),
    "start: tokens to track": lambda ledger, *_: ledger.recent_tokens(since_ms=NOW_MS - 3_600_000),
    "attempts": lambda _, reports, __: reports.attempts(limit=20),
    "trades": lambda _, reports, __: reports.trades(limit=20),
    "positions": lambda _, reports, __: reports.positions(),
    "stats of five minutes": lambda *asked: asked[2].figures(now_ms=NOW_MS, since_ms=NOW_MS - 300_000),
    "a day's summary": lambda ledger, *_: ledger.day_figures(*OWNER, from_ms=NOW_MS, to_ms=NOW_MS + DAY_MS),
}


async def test_a_start_and_the_lists_read_no_big_table_from_end_to_end(postgres_database: str) -> None:
    await filled(postgres_database)
    scanned: dict[str, list[str]] = {}
    async with open_database(postgres_database) as database:
        ledger, reports, statistics = SqlLedger(database), SqlReports(database), SqlStatistics(database)
        for what, ask in ASKED.items():
            statements: dict[str, Any] = {}
            with heard(lambda _, sql, values, heard_of=statements: heard_of.setdefault(sql, values)):
                await ask(ledger, reports, statistics)
            reads = {sql: values for sql, values in statements.items() if sql.startswith(READS) and RACE not in sql}
            plans = [await database.read(partial(plan, sql=sql, parameters=values)) for sql, values in reads.items()]
            assert plans, f"nothing was asked for {what}"
            scanned[what] = [one for one in plans if WHOLE_TABLE.search(one)]
        kept = {one.token_id: one.ordinal for one in await ledger.kept_stakes(*OWNER, since_ms=LATER_MS)}
        whole = await ledger.copied_moves(*OWNER, since_ms=LATER_MS)
        rest = await ledger.copied_moves(*OWNER, since_ms=LATER_MS, after=kept)

    assert {what: plans for what, plans in scanned.items() if plans} == {}
    assert len(whole) > FILLS // 2
    assert rest == ()


async def test_a_whole_table_would_be_noticed(postgres_database: str) -> None:
    schema.upgrade(postgres_database)
    async with open_database(postgres_database) as database:
        read = partial(plan, sql="SELECT count(*) FROM leader_fill WHERE leader_fee > 0", parameters={})
        found = await database.read(read)

    assert WHOLE_TABLE.search(found)


async def filled(url: str) -> None:
    """Store very many fills, and keep what a worker keeps in days; few moves a token are not too few here."""
    schema.upgrade(url)
    await many_fills.store(url, FILLS, tell=lambda _: None)
    portfolio = Portfolio(strategy_id=OWNER[0], account_id=OWNER[1])
    async with open_database(url) as database:
        ledger = SqlLedger(database)
        await portfolio.load(ledger)
        await StakeKeeping(ledger, portfolio=portfolio, clock=StillClock(LATER_MS), moves_min=1).keep()


def plan(connection: Connection, *, sql: str, parameters: Any) -> str:
    """Return how PostgreSQL goes about a statement, with the statement."""
    steps = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", parameters))
    return f"{sql}\n{steps}"
