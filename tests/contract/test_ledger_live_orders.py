"""Trades of real orders come further, or turn out void: the money follows, and nothing is told twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionMode, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.orders import OrderType
from copytrade.domain.positions import Position, cash_flow, fold
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from copytrade.domain.venue_orders import Account, Exchanges, SignatureType, venue_order
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_stored_fill, a_submitted, an_attempt, an_execution
from tests.makers import NOW_MS, YES, a_market, micro

LATER_MS = NOW_MS + 60_000
ACCOUNT = Account(wallet="0x" + "aa" * 20, owner="0x" + "bb" * 20, signature_type=SignatureType.SAFE)
EXCHANGES = Exchanges(ctf="0x" + "01" * 20, neg_risk="0x" + "02" * 20, v3="0x" + "03" * 20)


async def a_live_attempt(ledger: Ledger, **changes: Any) -> ExecutionAttempt:
    return await a_submitted(ledger, mode=ExecutionMode.LIVE, **changes)


async def cash(ledger: Ledger) -> int:
    return sum(balance.cash_usdc for balance in await ledger.balances())


async def told(ledger: Ledger, fill: Any, *steps: Settlement) -> list[bool]:
    """Report a trade in several states; say for each whether that was news."""
    return [await ledger.settle_execution(replace(fill, settlement=step), at_ms=LATER_MS) is not None for step in steps]


async def test_what_is_signed_is_stored_with_the_order_and_only_once(ledger: Ledger) -> None:
    recorded = await a_stored_fill(ledger)
    attempt = an_attempt(recorded, mode=ExecutionMode.LIVE)
    signed = venue_order(attempt, a_market(), order_type=OrderType.GTC, account=ACCOUNT, exchanges=EXCHANGES)
    await ledger.record_attempt(attempt)

    facts = {"order_hash": "0x7a", "placed_at_ms": NOW_MS, "venue_order": signed}
    first = await ledger.submit_attempt(attempt.id, **facts)
    again = await ledger.submit_attempt(attempt.id, **(facts | {"order_hash": "0x7b"}))

    assert (first, again) == (True, False)
    (found,) = await ledger.attempts_of_orders({"0x7a", "0x7b"})
    assert (found.id, found.status) == (attempt.id, AttemptStatus.SUBMITTED)


async def test_a_trade_comes_to_the_chain_and_is_settled_once(ledger: Ledger) -> None:
    attempt = await a_live_attempt(ledger)
    fill = an_execution(attempt, settlement=Settlement.MATCHED)
    await ledger.book_execution(fill)
    assert await ledger.unsettled_executions() == (fill,)

    news = await told(
        ledger, fill, Settlement.MATCHED, Settlement.MINED, Settlement.MATCHED, Settlement.CONFIRMED, Settlement.MINED
    )

    assert news == [False, True, False, True, False]
    assert await ledger.unsettled_executions() == ()
    (settled,) = await ledger.trades_of("paper", [fill.venue_trade_id, "nobody's"])
    assert settled.settlement is Settlement.CONFIRMED


async def test_a_failed_trade_is_void_and_everything_after_it_is_counted_again(ledger: Ledger) -> None:
    attempt = await a_live_attempt(ledger, size_shares_target=micro("80"))
    sold = await a_live_attempt(ledger, tx="7b", side=Side.SELL)
    kept = an_execution(attempt, trade="kept", price=micro("0.4"))
    lost = an_execution(attempt, trade="lost", price=micro("0.6"), settlement=Settlement.MATCHED)
    exit_fill = an_execution(sold, trade="exit", shares="30", price=micro("0.5"))
    for fill in (kept, lost, exit_fill):
        await ledger.book_execution(fill)
    before = await cash(ledger)

    booked = await ledger.settle_execution(replace(lost, settlement=Settlement.FAILED), at_ms=LATER_MS)

    assert booked is not None
    assert (booked.attempt.status, booked.attempt.filled_shares) == (AttemptStatus.FILLED, micro("40"))
    empty = Position(strategy_id="copy", account_id="paper", token_id=YES)
    assert booked.position == fold(empty, [kept, exit_fill]) == (await ledger.positions())[0]
    assert await cash(ledger) - before == -cash_flow(lost)
    assert await told(ledger, lost, Settlement.CONFIRMED, Settlement.FAILED) == [False, False]


async def test_the_fee_on_the_chain_takes_the_place_of_the_computed_one(ledger: Ledger) -> None:
    attempt = await a_live_attempt(ledger)
    fill = an_execution(attempt, settlement=Settlement.MATCHED)
    await ledger.book_execution(fill)

    confirmed = replace(fill, settlement=Settlement.CONFIRMED, fee_usdc=micro("0.26"))
    await ledger.settle_execution(replace(confirmed, fee_usdc=fill.fee_usdc), at_ms=LATER_MS)
    booked = await ledger.settle_execution(confirmed, at_ms=LATER_MS)

    assert booked is not None
    assert booked.position.fees_usdc == micro("0.26")
    assert await cash(ledger) == cash_flow(confirmed)


async def test_a_trade_that_was_never_booked_does_not_come_further(ledger: Ledger) -> None:
    attempt = await a_live_attempt(ledger)

    assert await ledger.settle_execution(an_execution(attempt), at_ms=LATER_MS) is None


async def test_a_position_is_redeemed_only_once_all_of_it_is_settled(ledger: Ledger) -> None:
    market = a_market()
    await ledger.save_markets([market])
    attempt = await a_live_attempt(ledger)
    fill = an_execution(attempt, settlement=Settlement.MATCHED)
    await ledger.book_execution(fill)
    resolution = Resolution(
        condition_id=market.condition_id, payouts=(MICRO, 0), source=ResolutionSource.CHAIN, at_ms=LATER_MS
    )

    early = await ledger.settle(resolution)
    await told(ledger, fill, Settlement.CONFIRMED)
    late = await ledger.settle(resolution)

    assert (early.closings, early.waiting) == ((), (YES,))
    assert [closing.settlement.shares for closing in late.closings] == [fill.shares]


@pytest.mark.parametrize(("over", "is_taken"), [("0.01", True), ("0.02", False)])
async def test_a_live_order_may_be_filled_with_a_grain_of_dust_more(ledger: Ledger, over: str, is_taken: bool) -> None:
    attempt = await a_live_attempt(ledger)
    fill = an_execution(attempt, shares="100", price=micro("0.51"))
    fill = replace(fill, shares=fill.shares + micro(over))

    if is_taken:
        booked = await ledger.book_execution(fill)
        assert booked is not None
        assert booked.attempt.status is AttemptStatus.FILLED
    else:
        with pytest.raises(Exception, match="micro-shares make"):
            await ledger.book_execution(fill)
