"""The promises of the Ledger port about money: cash, settlements, equity, on every implementation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from copytrade.domain.attempts import AttemptStatus, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.ids import leader_id
from copytrade.domain.leader_events import LeaderEvent, LeaderEventKind
from copytrade.domain.money import Balance, EquityPoint, valuation
from copytrade.domain.positions import Position
from copytrade.domain.settlement import Resolution, ResolutionSource, SettlementKind
from copytrade.ports.accounts import UnknownMarketError
from copytrade.ports.ledger import Ledger
from tests.ledger_facts import a_submitted, an_execution
from tests.makers import LEADER, NO, NOW_MS, OTHER, YES, a_leader, a_market, micro
from tests.money_facts import an_order, bought

CONDITION = a_market().condition_id
LATER_MS = NOW_MS + 60_000


def told(*payouts: str, source: ResolutionSource = ResolutionSource.REGISTRY) -> Resolution:
    return Resolution(condition_id=CONDITION, payouts=tuple(map(micro, payouts)), source=source, at_ms=LATER_MS)


async def cash(ledger: Ledger) -> int:
    (balance,) = await ledger.balances()
    return balance.cash_usdc


async def test_an_account_is_funded_and_its_cash_moves_with_every_execution(ledger: Ledger) -> None:
    await ledger.fund_account("copy", "paper", start_cash=micro("1000"), now_ms=NOW_MS)
    buy = await a_submitted(ledger, tx="01")
    sell = await a_submitted(ledger, tx="02", side=Side.SELL)

    await ledger.book_execution(an_execution(buy, trade="1"))
    await ledger.book_execution(an_execution(sell, trade="2", shares="10"))
    await ledger.book_execution(an_execution(sell, trade="3", shares="1", settlement=Settlement.FAILED))

    assert await ledger.balances() == (
        Balance(
            strategy_id="copy",
            account_id="paper",
            start_cash_usdc=micro("1000"),
            cash_usdc=micro("984.35"),
        ),
    )


async def test_another_start_cash_moves_the_cash_by_the_difference(ledger: Ledger) -> None:
    await ledger.fund_account("copy", "paper", start_cash=micro("1000"), now_ms=NOW_MS)
    await bought(ledger, "01")

    funded = await ledger.fund_account("copy", "paper", start_cash=micro("400"), now_ms=NOW_MS)
    again = await ledger.fund_account("copy", "paper", start_cash=micro("400"), now_ms=NOW_MS)

    assert funded == again
    assert (funded.start_cash_usdc, funded.cash_usdc) == (micro("400"), micro("359.75"))


async def test_a_resolution_closes_every_position_of_its_market_once(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", price="0.4")
    await bought(ledger, "02", token_id=NO, shares="50", price="0.5")
    before = await cash(ledger)

    settled = await ledger.settle(told("1", "0"))
    again = await ledger.settle(told("1", "0"))

    yes, no = settled.closings
    assert (yes.position.shares, yes.position.realized_pnl_usdc) == (0, micro("60"))
    assert (no.position.shares, no.position.realized_pnl_usdc) == (0, micro("-25"))
    assert await ledger.positions() == (yes.position, no.position)
    assert await cash(ledger) == before + micro("100")
    assert (again.closings, again.waiting) == ((), ())
    assert await ledger.resolutions() == (told("1", "0"),)


@pytest.mark.parametrize(
    ("payouts", "realized"), [(("0.5", "0.5"), "10"), (("0", "0"), "-40"), (("0.123456", "0.876544"), "-27.6544")]
)
async def test_a_draw_a_void_and_any_other_vector_pay_what_they_say(
    ledger: Ledger, payouts: tuple[str, str], realized: str
) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", price="0.4")

    await ledger.settle(told(*payouts))

    (position,) = await ledger.positions()
    assert position.realized_pnl_usdc == micro(realized)


async def test_the_first_resolution_told_stands_and_another_settles_nothing(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await ledger.settle(told("1", "0"))
    await bought(ledger, "01")

    contradicted = await ledger.settle(told("0", "1", source=ResolutionSource.CHAIN))

    assert contradicted.recorded == told("1", "0")
    assert contradicted.closings == ()
    (position,) = await ledger.positions()
    assert position.shares == micro("100")
    assert await ledger.resolutions() == (told("1", "0"),)


async def test_what_is_bought_after_a_settlement_is_settled_too(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", price="0.4")
    await ledger.settle(told("1", "0"))
    await bought(ledger, "02", shares="10", price="0.9")

    await ledger.settle(told("1", "0", source=ResolutionSource.CHAIN))

    (position,) = await ledger.positions()
    assert (position.shares, position.realized_pnl_usdc) == (0, micro("61"))
    kept = await ledger.settlements(strategy_id="copy", account_id="paper", token_id=YES)
    assert [(one.shares, one.source) for one in kept] == [(micro("100"), "registry"), (micro("10"), "chain")]


async def test_shares_promised_to_an_open_sell_wait_for_its_end(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", price="0.4")
    sell = await an_order(ledger, "02", side=Side.SELL)
    await ledger.book_execution(an_execution(sell, trade="s", shares="30", price=micro("0.5")))

    waiting = await ledger.settle(told("1", "0"))
    assert (waiting.closings, waiting.waiting) == ((), (YES,))

    await ledger.close_attempt(sell.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS + 5_000)
    settled = await ledger.settle(told("1", "0"))

    assert [closing.settlement.shares for closing in settled.closings] == [micro("70")]
    assert settled.waiting == ()


async def test_only_what_is_not_promised_is_settled(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01")
    await bought(ledger, "03", shares="60")
    await an_order(ledger, "02", side=Side.SELL)

    settled = await ledger.settle(told("1", "0"))

    assert [closing.settlement.shares for closing in settled.closings] == [micro("60")]
    assert settled.waiting == (YES,)


async def test_an_unknown_market_or_another_number_of_outcomes_is_refused(ledger: Ledger) -> None:
    with pytest.raises(UnknownMarketError, match="no market"):
        await ledger.settle(told("1", "0"))
    with pytest.raises(UnknownMarketError, match="no market"):
        await ledger.merge_sets(CONDITION, strategy_id="copy", account_id="paper", at_ms=NOW_MS)
    await ledger.save_markets([a_market()])
    with pytest.raises(UnknownMarketError, match="2 outcomes"):
        await ledger.settle(told("1", "0", "0"))

    assert await ledger.resolutions() == ()


async def test_a_settlement_is_told_to_the_leaders_whose_fills_opened_it(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", shares="30", price="0.4")
    await bought(ledger, "02", shares="60", price="0.7", leader=OTHER)
    sell = await an_order(ledger, "03", side=Side.SELL)
    await ledger.book_execution(an_execution(sell, trade="s", shares="10", price=micro("0.6")))
    await ledger.close_attempt(sell.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS)

    (closing,) = (await ledger.settle(told("1", "0"))).closings

    parts = {part.leader_id: (part.shares, part.proceeds_usdc, part.cost_usdc) for part in closing.settlement.parts}
    assert parts == {
        leader_id(LEADER): (micro("20"), micro("20"), micro("12")),
        leader_id(OTHER): (micro("60"), micro("60"), micro("36")),
    }
    assert await ledger.settlements(strategy_id="copy", account_id="paper", token_id=YES) == (closing.settlement,)


async def test_complete_sets_become_dollars_and_the_rest_stays(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", shares="100", price="0.4")
    await bought(ledger, "02", token_id=NO, shares="30", price="0.5")
    before = await cash(ledger)

    merged = await ledger.merge_sets(CONDITION, strategy_id="copy", account_id="paper", at_ms=LATER_MS)
    again = await ledger.merge_sets(CONDITION, strategy_id="copy", account_id="paper", at_ms=LATER_MS)

    assert [closing.settlement.kind for closing in merged] == [SettlementKind.MERGE] * 2
    assert [closing.position.shares for closing in merged] == [micro("70"), 0]
    assert await cash(ledger) == before + micro("30")
    assert sum(position.realized_pnl_usdc for position in await ledger.positions()) == micro("30") - micro("27")
    assert again == ()


async def test_a_renamed_token_is_no_trade(ledger: Ledger) -> None:
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", shares="100", price="0.4")
    before = await cash(ledger)

    moved = await ledger.rename_token(YES, "333", condition_id=CONDITION, source="registry", at_ms=LATER_MS)
    again = await ledger.rename_token(YES, "333", condition_id=CONDITION, source="registry", at_ms=LATER_MS)

    old, new = await ledger.positions()
    assert (old.token_id, old.shares, old.cost_usdc, old.fees_usdc) == (YES, 0, 0, micro("0.25"))
    assert (new.token_id, new.shares, new.cost_usdc, new.realized_pnl_usdc) == ("333", micro("100"), micro("40"), 0)
    assert await cash(ledger) == before
    assert [closing.settlement.kind for closing in moved.closings] == [
        SettlementKind.MIGRATION_OUT,
        SettlementKind.MIGRATION_IN,
    ]
    assert again.closings == ()


async def test_shares_keep_their_leaders_over_a_renaming(ledger: Ledger) -> None:
    renamed = a_market(tokens=tuple(replace(token, token_id="3" + token.token_id) for token in a_market().tokens))
    await ledger.save_markets([a_market()])
    await bought(ledger, "01", shares="30")
    await bought(ledger, "02", shares="60", leader=OTHER)
    await ledger.rename_token(YES, "3" + YES, condition_id=CONDITION, source="registry", at_ms=LATER_MS)
    await ledger.save_markets([replace(renamed, condition_id="0x" + "c1" * 32)])

    settled = await ledger.settle(replace(told("1", "0"), condition_id="0x" + "c1" * 32))

    (closing,) = settled.closings
    assert sorted(part.shares for part in closing.settlement.parts) == [micro("30"), micro("60")]


async def test_equity_is_kept_and_read_back_exactly(ledger: Ledger) -> None:
    held = Position(strategy_id="copy", account_id="paper", token_id=YES, shares=micro("10"), cost_usdc=1, fees_usdc=7)
    points = [
        EquityPoint(
            account_id="paper",
            at_ms=NOW_MS + minute * 60_000,
            valuation=valuation(micro("-3.5"), [held], {YES: minute}.get),
        )
        for minute in range(3)
    ]

    for point in points:
        await ledger.add_equity_point(point, {YES: micro("0.41"), NO: None})
    await ledger.add_equity_point(replace(points[2], valuation=points[0].valuation), {YES: None, "9": micro("0.1")})

    assert await ledger.equity_points("paper", since_ms=NOW_MS + 60_000) == (
        points[1],
        replace(points[2], valuation=points[0].valuation),
    )
    assert await ledger.equity_points("other", since_ms=0) == ()
    assert await ledger.marks() == {YES: None, NO: None, "9": micro("0.1")}


async def test_a_market_keeps_how_far_its_resolution_is_and_what_its_tokens_were_called(ledger: Ledger) -> None:
    told = a_market(resolution_status="disputed", former_token_ids=("8", "9"), version="v2")
    await ledger.save_markets([told])

    assert await ledger.markets() == (told,)


async def test_migrations_of_leaders_name_conditions_and_tokens(ledger: Ledger) -> None:
    await ledger.add_leader(a_leader())
    facts = {
        "leader": LEADER,
        "shares": 1,
        "usdc": 0,
        "tx_hash": "0x01",
        "event_ts_ms": NOW_MS,
        "detected_at_ms": NOW_MS,
        "payload": "{}",
    }
    kinds = (LeaderEventKind.MIGRATION, LeaderEventKind.MIGRATION, LeaderEventKind.MERGE)
    names = (("0xc1", None), ("", "7"), ("0xc3", None))
    events = [
        LeaderEvent(kind=kind, condition_id=condition, token_id=token, dedupe_key=f"{kind}|{condition}", **facts)
        for kind, (condition, token) in zip(kinds, names, strict=True)
    ]
    await ledger.keep_leader_events(events, now_ms=NOW_MS)

    assert await ledger.migrated() == {"0xc1", "7"}
