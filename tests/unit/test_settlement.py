from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.closing import BY_US, Holding, merge, migrate, resolve
from copytrade.domain.fills import Side
from copytrade.domain.positions import OversoldError, Position, apply_settlement, fold
from copytrade.domain.settlement import (
    Resolution,
    ResolutionSource,
    SettlementKind,
    merge_proceeds,
    payouts_of_winner,
    split_exactly,
)
from copytrade.domain.stakes import CopiedShares, parts_of, stakes_after
from copytrade.domain.units import MICRO
from tests.makers import NO, NOW_MS, YES, a_market, micro

ANN, BOB, CLEO = (UUID(int=number) for number in (1, 2, 3))
CONDITION = a_market().condition_id
HELD = Position(
    strategy_id="copy",
    account_id="paper",
    token_id=YES,
    shares=micro("30"),
    cost_usdc=micro("12"),
    realized_pnl_usdc=micro("1"),
    fees_usdc=micro("0.3"),
)


def told(*payouts: str) -> Resolution:
    return Resolution(
        condition_id=CONDITION,
        payouts=tuple(map(micro, payouts)),
        source=ResolutionSource.REGISTRY,
        at_ms=NOW_MS,
    )


def held(shares: int = HELD.shares, **changes: object) -> Holding:
    return Holding(position=HELD, free=shares, stakes={ANN: micro("10"), BOB: micro("20")}, **changes)


@pytest.mark.parametrize(
    ("payout", "proceeds", "realized"),
    [("1", "30", "19"), ("0", "0", "-11"), ("0.5", "15", "4"), ("0.123456", "3.70368", "-7.29632")],
)
def test_a_resolved_position_is_redeemed_at_its_payout(payout: str, proceeds: str, realized: str) -> None:
    closing = resolve(held(), payout=micro(payout), resolution=told(payout, "0"))

    assert closing.position == replace(HELD, shares=0, cost_usdc=0, realized_pnl_usdc=micro(realized))
    assert closing.settlement.proceeds_usdc == micro(proceeds)
    assert closing.settlement.cost_usdc == micro("12")


def test_what_is_promised_stays_at_its_average_cost() -> None:
    closing = resolve(held(micro("10")), payout=MICRO, resolution=told("1", "0"))

    assert (closing.position.shares, closing.position.cost_usdc) == (micro("20"), micro("8"))
    assert closing.settlement.realized_pnl_usdc == micro("6")


def test_a_redemption_is_rounded_down_as_the_contract_does() -> None:
    closing = resolve(held(3), payout=333_333, resolution=told("0.333333", "0.666667"))

    assert closing.settlement.proceeds_usdc == 0


def test_the_parts_of_a_settlement_are_those_of_the_leaders_it_stands_on() -> None:
    parts = resolve(held(), payout=MICRO, resolution=told("1", "0")).settlement.parts

    assert [(part.leader_id, part.shares, part.proceeds_usdc, part.cost_usdc) for part in parts] == [
        (ANN, micro("10"), micro("10"), micro("4")),
        (BOB, micro("20"), micro("20"), micro("8")),
    ]
    assert sum(part.realized_pnl_usdc for part in parts) == micro("18")


def test_complete_sets_are_merged_for_a_dollar_each() -> None:
    other = replace(HELD, token_id=NO, shares=micro("20"), cost_usdc=micro("16"))
    holdings = [held(), Holding(position=other, free=micro("20"), stakes={ANN: micro("20")})]

    yes, no = merge(holdings, condition_id=CONDITION, at_ms=NOW_MS)

    assert (yes.settlement.kind, yes.settlement.source) == (SettlementKind.MERGE, BY_US)
    assert yes.settlement.proceeds_usdc + no.settlement.proceeds_usdc == micro("20")
    assert (yes.settlement.cost_usdc, no.settlement.cost_usdc) == (micro("8"), micro("16"))
    assert (yes.settlement.proceeds_usdc, no.settlement.proceeds_usdc) == (6_666_667, 13_333_333)
    assert (yes.position.shares, no.position.shares) == (micro("10"), 0)


def test_dust_and_half_sets_are_not_merged() -> None:
    nothing = Holding(position=replace(HELD, token_id=NO, shares=0, cost_usdc=0), free=0, stakes={})

    assert merge([held(), nothing], condition_id=CONDITION, at_ms=NOW_MS) == ()
    assert merge([held(9_999), held(9_999)], condition_id=CONDITION, at_ms=NOW_MS) == ()


