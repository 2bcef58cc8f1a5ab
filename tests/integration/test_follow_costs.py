"""What following costs, from our own executions, the same on both databases."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from copytrade.adapters.sql import schema
from copytrade.adapters.sql.costs import SqlFollowCosts
from copytrade.adapters.sql.ledger import SqlLedger
from copytrade.domain.fills import LeaderRole
from copytrade.domain.ranking import FollowCost
from copytrade.domain.units import Ratio
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_stored_fill, an_attempt, an_execution
from tests.ledgers import sql_database
from tests.makers import LEADER, NOW_MS, OTHER, a_leader, micro


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    database = (
        f"sqlite:///{tmp_path}/ledger.db"
        if request.param == "sqlite"
        else str(request.getfixturevalue("postgres_database"))
    )
    schema.upgrade(database)
    return database


async def copied(ledger: Ledger, name: int, *, price: str, fee: str, role: LeaderRole = LeaderRole.TAKER) -> None:
    fill = await a_stored_fill(ledger, tx_hash=f"0x{name:02x}", role=role)
    attempt = an_attempt(fill, id=uuid4())
    await ledger.record_attempt(attempt)
    await ledger.submit_attempt(attempt.id, order_hash=f"0x{name:064x}", placed_at_ms=NOW_MS)
    await ledger.book_execution(
        an_execution(attempt, trade=f"t{name}", shares="100", price=micro(price), fee_usdc=micro(fee))
    )


async def cost(
    url: str, leader: str, *, makers: int = 0, takers: int = 0, share: Ratio | None = None
) -> FollowCost | None:
    async with sql_database(url) as database:
        ledger = SqlLedger(database)
        await ledger.add_leader(a_leader())
        for name in range(takers):
            await copied(ledger, name, price="0.51", fee="0.5")
        for name in range(takers, takers + makers):
            await copied(ledger, name, price="0.54", fee="1", role=LeaderRole.MAKER)
        return await SqlFollowCosts(database).follow_cost(leader, maker_share=share)


async def test_the_cost_is_what_we_paid_above_his_price_with_the_fee(url: str) -> None:
    found = await cost(url, LEADER, takers=6)

    assert found is not None
    assert (found.measured_on, found.cost.ratio, found.cost.samples) == ("his", 30_000, 6)


async def test_who_was_never_followed_is_judged_by_everybody_mixed_as_he_trades(url: str) -> None:
    found = await cost(url, OTHER, takers=6, makers=6, share=500_000)

    assert found is not None
    assert (found.measured_on, found.cost.ratio) == ("all", (30_000 + 100_000) // 2)


async def test_a_few_executions_are_no_measurement(url: str) -> None:
    assert await cost(url, LEADER, takers=2) is None
