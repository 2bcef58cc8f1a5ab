"""What the ledger keeps for the registry: markets with their payouts, and how far a sync has come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from copytrade.domain.market import OutcomeToken
from copytrade.ports.ledger import Ledger
from copytrade.ports.markets import RegistrySync
from tests.ledger_facts import a_stored_fill, a_submitted, an_execution
from tests.makers import NOW_MS, YES, a_market, micro

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


async def test_markets_settled_before_an_instant_are_left_out_unless_they_are_held(ledger: Ledger) -> None:
    won = (micro("1"), 0)
    facts: list[dict[str, Any]] = [
        {"closed": False, "payouts": None},
        {"closed": True, "payouts": None},
        {"closed": True, "payouts": won, "updated_at_ms": NOW_MS},
        {"closed": True, "payouts": won, "updated_at_ms": NOW_MS - 1},
        {"closed": True, "payouts": won, "updated_at_ms": NOW_MS - 1, "token_id": YES},
    ]
    saved = []
    for number, changes in enumerate(facts, start=1):
        token = OutcomeToken(token_id=str(changes.pop("token_id", number)), outcome="Yes", outcome_index=0)
        market = a_market(condition_id=f"0x{number:064x}", tokens=(token,), updated_at_ms=NOW_MS - 10)
        saved.append(replace(market, **changes))
    await ledger.save_markets(saved)
    await ledger.book_execution(an_execution(await a_submitted(ledger)))

    kept = await ledger.markets(settled_since_ms=NOW_MS)

    assert [market.condition_id for market in kept] == [saved[at].condition_id for at in (0, 1, 2, 4)]
    assert kept[-1].tokens == saved[4].tokens


async def test_unlisted_tokens_are_traded_or_held_and_of_no_market(ledger: Ledger) -> None:
    await ledger.book_execution(an_execution(await a_submitted(ledger, tx="01")))
    for number, token_id in enumerate(("333", "222", "333", "444", "999"), start=2):
        await a_stored_fill(ledger, tx_hash=f"0x{number:064x}", token_id=token_id)
    listed = (OutcomeToken(token_id="444", outcome="Yes", outcome_index=0),)
    await ledger.save_markets([a_market(tokens=listed)])

    assert await ledger.unlisted_tokens(after="", limit=10) == (YES, "222", "333", "999")
    assert await ledger.unlisted_tokens(after="222", limit=1) == ("333",)
    assert await ledger.unlisted_tokens(after="999", limit=10) == ()
