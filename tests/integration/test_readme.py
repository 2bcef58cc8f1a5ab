"""What the documents tell people to type works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from copytrade.adapters.sql import engine, schema
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.domain.attempts import (
    AttemptStatus,
    Decision,
    ExecutionAttempt,
    ExecutionFill,
    ExecutionMode,
    Liquidity,
    Settlement,
    reason,
)
from copytrade.domain.fills import Side, Source
from copytrade.domain.ids import attempt_id, execution_fill_id
from copytrade.domain.money import EquityPoint, valuation
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from copytrade.ports.leader_fills import FillsSeen
from tests.makers import NOW_MS, a_fill, a_leader, a_market, a_sighting, micro

ROOT = Path(__file__).parents[2]
STATEMENTS = re.findall(r"```sql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path / 'readme.db'}"


async def test_the_statements_of_the_readme_find_a_copied_fill(database_url: str) -> None:
    schema.upgrade(database_url)
    async with engine.open_database(database_url) as database:
        await _copy_one_fill(SqlLedger(database))
        await _settle_it(SqlLedger(database))

    assert len(STATEMENTS) == 8
    connection = create_engine(make_url(database_url)).connect()
    with connection:
        for statement in STATEMENTS:
            assert len(connection.execute(text(statement)).fetchall()) == 1, statement
    connection.engine.dispose()


async def _settle_it(ledger: SqlLedger) -> None:
    resolution = Resolution(
        condition_id=a_market().condition_id, payouts=(MICRO, 0), source=ResolutionSource.CHAIN, at_ms=NOW_MS + 1_000
    )
    await ledger.settle(resolution)
    valued = valuation(MICRO, await ledger.positions(), lambda _token: None)
    await ledger.add_equity_point(EquityPoint(account_id="paper", at_ms=NOW_MS + 2_000, valuation=valued), {})


async def _copy_one_fill(ledger: SqlLedger) -> None:
    await ledger.add_leader(a_leader(label="somebody"))
    await ledger.save_markets([a_market()])
    seen = FillsSeen(source=Source.POLYGON, sightings=(a_sighting(a_fill()),))
    [stored] = (await ledger.ingest(seen, now_ms=NOW_MS)).new
    attempt = ExecutionAttempt(
        id=attempt_id("copy", "paper", stored.id),
        strategy_id="copy",
        account_id="paper",
        leader_fill_id=stored.id,
        mode=ExecutionMode.PAPER,
        decision=Decision.TRADE,
        reasons=(reason("MARKETABLE"),),
        ratio=MICRO,
        token_id=stored.fill.token_id,
        side=Side.BUY,
        size_shares_target=micro("10"),
        limit_price=micro("0.51"),
        ttl_ms=5_000,
        status=AttemptStatus.PENDING,
        order_hash=None,
        decided_at_ms=NOW_MS,
        placed_at_ms=None,
        first_fill_at_ms=None,
        done_at_ms=None,
        created_at_ms=NOW_MS,
    )
    await ledger.record_attempt(attempt)
    await ledger.submit_attempt(attempt.id, order_hash="0x" + "ab" * 32, placed_at_ms=NOW_MS + 150)
    await ledger.book_execution(
        ExecutionFill(
            id=execution_fill_id("paper", "one"),
            attempt_id=attempt.id,
            strategy_id="copy",
            account_id="paper",
            venue_trade_id="one",
            token_id=attempt.token_id,
            side=Side.BUY,
            shares=micro("10"),
            price=micro("0.5"),
            fee_usdc=micro("0.125"),
            liquidity=Liquidity.TAKER,
            settlement=Settlement.CONFIRMED,
            fill_at_ms=NOW_MS + 150,
        )
    )
