"""What a copy lost on its way adds up to what it cost, whatever is not known."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain import carry
from copytrade.domain.attempts import ExecutionFill, Liquidity, Settlement, reason
from copytrade.domain.attribution import BOOK_LEVELS_KEPT, Way, markout, outcome_of, top_of
from copytrade.domain.fills import Side
from copytrade.domain.markouts import HORIZONS, FillMarks
from copytrade.domain.positions import cash_flow
from copytrade.domain.units import MICRO
from copytrade.strategies import copy
from copytrade.strategies.copy.verdicts import verdicts
from tests.makers import NOW_MS, YES, a_book, micro

ATTEMPT = UUID(int=1)
PRICES = st.integers(1, MICRO - 1)
PARTS = ("decision_delay", "spread", "placement_delay", "depth", "rest", "unknown", "fee")


def a_fill(side: Side, shares: int, price: int, *, fee: int = 0, **changes: Any) -> ExecutionFill:
    facts: dict[str, Any] = {
        "id": UUID(int=shares),
        "attempt_id": ATTEMPT,
        "strategy_id": "copy",
        "account_id": "paper",
        "venue_trade_id": "t",
        "token_id": YES,
        "side": side,
        "shares": shares,
        "price": price,
        "fee_usdc": fee,
        "liquidity": Liquidity.TAKER,
        "settlement": Settlement.CONFIRMED,
        "fill_at_ms": NOW_MS,
    }
    return ExecutionFill(**(facts | changes))


@st.composite
def ways(draw: Any) -> Way:
    ends = [draw(st.none() | PRICES) for _ in range(3)]
    return Way(leader=draw(PRICES), mid_at_decision=ends[0], touch_at_decision=ends[1], touch_at_placement=ends[2])


@st.composite
def executions(draw: Any) -> tuple[Side, list[ExecutionFill]]:
    side = draw(st.sampled_from(Side))
    amounts = draw(st.lists(st.tuples(st.integers(1, 10**12), PRICES, st.integers(0, 10**9)), min_size=1, max_size=6))
    kinds = draw(st.lists(st.sampled_from(Liquidity), min_size=len(amounts), max_size=len(amounts)))
    return side, [
        a_fill(side, shares, price, fee=fee, liquidity=kind)
        for (shares, price, fee), kind in zip(amounts, kinds, strict=True)
    ]


@given(executions(), ways())
def test_the_parts_add_up_to_what_the_copy_cost_against_the_leader(
    traded: tuple[Side, list[ExecutionFill]], way: Way
) -> None:
    side, fills = traded
    outcome = outcome_of(side, way, fills)
    assert outcome is not None

    shares = sum(fill.shares for fill in fills)
    leader_exact = shares * way.leader
    at_leaders_price = -(-leader_exact // MICRO) if side is Side.BUY else leader_exact // MICRO
    cash = sum(cash_flow(fill) for fill in fills)
    theirs = -at_leaders_price if side is Side.BUY else at_leaders_price
    assert outcome.lost_usdc.total == theirs - cash
    for loss in (outcome.lost_usdc, outcome.lost_price):
        assert sum(getattr(loss, part) or 0 for part in PARTS) == loss.total
    sign = 1 if side is Side.BUY else -1
    assert outcome.lost_price.total - outcome.lost_price.fee == sign * (outcome.price - way.leader)


@given(executions(), ways())
def test_a_stretch_is_unknown_exactly_if_one_of_its_ends_is(traded: tuple[Side, list[ExecutionFill]], way: Way) -> None:
    outcome = outcome_of(traded[0], way, traded[1])
    assert outcome is not None

    ends = [way.leader, way.mid_at_decision, way.touch_at_decision, way.touch_at_placement]
    is_known = [None not in pair for pair in pairwise(ends)]
    placed = way.touch_at_placement is not None
    for loss in (outcome.lost_usdc, outcome.lost_price):
        stretches = (loss.decision_delay, loss.spread, loss.placement_delay, loss.depth, loss.rest)
        assert [stretch is not None for stretch in stretches] == [*is_known, placed, placed]
        assert loss.unknown == 0 or not all([*is_known, placed])


def test_each_part_is_named_for_what_caused_it() -> None:
    way = Way(
        leader=micro("0.50"),
        mid_at_decision=micro("0.505"),
        touch_at_decision=micro("0.51"),
        touch_at_placement=micro("0.52"),
    )
    fills = [
        a_fill(Side.BUY, micro("60"), micro("0.52"), fee=micro("0.3")),
        a_fill(Side.BUY, micro("20"), micro("0.53")),
        a_fill(Side.BUY, micro("20"), micro("0.515"), liquidity=Liquidity.MAKER),
        a_fill(Side.BUY, micro("7"), micro("0.9"), settlement=Settlement.FAILED),
    ]

    outcome = outcome_of(Side.BUY, way, fills)

    assert outcome is not None
    lost = outcome.lost_usdc
    assert (lost.decision_delay, lost.spread, lost.placement_delay) == (micro("0.5"), micro("0.5"), micro("1"))
    assert (lost.depth, lost.rest, lost.fee) == (micro("0.2"), micro("-0.1"), micro("0.3"))
    assert (lost.unknown, lost.total) == (0, micro("2.4"))
    assert (outcome.shares, outcome.price) == (micro("100"), micro("0.521"))


def test_a_sell_loses_where_a_buy_would_gain() -> None:
    way = Way(leader=micro("0.50"), mid_at_decision=micro("0.49"), touch_at_decision=micro("0.48"))

    outcome = outcome_of(Side.SELL, way, [a_fill(Side.SELL, micro("10"), micro("0.47"))])

    assert outcome is not None
    assert (outcome.lost_usdc.decision_delay, outcome.lost_usdc.spread) == (micro("0.1"), micro("0.1"))
    assert (outcome.lost_usdc.depth, outcome.lost_usdc.unknown, outcome.lost_usdc.total) == (
        None,
        micro("0.1"),
        micro("0.3"),
    )


def test_nothing_filled_cost_nothing() -> None:
    assert outcome_of(Side.BUY, Way(leader=1), []) is None


def test_of_a_book_only_the_best_levels_are_kept() -> None:
    book = a_book(bids=" ".join(f"0.{49 - n}:1" for n in range(20)), asks="0.51:5 0.52:7")

    top = top_of(book)

    assert (len(top.bids), top.bids[0], len(top.asks)) == (BOOK_LEVELS_KEPT, book.bids[0], 2)
    assert (top.mid, top.touch(Side.BUY), top.touch(Side.SELL)) == (micro("0.5"), micro("0.51"), micro("0.49"))
    assert top_of(a_book(bids="", asks="0.51:5")).mid is None


def test_a_markout_is_a_gain_for_both_sides_when_the_market_moves_our_way() -> None:
    assert markout(Side.BUY, price=micro("0.50"), mark=micro("0.53")) == micro("0.03")
    assert markout(Side.SELL, price=micro("0.50"), mark=micro("0.53")) == micro("-0.03")


def test_horizons_come_one_after_the_other_until_all_are_settled() -> None:
    marks = FillMarks(attempt_id=ATTEMPT, token_id=YES, fill_at_ms=NOW_MS)
    seen = []
    while (due := marks.next_due) is not None:
        seen.append((due[0], due[1] - NOW_MS))
        marks = marks.marked(due[0], 1) if len(seen) % 2 else marks.lacking(due[0], "NO_BOOK")

    assert seen == list(HORIZONS.items())


def test_every_reason_of_copying_belongs_to_a_rule() -> None:
    sources = [*Path(copy.__file__).parent.glob("*.py"), Path(carry.__file__)]
    written = "".join(path.read_text("utf-8") for path in sources if path.name != "verdicts.py")
    codes = set(re.findall(r'"([A-Z]{2,}(?:_[A-Z]+)+|[A-Z]{5,})"', written))
    settings = {name for guard in copy.GUARDS for name in guard.settings}
    caps = {f"CUT_BY_{cap}" for cap in ("HELD", "ORDER_CAP", "MAX_USDC_PER_TRADE")}

    told = codes - settings - {"MAX_USDC_PER_TRADE", "ORDER_CAP", "GUARDS"} | caps
    placed = {one.numbers[0][1]: one.rule for one in verdicts(map(reason, told), Side.BUY) if one.numbers}

    assert len(told) > 30
    assert {code for code, rule in placed.items() if rule == "other"} == set()


@pytest.mark.parametrize("code", ["SOMETHING_NEW", "TOO_OLD"])
def test_rules_that_are_not_named_let_the_fill_pass(code: str) -> None:
    said = verdicts([reason(code, age_ms=3)], Side.BUY)

    spoken = [one for one in said if one.numbers]
    assert [dict(one.numbers) for one in spoken] == [{"code": code, "age_ms": "3"}]
    assert spoken[0].rule == ("age" if code == "TOO_OLD" else "other")
    assert len(said) > 5


def test_rules_for_entries_are_not_asked_about_an_exit() -> None:
    told = {one.rule: one.verdict for one in verdicts([], Side.SELL)}

    assert (told["depth"], told["age"], told["holding"]) == ("not asked", "passed", "passed")


@pytest.mark.parametrize(
    ("codes", "side", "told"),
    [
        (["MARKETABLE"], Side.BUY, ["passed", "passed", "passed"]),
        (["MARKETABLE"], Side.SELL, ["passed", "not asked", "not asked"]),
        (["TOO_OLD"], Side.BUY, ["not asked", "not asked", "not asked"]),
        (["HALTED", "GATE_SOURCES"], Side.BUY, ["refused", "passed", "refused"]),
        (["RISK_MAX_OPEN_USDC", "CARRY_DROPPED"], Side.BUY, ["passed", "refused", "passed"]),
        (["MARKETABLE", "CUT_BY_RISK_MAX_OPEN_USDC"], Side.BUY, ["passed", "applied", "passed"]),
    ],
)
def test_halts_limits_and_gates_are_asked_last(codes: list[str], side: Side, told: list[str]) -> None:
    said = {one.rule: one.verdict for one in verdicts(map(reason, codes), side)}

    assert [said[rule] for rule in ("halt", "limits", "health")] == told
    assert "other" not in said
