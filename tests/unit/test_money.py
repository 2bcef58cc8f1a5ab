from __future__ import annotations

from copytrade.domain.money import valuation
from copytrade.domain.positions import Position
from tests.makers import NO, YES, micro

HELD = Position(
    strategy_id="copy",
    account_id="paper",
    token_id=YES,
    shares=micro("10"),
    cost_usdc=micro("4"),
    realized_pnl_usdc=micro("2"),
    fees_usdc=micro("0.5"),
)
LOST_BOOK = Position(
    strategy_id="copy", account_id="paper", token_id=NO, shares=micro("3"), cost_usdc=micro("1"), fees_usdc=micro("0.1")
)
CLOSED = Position(strategy_id="copy", account_id="paper", token_id="9", realized_pnl_usdc=micro("-3"))


def test_positions_are_worth_their_mark_and_the_unmarked_are_told_apart() -> None:
    valued = valuation(micro("100"), [HELD, LOST_BOOK, CLOSED], {YES: micro("0.55")}.get)

    assert (valued.marked_usdc, valued.marked_cost_usdc, valued.unrealized_pnl_usdc) == (
        micro("5.5"),
        micro("4"),
        micro("1.5"),
    )
    assert (valued.open_positions, valued.unmarked, valued.unmarked_cost_usdc) == (2, 1, micro("1"))
    assert (valued.realized_pnl_usdc, valued.fees_usdc) == (micro("-1"), micro("0.6"))
    assert valued.exposure_usdc == micro("5")
    assert valued.equity_usdc == micro("105.5")


def test_without_any_mark_nothing_is_invented() -> None:
    valued = valuation(micro("100"), [HELD], lambda _token: None)

    assert (valued.marked_usdc, valued.unrealized_pnl_usdc, valued.equity_usdc) == (0, 0, micro("100"))
