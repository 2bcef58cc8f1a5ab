"""The fold of the audit is that of the positions, entry by entry."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import ExecutionFill
from copytrade.domain.closing import Holding, migrate, resolve
from copytrade.domain.fills import Side
from copytrade.domain.folding import Fold
from copytrade.domain.positions import Position, apply_fill, apply_settlement
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.domain.units import MICRO
from tests.makers import NOW_MS, YES
from tests.unit.test_positions import EMPTY, an_execution

TOLD = Resolution(condition_id="0x01", payouts=(MICRO, 0), source=ResolutionSource.CHAIN, at_ms=NOW_MS)


def same(fold: Fold, position: Position) -> bool:
    held = (position.shares, position.cost_usdc, position.realized_pnl_usdc, position.fees_usdc)
    return (fold.shares, fold.cost, fold.realized, fold.fees) == held


@given(st.data())
def test_both_folds_agree_after_every_entry(data: st.DataObject) -> None:
    fold, position = Fold(), EMPTY
    for _ in range(data.draw(st.integers(0, 25))):
        what = data.draw(st.sampled_from(["buy", "sell", "resolve", "move"])) if position.shares else "buy"
        shares = data.draw(st.integers(1, 10**9 if what == "buy" else position.shares))
        price, fee = data.draw(st.integers(0 if what == "resolve" else 1, MICRO)), data.draw(st.integers(0, 10**6))
        before = position
        if what in ("buy", "sell"):
            fill: ExecutionFill = an_execution(Side.BUY if what == "buy" else Side.SELL, price="0.5", fee_usdc=fee)
            position = apply_fill(position, replace(fill, shares=shares, price=price))
            if what == "buy":
                assert fold.buy(shares, price, fee) == position.cost_usdc - before.cost_usdc
            else:
                sold = fold.sell(shares, price, fee)
                assert sold is not None
                assert sold[1] == position.realized_pnl_usdc - before.realized_pnl_usdc
        elif what == "resolve":
            holding = Holding(position=position, free=shares, stakes={YES: position.shares})
            closing = resolve(holding, payout=price, resolution=TOLD)
            position = closing.position
            assert fold.leave(shares, closing.settlement.proceeds_usdc) == closing.settlement.realized_pnl_usdc
        else:
            holding = Holding(position=position, free=shares, stakes={YES: position.shares})
            out, arrived = migrate(holding, EMPTY, condition_id="0x01", source="registry", at_ms=NOW_MS)
            position = apply_settlement(out.position, arrived.settlement)
            cost = fold.move_out(shares)
            assert cost == arrived.settlement.cost_usdc
            fold.move_in(shares, cost)

        assert same(fold, position)


def test_more_than_is_held_changes_nothing() -> None:
    fold = Fold()
    fold.buy(5, MICRO // 2, 0)

    assert (fold.sell(6, MICRO, 1), fold.leave(6, 6), fold.move_out(6)) == (None, None, None)
    assert (fold.shares, fold.fees, fold.realized) == (5, 0, 0)
