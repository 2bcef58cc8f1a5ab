"""The events of one order of a leader are copied as one order would be, none of them waiting for another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import Decision
from copytrade.domain.fills import LeaderRole, Side, Source
from copytrade.domain.sizing import SizingMode
from copytrade.domain.units import MICRO, notional_up
from tests.copying import Desk, codes, numbers, rules
from tests.makers import a_fill, a_place, micro

WINDOW_MS = 60_000


def a_desk(cap: str = "100", **changes: object) -> Desk:
    return Desk(rules(order_window_ms=WINDOW_MS, max_usdc_per_trade=micro(cap), **changes))


def test_the_first_event_is_copied_at_once_and_the_next_ones_share_its_cap() -> None:
    desk = a_desk("50")

    sizes = [desk.sees(micro("60"), order=1, after_ms=500).size for _ in range(3)]

    assert sizes == [micro("60"), micro("38.03"), 0]
    assert numbers(desk.verdicts[1], "CUT_BY_ORDER_CAP") == {
        "size": "38.03",
        "asked": "60.00",
        "max_usdc": "50.00",
        "order_usdc": "30.60",
    }
    assert numbers(desk.verdicts[2], "ORDER_CAP_REACHED") == {
        "order_usdc": "49.9953",
        "max_usdc": "50.00",
        "events": "2",
    }


def test_another_order_has_a_cap_of_its_own() -> None:
    desk = a_desk("50")
    desk.sees(micro("100"), order=1)

    verdict = desk.sees(micro("60"), order=2)

    assert (verdict.size, codes(verdict)) == (micro("60"), ["MARKETABLE"])


def test_after_the_window_an_order_may_be_copied_with_the_cap_again() -> None:
    desk = a_desk("50")
    desk.sees(micro("100"), order=1)

    assert desk.sees(micro("60"), order=1, after_ms=WINDOW_MS).decision is Decision.SKIP
    assert desk.sees(micro("60"), order=1, after_ms=1).size == micro("60")


def test_without_a_window_each_event_is_capped_by_itself() -> None:
    desk = Desk(rules(order_window_ms=0, max_usdc_per_trade=micro("50")))

    assert [desk.sees(micro("60"), order=1).size for _ in range(2)] == [micro("60"), micro("60")]


def test_events_below_the_minimum_add_up_to_an_order() -> None:
    desk = a_desk(carry_max_age_ms=600_000)

    sizes = [desk.sees(micro("2"), order=1, after_ms=200).size for _ in range(6)]

    assert sizes == [0, 0, micro("6"), 0, 0, micro("6")]
    assert not desk.waiting


def test_a_fixed_amount_is_spent_once_for_each_order() -> None:
    desk = a_desk(sizing_mode=SizingMode.FIXED_USDC, fixed_usdc=micro("10"))

    verdicts = [desk.sees(micro("60"), order=1, after_ms=500) for _ in range(2)]

    assert [verdict.size for verdict in verdicts] == [micro("19.60"), 0]
    assert numbers(verdicts[1], "ORDER_COPIED") == {"order_usdc": "9.996", "events": "1"}
    assert desk.sees(micro("60"), order=2).size == micro("19.60")


def test_an_event_that_was_refused_takes_nothing_from_the_next() -> None:
    desk = a_desk("50", price_max=micro("0.55"))
    desk.sees(micro("60"), order=1, price="0.60")

    assert desk.sees(micro("60"), order=1).size == micro("60")


def test_an_exit_has_no_cap_to_share() -> None:
    desk = a_desk("1")
    desk.held = micro("300")

    sizes = [desk.sees(micro("150"), order=1, side=Side.SELL).size for _ in range(2)]

    assert sizes == [micro("150"), micro("150")]


def test_what_an_api_told_first_is_found_by_its_transaction() -> None:
    desk = a_desk("50")
    told = {"source": Source.DATA_API, "place": None, "role": LeaderRole.UNKNOWN, "fee": None}
    first = a_fill(size="60", fill_ts_ms=desk.now_ms, **told)
    on_chain = a_fill(size="60", fill_ts_ms=desk.now_ms, place=a_place(log_index=9))

    assert desk.decides(first).size == micro("60")
    assert desk.decides(on_chain).size == micro("38.03")


@given(
    sizes=st.lists(st.integers(1, micro("400")), min_size=1, max_size=10),
    gaps_ms=st.lists(st.integers(0, WINDOW_MS), min_size=10, max_size=10),
    cap=st.integers(MICRO, micro("150")),
    carry_ms=st.sampled_from([0, 600_000]),
    mode=st.sampled_from([SizingMode.RATIO, SizingMode.FIXED_USDC]),
)
def test_within_any_window_an_order_costs_no_more_than_the_cap(
    sizes: list[int], gaps_ms: list[int], cap: int, carry_ms: int, mode: SizingMode
) -> None:
    desk = Desk(rules(order_window_ms=WINDOW_MS, max_usdc_per_trade=cap, carry_max_age_ms=carry_ms, sizing_mode=mode))
    spent: list[tuple[int, int]] = []
    for size, gap_ms in zip(sizes, gaps_ms, strict=False):
        verdict = desk.sees(size, order=1, after_ms=gap_ms)
        spent.append((desk.now_ms, notional_up(verdict.size, verdict.limit)))

        assert sum(usdc for at_ms, usdc in spent if at_ms >= desk.now_ms - WINDOW_MS) <= cap
