"""When an account goes up the ladder, and when it comes down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.fills import Side
from copytrade.domain.ladder import HOUR_MS, TINY_USDC, Divergence, Rung, Standing, ceiling, fault, lacking, measure
from copytrade.domain.risk import LimitName
from copytrade.domain.shadow import Run, ShadowedAttempt
from tests.makers import NOW_MS, micro

ENOUGH = Divergence(shadows=20, orders=20, live_filled=90, paper_filled=100, worse_bps=100, alarms=0)
RUNGS = list(Rung)


def standing(rung: Rung) -> Standing:
    return Standing(account_id="live-1", rung=rung, revision=1, moved_by="ann", why="", since_ms=NOW_MS)


def missing(rung: Rung, found: Divergence, *, hours: int = 24) -> list[str]:
    return [*lacking(standing(rung), found, now_ms=NOW_MS + hours * HOUR_MS)]


def one(number: int, *, live: str, paper: str, price: str = "0.5", side: Side = Side.BUY, **changes: Any) -> Any:
    """Return an attempt for 10 shares of which so many were filled at `price`, on paper at 0.50."""

    def run(shares: str, at: str) -> Run:
        return Run(
            status=AttemptStatus.CANCELED,
            filled_shares=micro(shares),
            filled_usdc=micro(shares) * micro(at) // 10**6,
        )

    facts = {
        "attempt_id": UUID(int=number),
        "token_id": "1",
        "is_sent": True,
        "side": side,
        "decided_at_ms": NOW_MS,
        "target_shares": micro("10"),
        "live": run(live, price),
        "paper": run(paper, "0.5"),
    }
    return ShadowedAttempt(**(facts | changes))


@given(st.sampled_from(RUNGS), st.sampled_from(list(LimitName)), st.none() | st.integers(0, 10**12))
def test_no_rung_allows_more_than_the_cap_nor_than_the_rung_above(rung: Rung, name: LimitName, cap: int | None) -> None:
    allowed = ceiling(rung, name, cap)
    above = ceiling(rung.above, name, cap) if rung.above else cap

    assert above is None or (allowed is not None and allowed <= above)
    assert ceiling(Rung.FULL, name, cap) == cap


def test_a_quarter_of_a_high_cap_holds_and_of_a_low_one_what_is_tiny() -> None:
    name = LimitName.MAX_USDC_PER_TRADE

    assert ceiling(Rung.RAMP_25, name, micro("100")) == micro("25")
    assert ceiling(Rung.RAMP_25, name, micro("8")) == TINY_USDC[name]
    assert ceiling(Rung.TINY, name, micro("3")) == micro("3")
    assert ceiling(Rung.TINY, LimitName.DAILY_DRAWDOWN_USDC, micro("7")) == micro("7")


def test_from_paper_one_goes_up_as_soon_as_one_likes_and_from_shadow_after_twenty_and_a_day() -> None:
    nothing = replace(ENOUGH, shadows=0, orders=0, worse_bps=None, live_filled=0, paper_filled=0)

    assert missing(Rung.PAPER, nothing, hours=0) == []
    assert len(missing(Rung.SHADOW, nothing, hours=0)) == 2
    assert missing(Rung.SHADOW, replace(nothing, shadows=20)) == []
    assert missing(Rung.SHADOW, replace(nothing, shadows=19)) == ["19 shadows are over; 20 are needed"]


@pytest.mark.parametrize(
    ("changes", "lacks", "falls"),
    [
        ({}, 0, False),
        ({"orders": 19}, 1, False),
        ({"worse_bps": 101}, 1, False),
        ({"worse_bps": 200}, 1, False),
        ({"worse_bps": 201}, 1, True),
        ({"worse_bps": 201, "orders": 9}, 2, False),
        ({"live_filled": 84}, 1, False),
        ({"live_filled": 69}, 1, True),
        ({"live_filled": 100, "paper_filled": 10}, 0, False),
        ({"alarms": 1}, 1, True),
        ({"alarms": 1, "orders": 0}, 2, True),
    ],
)
def test_what_keeps_real_orders_from_going_up_and_what_takes_them_down(
    changes: dict[str, Any], lacks: int, falls: bool
) -> None:
    found = replace(ENOUGH, **changes)

    assert len(missing(Rung.TINY, found)) == lacks
    assert (fault(standing(Rung.TINY), found) is not None) == falls
    assert fault(standing(Rung.SHADOW), found) is None


def test_only_real_orders_that_are_over_on_both_sides_are_measured() -> None:
    still_open = Run(status=AttemptStatus.PARTIAL, filled_shares=micro("1"), filled_usdc=micro("1"))
    found = measure(
        [
            one(1, live="5", paper="10", price="0.51"),
            one(2, live="10", paper="10", price="0.50"),
            one(3, live="0", paper="10", is_sent=False),
            replace(one(4, live="0", paper="0"), live=still_open),
        ],
        alarms=0,
    )

    assert (found.shadows, found.orders) == (3, 2)
    assert (found.live_filled, found.paper_filled) == (75, 100)
    assert found.worse_bps == 68  # 200 bps of 2.55 USDC, 0 of 5


def test_a_sale_below_the_price_on_paper_is_worse_too() -> None:
    assert measure([one(1, live="10", paper="10", price="0.49", side=Side.SELL)], alarms=0).worse_bps == 200
    assert measure([one(1, live="10", paper="10", price="0.51", side=Side.SELL)], alarms=0).worse_bps == -200
