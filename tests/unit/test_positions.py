from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import ExecutionFill, Liquidity, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.ids import execution_fill_id
from copytrade.domain.positions import OversoldError, Position, apply_fill, cash_flow, fold
from copytrade.domain.units import MICRO
from tests.makers import NOW_MS, YES, micro

EMPTY = Position(strategy_id="copy", account_id="paper", token_id=YES)


def an_execution(side: Side = Side.BUY, shares: str = "10", price: str = "0.5", **changes: Any) -> ExecutionFill:
    facts: dict[str, Any] = {
        "id": execution_fill_id("paper", "1"),
        "attempt_id": execution_fill_id("paper", "attempt"),
        "strategy_id": "copy",
        "account_id": "paper",
        "venue_trade_id": "1",
        "token_id": YES,
        "side": side,
        "shares": micro(shares),
        "price": micro(price),
        "fee_usdc": 0,
        "liquidity": Liquidity.TAKER,
        "settlement": Settlement.CONFIRMED,
        "fill_at_ms": NOW_MS,
    }
    return ExecutionFill(**(facts | changes))


def test_a_buy_adds_shares_at_their_cost_and_keeps_the_fee_apart() -> None:
    position = apply_fill(EMPTY, an_execution(shares="10", price="0.4", fee_usdc=micro("0.12")))

    assert position == replace(EMPTY, shares=micro("10"), cost_usdc=micro("4"), fees_usdc=micro("0.12"))


def test_a_sell_realises_proceeds_less_average_cost() -> None:
    fills = [
        an_execution(shares="10", price="0.4"),
        an_execution(shares="10", price="0.6"),
        an_execution(Side.SELL, shares="5", price="0.8", fee_usdc=micro("0.1")),
    ]

    position = fold(EMPTY, fills)

    assert position.shares == micro("15")
    assert position.cost_usdc == micro("7.5")
    assert position.realized_pnl_usdc == micro("1.5")
    assert position.fees_usdc == micro("0.1")


def test_selling_everything_leaves_no_cost_behind() -> None:
    fills = [an_execution(shares="0.000003", price="0.333333"), an_execution(Side.SELL, shares="0.000003", price="0.5")]

    position = fold(EMPTY, fills)

    assert (position.shares, position.cost_usdc) == (0, 0)


def test_selling_more_than_is_held_is_an_error_that_names_the_token() -> None:
    with pytest.raises(OversoldError, match=YES):
        apply_fill(EMPTY, an_execution(Side.SELL))


def test_a_failed_settlement_changes_neither_position_nor_cash() -> None:
    failed = an_execution(settlement=Settlement.FAILED, fee_usdc=1)

    assert apply_fill(EMPTY, failed) == EMPTY
    assert cash_flow(failed) == 0


@st.composite
def trades(draw: st.DrawFn) -> list[ExecutionFill]:
    held, fills = 0, []
    for _ in range(draw(st.integers(0, 30))):
        side = draw(st.sampled_from(Side)) if held else Side.BUY
        shares = draw(st.integers(1, 10**9 if side is Side.BUY else held))
        held += shares if side is Side.BUY else -shares
        changes = {"price": draw(st.integers(1, MICRO)), "fee_usdc": draw(st.integers(0, 10**6))}
        fill = replace(an_execution(side), shares=shares, **changes)
        if draw(st.booleans()):
            fills.append(replace(fill, settlement=Settlement.FAILED))
        fills.append(fill)
    return fills


@given(trades())
def test_cash_is_conserved_to_the_micro_unit(fills: list[ExecutionFill]) -> None:
    position = fold(EMPTY, fills)

    assert sum(map(cash_flow, fills)) == position.realized_pnl_usdc - position.cost_usdc - position.fees_usdc


@given(trades())
def test_a_position_never_has_a_negative_cost_nor_a_cost_without_shares(fills: list[ExecutionFill]) -> None:
    position = EMPTY
    for fill in fills:
        position = apply_fill(position, fill)

        assert position.shares >= 0
        assert position.cost_usdc >= 0
        assert position.shares > 0 or position.cost_usdc == 0


@given(trades(), st.integers(0, 30))
def test_a_position_may_be_folded_in_parts(fills: list[ExecutionFill], cut: int) -> None:
    assert fold(fold(EMPTY, fills[:cut]), fills[cut:]) == fold(EMPTY, fills)