def test_a_renamed_token_keeps_shares_and_cost_and_realises_nothing() -> None:
    new = Position(strategy_id="copy", account_id="paper", token_id="333", shares=5, cost_usdc=2)

    out, arrived = migrate(held(), new, condition_id=CONDITION, source="registry", at_ms=NOW_MS)

    assert out.position == replace(HELD, shares=0, cost_usdc=0)
    assert arrived.position == replace(new, shares=HELD.shares + 5, cost_usdc=HELD.cost_usdc + 2)
    assert (out.settlement.realized_pnl_usdc, arrived.settlement.realized_pnl_usdc) == (0, 0)
    assert arrived.settlement.parts == out.settlement.parts


def test_more_than_is_held_cannot_be_settled() -> None:
    settlement = resolve(held(), payout=MICRO, resolution=told("1", "0")).settlement

    with pytest.raises(OversoldError, match=YES):
        apply_settlement(replace(HELD, shares=micro("29")), settlement)


def test_a_fold_counts_what_left_anew() -> None:
    settlement = resolve(held(), payout=MICRO, resolution=told("1", "0")).settlement

    assert fold(HELD, [replace(settlement, cost_usdc=0)]) == fold(HELD, [settlement])


def test_the_winner_takes_all_and_a_stranger_nothing() -> None:
    assert payouts_of_winner(a_market(), NO) == (0, MICRO)
    assert payouts_of_winner(a_market(), "999") is None
    assert payouts_of_winner(a_market(), None) is None


@given(
    st.integers(-(10**15), 10**15),
    st.dictionaries(st.integers(0, 20), st.integers(0, 10**12), min_size=1).filter(lambda w: any(w.values())),
)
def test_a_cut_adds_up_and_nobody_is_off_by_a_whole_unit(amount: int, weights: dict[int, int]) -> None:
    parts = split_exactly(amount, weights)

    total = sum(weights.values())
    assert sum(parts.values()) == amount
    assert all(abs(part * total - amount * weights[key]) < total for key, part in parts.items())


def test_nothing_is_cut_among_nobody() -> None:
    assert split_exactly(0, {}) == {}
    with pytest.raises(ValueError, match="nobody"):
        split_exactly(1, {"a": 0})


@given(st.integers(1, 10**12), st.lists(st.integers(0, 10**12), min_size=2, max_size=4))
def test_merged_sets_bring_exactly_their_dollars(sets: int, costs: list[int]) -> None:
    proceeds = merge_proceeds(sets, costs)

    assert sum(proceeds) == sets
    assert min(proceeds) >= 0


# Whose shares they are


def copied(leader: UUID, side: Side, shares: int) -> CopiedShares:
    return CopiedShares(leader_id=leader, side=side, shares=shares)


def test_a_sale_takes_from_its_own_leader_first_and_then_from_the_others_by_their_shares() -> None:
    entries = [
        copied(ANN, Side.BUY, 30),
        copied(BOB, Side.BUY, 60),
        copied(CLEO, Side.BUY, 10),
        copied(CLEO, Side.SELL, 40),
    ]

    assert stakes_after(entries) == {ANN: 20, BOB: 40}


def test_one_who_sold_out_has_no_part_in_what_follows() -> None:
    entries = [copied(ANN, Side.BUY, 30), copied(ANN, Side.SELL, 30), copied(BOB, Side.BUY, 5)]

    assert stakes_after(entries) == {BOB: 5}
    assert parts_of(5, proceeds=5, cost=3, stakes=stakes_after(entries))[0].leader_id == BOB


@given(st.data())
def test_stakes_always_add_up_to_what_is_held(data: st.DataObject) -> None:
    entries: list[object] = []
    total = 0
    for _ in range(data.draw(st.integers(0, 20))):
        leader = data.draw(st.sampled_from([ANN, BOB, CLEO]))
        what = data.draw(st.sampled_from(["buy", "sell", "settle"])) if total else "buy"
        shares = data.draw(st.integers(1, 10**9 if what == "buy" else total))
        if what == "settle":
            position = Position(strategy_id="s", account_id="a", token_id=YES, shares=total, cost_usdc=total // 2)
            holding = Holding(position=position, free=shares, stakes=stakes_after(entries))
            closing = resolve(holding, payout=data.draw(st.integers(0, MICRO)), resolution=told("0", "1"))
            parts = closing.settlement.parts
            assert sum(part.shares for part in parts) == shares
            assert sum(part.proceeds_usdc for part in parts) == closing.settlement.proceeds_usdc
            assert sum(part.cost_usdc for part in parts) == closing.settlement.cost_usdc
            entries.append(closing.settlement)
        else:
            entries.append(copied(leader, Side.BUY if what == "buy" else Side.SELL, shares))
        total += shares if what == "buy" else -shares

        stakes = stakes_after(entries)
        assert sum(stakes.values()) == total
        assert all(stake > 0 for stake in stakes.values())
