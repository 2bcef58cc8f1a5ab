"""What comparisons repair in a database that somebody has tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.engine import open_database
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.adapters.system import SystemClock
from copytrade.app.auditing import OwnProcessAudit
from copytrade.domain.invariants import Invariant
from copytrade.domain.positions import OversoldError
from copytrade.ports.ledger import LedgerUnavailableError
from copytrade.settings import Settings
from tests.honest_ledger import an_honest_ledger
from tests.ledgers import sql_database
from tests.makers import LEADER, NOW_MS


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "postgres":
        database = str(request.getfixturevalue("postgres_database"))
    schema.upgrade(database)
    return database


async def test_tampered_positions_and_cash_are_folded_anew_or_left_alone(url: str) -> None:
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        await an_honest_ledger(ledger)
        positions, balances = await ledger.positions(), await ledger.balances()
        for statement in (
            "UPDATE position SET shares = shares + 1, cost_usdc = 0 WHERE token_id = '10'",
            "DELETE FROM position WHERE token_id = '9'",
            "INSERT INTO position SELECT strategy_id, account_id, 'none', 5, 1, 0, 0, updated_at FROM position LIMIT 1",
            "UPDATE account_balance SET cash_usdc = 1",
        ):
            await database.write_alone(lambda connection, sql=statement: connection.exec_driver_sql(sql))

        assert await ledger.refold(now_ms=NOW_MS) == 4
        after = {one.token_id: one for one in await ledger.positions()}
        assert after.pop("none").shares == 0
        assert tuple(after.values()) == positions
        assert await ledger.balances() == balances
        assert await ledger.refold(now_ms=NOW_MS) == 0

        sold_first = "UPDATE execution_fill SET filled_shares = 999 WHERE side = 'SELL' AND settlement <> 'FAILED'"
        await database.write_alone(lambda connection: connection.exec_driver_sql(sold_first))
        with pytest.raises(OversoldError):
            await ledger.refold(now_ms=NOW_MS)
        assert await ledger.balances() == balances


async def test_a_forgotten_fill_is_to_be_decided_again(url: str) -> None:
    async with open_database(url) as database:
        ledger = SqlLedger(database)
        await an_honest_ledger(ledger)
        gone = "DELETE FROM execution_attempt WHERE status = 'SKIPPED'"
        await database.write_alone(lambda connection: connection.exec_driver_sql(gone))
        (forgotten,) = [one for one in await ledger.all_fills_of(LEADER, since_ms=0) if one.fill.tx_hash == "0x77"]
        assert await ledger.undecided(limit=9) == ()

        assert await ledger.await_decisions([forgotten.id]) == 1
        assert [one.id for one in await ledger.undecided(limit=9)] == [forgotten.id]
        assert await ledger.await_decisions([forgotten.id]) == 0


async def test_a_database_is_audited_in_a_process_of_its_own(url: str) -> None:
    async with sql_database(url) as database:
        await an_honest_ledger(SqlLedger(database))
    separate = OwnProcessAudit(Settings(database_url=url), SystemClock())
    assert await separate.breaches() == ()

    async with sql_database(url, empty=False) as database:
        tampered = "UPDATE position SET shares = shares + 1 WHERE token_id = '10'"
        await database.write_alone(lambda connection: connection.exec_driver_sql(tampered))
    (breach,) = await separate.breaches()
    assert (breach.invariant, breach.subject) == (Invariant.MONEY, "copy|paper|10")


async def test_an_audit_that_cannot_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailableError, match="there is no folder"):
        await OwnProcessAudit(Settings(database_url=f"sqlite:///{tmp_path}/no/where.db"), SystemClock()).breaches()
