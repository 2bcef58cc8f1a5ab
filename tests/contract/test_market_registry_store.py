"""What the ledger keeps for the registry: markets with their payouts, and how far a sync has come."""

from __future__ import annotations

from dataclasses import replace

from copytrade.domain.market import OutcomeToken
from copytrade.ports.ledger import Ledger
from copytrade.ports.markets import RegistrySync
from tests.makers import NOW_MS, a_market, micro

HALF = (micro("0.5"), micro("0.5"))


async def test_a_sync_under_way_is_kept_moved_and_forgotten(ledger: Ledger) -> None:
    assert await ledger.registry_sync() is None
    sync = RegistrySync(cursor="abc", started_at_ms=NOW_MS, pages=10, markets=1_000)

    for saved in (sync, replace(sync, cursor="def", pages=20, markets=2_000)):
        await ledger.save_registry_sync(saved)
        assert await ledger.registry_sync() == saved

    await ledger.save_registry_sync(None)
    assert await ledger.registry_sync() is None


async def test_payouts_are_recorded_once(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await ledger.save_markets([a_market(closed=True, payouts=HALF)])
    await ledger.save_markets([a_market(closed=True, payouts=(micro("1"), 0))])

    (market,) = await ledger.markets()
    assert market.payouts == HALF


async def test_each_of_many_markets_comes_back_with_its_own_tokens(ledger: Ledger) -> None:
    saved = [
        a_market(
            condition_id=f"0x{number:064x}",
            tokens=tuple(
                OutcomeToken(token_id=str(number * 10 + index), outcome=str(index), outcome_index=index)
                for index in range(number % 4)
            ),
        )
        for number in range(1, 1_500)
    ]

    await ledger.save_markets(saved)

    assert await ledger.markets() == tuple(saved)
