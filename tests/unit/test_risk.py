"""Limits: what each refuses or cuts, which scope speaks, and how losses in a row and days are counted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import Reason
from copytrade.domain.drawdown import DayStart, gain_today
from copytrade.domain.exposure import Exposure, Result
from copytrade.domain.market import NO_FEES
from copytrade.domain.positions import Position
from copytrade.domain.risk import (
    DAY_MS,
    HOUR_MS,
    Entry,
    LimitName,
    Limits,
    Ruling,
    day_start_ms,
    format_value,
    judge,
    losses_in_a_row,
    parse_value,
    rests_until,
)
from copytrade.domain.scopes import EVERYTHING, Group, Line, Scope
from tests.makers import NOW_MS, micro

ANN, BOB = "0x" + "a" * 40, "0x" + "b" * 40
DESK, OF_ANN, OF_BOB = Scope("copy", "paper"), Scope(leader=ANN), Scope(leader=BOB)
LINE = Line("copy", "paper", ANN, "1")
RAIN = Group("rain", "weather", "nature")


def an_entry(*, shares: str = "100", **changes: Any) -> Entry:
    """Return an entry of 100 shares at up to 0.50 in a market without fees."""
    facts: dict[str, Any] = {
        "line": LINE,
        "group": RAIN,
        "shares": micro(shares),
        "limit": micro("0.5"),
        "fees": NO_FEES,
        "least_shares": micro("5"),
        "least_usdc": 0,
        "now_ms": NOW_MS,
    }
    return Entry(**(facts | changes))


def holding(usdc: str, *, token: str = "2", group: Group = RAIN, leader: str = ANN) -> Exposure:
    """Return an exposure with so much at stake in one token."""
    exposure = Exposure()
    hold(exposure, usdc, token=token, group=group, leader=leader)
    return exposure


def hold(exposure: Exposure, usdc: str, *, token: str, group: Group = RAIN, leader: str = ANN) -> None:
    line = Line("copy", "paper", leader, token)
    exposure.map_token(token, group)
    exposure.bought(uuid4(), line, shares=micro(usdc), cost=micro(usdc), fee=0, is_today=True)


def ruled(name: LimitName, value: int, exposure: Exposure, *, scope: Scope = EVERYTHING, **changes: Any) -> Ruling:
    return judge(an_entry(**changes), Limits({(name, scope): value}), exposure)


def codes(ruling: Ruling) -> list[str]:
    return [one.code for one in ruling.reasons]


CASES = {
    LimitName.MAX_USDC_PER_TRADE: Exposure(),
    LimitName.MAX_USDC_PER_LEADER: holding("30", group=Group("x", "x", "x")),
    LimitName.LEADER_BUDGET_USDC: holding("30", group=Group("x", "x", "x")),
    LimitName.MAX_USDC_PER_MARKET: holding("30", leader=BOB),
    LimitName.MAX_USDC_PER_EVENT: holding("30", leader=BOB, group=Group("x", "weather", "x")),
    LimitName.MAX_USDC_PER_CATEGORY: holding("30", leader=BOB, group=Group("x", "x", "nature")),
    LimitName.MAX_USDC_PER_DAY: holding("30", leader=BOB, group=Group("x", "x", "x")),
    LimitName.MAX_OPEN_USDC: holding("30", leader=BOB, group=Group("x", "x", "x")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_limit_in_usdc_cuts_what_does_not_fit_and_says_so(name: LimitName) -> None:
    used = "0.00" if name is LimitName.MAX_USDC_PER_TRADE else "30.00"

    ruling = ruled(name, micro(used) + micro("20"), CASES[name])

    assert ruling.shares == micro("39.99")
    [said] = ruling.reasons
    assert said.as_json() == {
        "code": f"CUT_BY_RISK_{name}",
        "limit": "20.00" if used == "0.00" else "50.00",
        "value": used,
        "size": "39.99",
        "scope": "global",
    }


@pytest.mark.parametrize("name", CASES)
def test_a_limit_in_usdc_skips_what_would_be_below_the_minimum(name: LimitName) -> None:
    used = "0.00" if name is LimitName.MAX_USDC_PER_TRADE else "30.00"

    ruling = ruled(name, micro(used) + micro("2"), CASES[name])

    assert ruling.shares == 0
    [said] = ruling.reasons
    assert said.code == f"RISK_{name}"
    assert dict(said.numbers) == {
        "limit": "2.00" if used == "0.00" else "32.00",
        "value": used,
        "order": "50.001",
        "scope": "global",
    }


@pytest.mark.parametrize("name", CASES)
def test_a_limit_in_usdc_lets_through_what_fits(name: LimitName) -> None:
    assert ruled(name, micro("80.001"), CASES[name]) == Ruling(shares=micro("100"), reasons=())


@pytest.mark.parametrize("name", [name for name in CASES if name is not LimitName.MAX_USDC_PER_TRADE])
def test_a_limit_counts_only_what_belongs_to_its_subject(name: LimitName) -> None:
    elsewhere = holding("900", leader=BOB, group=Group("x", "x", "x"))
    counts_all = {LimitName.MAX_USDC_PER_DAY, LimitName.MAX_OPEN_USDC}

    assert codes(ruled(name, micro("60"), elsewhere)) == ([f"RISK_{name}"] if name in counts_all else [])


def test_every_usdc_limit_is_among_the_cases() -> None:
    assert set(CASES) == {name for name in LimitName if name.is_usdc} - {LimitName.DAILY_DRAWDOWN_USDC}


def test_a_marketable_order_is_not_cut_below_a_dollar() -> None:
    small = {"least_shares": micro("0.01"), "least_usdc": micro("1")}

    assert codes(ruled(LimitName.MAX_OPEN_USDC, micro("0.9"), Exposure(), **small)) == ["RISK_MAX_OPEN_USDC"]
    assert codes(ruled(LimitName.MAX_OPEN_USDC, micro("1.1"), Exposure(), **small)) == ["CUT_BY_RISK_MAX_OPEN_USDC"]


def test_the_tightest_limit_decides_and_all_that_cut_are_named() -> None:
    limits = Limits(
        {
            (LimitName.MAX_OPEN_USDC, EVERYTHING): micro("20"),
            (LimitName.MAX_USDC_PER_MARKET, DESK): micro("30"),
            (LimitName.MAX_USDC_PER_TRADE, OF_ANN): micro("1000"),
        }
    )

    ruling = judge(an_entry(), limits, Exposure())

    assert ruling.shares == micro("39.99")
    assert codes(ruling) == ["CUT_BY_RISK_MAX_OPEN_USDC", "CUT_BY_RISK_MAX_USDC_PER_MARKET"]


def test_a_refusal_is_not_mixed_with_cuts() -> None:
    limits = Limits({(LimitName.MAX_OPEN_USDC, EVERYTHING): micro("20"), (LimitName.MAX_OPEN_POSITIONS, EVERYTHING): 0})

    assert codes(judge(an_entry(), limits, Exposure())) == ["RISK_MAX_OPEN_POSITIONS"]


@pytest.mark.parametrize("scope", [EVERYTHING, DESK, OF_ANN])
def test_a_limit_holds_in_its_scope(scope: Scope) -> None:
    exposure = holding("30")
    hold(exposure, "30", token="3", leader=BOB)
    used = "30.00" if scope == OF_ANN else "60.00"

    [said] = ruled(LimitName.MAX_OPEN_USDC, micro("25"), exposure, scope=scope).reasons

    assert dict(said.numbers)["value"] == used


def test_a_limit_of_another_scope_says_nothing() -> None:
    for scope in (OF_BOB, Scope("copy", "live"), Scope("other", "paper")):
        assert ruled(LimitName.MAX_OPEN_USDC, 0, Exposure(), scope=scope).reasons == ()


def test_a_leaders_own_value_goes_before_the_general_one_where_each_leader_is_limited() -> None:
    limits = Limits(
        {
            (LimitName.MAX_USDC_PER_LEADER, EVERYTHING): micro("10"),
            (LimitName.MAX_USDC_PER_LEADER, OF_ANN): micro("500"),
            (LimitName.MAX_OPEN_USDC, EVERYTHING): micro("40"),
            (LimitName.MAX_OPEN_USDC, OF_ANN): micro("500"),
        }
    )

    assert codes(judge(an_entry(), limits, Exposure())) == ["CUT_BY_RISK_MAX_OPEN_USDC"]
    his = an_entry(line=LINE._replace(leader=BOB))
    assert codes(judge(his, limits, Exposure())) == [
        "CUT_BY_RISK_MAX_USDC_PER_LEADER",
        "CUT_BY_RISK_MAX_OPEN_USDC",
    ]


def test_one_position_more_is_refused_and_more_of_an_open_one_is_not() -> None:
    exposure = holding("30")

    [said] = ruled(LimitName.MAX_OPEN_POSITIONS, 1, exposure).reasons
    assert said.as_json() == {"code": "RISK_MAX_OPEN_POSITIONS", "limit": "1", "value": "1", "scope": "global"}
    assert ruled(LimitName.MAX_OPEN_POSITIONS, 2, exposure).reasons == ()
    assert ruled(LimitName.MAX_OPEN_POSITIONS, 1, exposure, line=LINE._replace(token_id="2")).reasons == ()
    assert codes(ruled(LimitName.MAX_OPEN_POSITIONS, 0, exposure, line=LINE._replace(token_id="2"))) == [
        "RISK_MAX_OPEN_POSITIONS"
    ]


def test_an_open_buy_is_a_position() -> None:
    exposure = Exposure()
    exposure.open_order(uuid4(), LINE._replace(token_id="2"), shares=LOT, limit=micro("0.5"), fees=NO_FEES)

    assert codes(ruled(LimitName.MAX_OPEN_POSITIONS, 1, exposure)) == ["RISK_MAX_OPEN_POSITIONS"]


LOT = 10_000


def test_one_entry_more_within_a_minute_is_refused() -> None:
    exposure = Exposure()
    for number in range(3):
        exposure.count_entry(uuid4(), LINE, at_ms=NOW_MS + number * 10_000)

    [said] = ruled(LimitName.MAX_ATTEMPTS_PER_MINUTE, 3, exposure, now_ms=NOW_MS + 59_999).reasons
    assert dict(said.numbers)["value"] == "3"
    assert ruled(LimitName.MAX_ATTEMPTS_PER_MINUTE, 4, exposure, now_ms=NOW_MS + 59_999).reasons == ()
    assert ruled(LimitName.MAX_ATTEMPTS_PER_MINUTE, 3, exposure, now_ms=NOW_MS + 60_000).reasons == ()


def results(*nets: int, every_ms: int = 1_000, scopes: tuple[Scope, ...] = LINE.scopes) -> list[Result]:
    return [Result(NOW_MS + number * every_ms, net, scopes) for number, net in enumerate(nets)]


def test_after_losses_in_a_row_entries_rest_for_a_while() -> None:
    exposure = Exposure()
    exposure.results.extend(results(-1, -1, -1))
    limits = {(LimitName.LOSS_STREAK_MAX, EVERYTHING): 3, (LimitName.LOSS_STREAK_COOLDOWN_MS, EVERYTHING): 60_000}
    over_ms = NOW_MS + 2_000 + 60_000

    [said] = judge(an_entry(now_ms=over_ms - 1), Limits(limits), exposure).reasons
    assert said == Reason(
        code="RISK_LOSS_STREAK_MAX",
        numbers=(("limit", "3"), ("value", "3 in a row, 1 ms to go"), ("scope", "global")),
    )
    assert judge(an_entry(now_ms=over_ms), Limits(limits), exposure).reasons == ()


def test_losses_of_another_leader_do_not_rest_his_entries() -> None:
    exposure = Exposure()
    exposure.results.extend(results(-1, -1, scopes=LINE._replace(leader=BOB).scopes))

    assert ruled(LimitName.LOSS_STREAK_MAX, 2, exposure, scope=OF_ANN).reasons == ()
    assert codes(ruled(LimitName.LOSS_STREAK_MAX, 2, exposure)) == ["RISK_LOSS_STREAK_MAX"]


@pytest.mark.parametrize(
    ("nets", "row", "rests"),
    [
        ((), 0, False),
        ((-1, -1), 2, False),
        ((-1, -1, -1), 0, True),
        ((-1, -1, 5, -1, -1), 2, False),
        ((-1, -1, 0, -1), 1, False),
    ],
)
def test_a_gain_begins_the_row_anew(nets: tuple[int, ...], row: int, rests: bool) -> None:
    losses, until_ms = losses_in_a_row(results(*nets), losses_max=3, cooldown_ms=60_000)

    assert (losses, until_ms is not None) == (row, rests)


def test_a_rest_that_is_over_begins_the_row_anew() -> None:
    nets = results(-1, -1, -1, every_ms=40_000)

    assert rests_until(nets[:2], losses_max=2, cooldown_ms=30_000) == NOW_MS + 70_000
    assert losses_in_a_row(nets, losses_max=2, cooldown_ms=30_000) == (1, None)


@given(now_ms=st.integers(NOW_MS - 3 * DAY_MS, NOW_MS + 3 * DAY_MS), hour=st.integers(0, 23))
def test_a_day_begins_at_its_hour_and_holds_the_instant(now_ms: int, hour: int) -> None:
    start_ms = day_start_ms(now_ms, reset_hour=hour)

    assert start_ms % DAY_MS == hour * HOUR_MS
    assert start_ms <= now_ms < start_ms + DAY_MS


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (LimitName.MAX_OPEN_USDC, "12.5", 12_500_000),
        (LimitName.MAX_OPEN_USDC, "0", 0),
        (LimitName.MAX_OPEN_POSITIONS, "12", 12),
        (LimitName.LOSS_STREAK_COOLDOWN_MS, "60000", 60_000),
    ],
)
def test_a_value_is_read_in_its_unit_and_written_the_same(name: LimitName, text: str, value: int) -> None:
    assert parse_value(name, text) == value
    assert parse_value(name, format_value(name, value)) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (LimitName.MAX_OPEN_USDC, "-1"),
        (LimitName.MAX_OPEN_USDC, "lots"),
        (LimitName.MAX_OPEN_USDC, "1000000001"),
        (LimitName.MAX_OPEN_POSITIONS, "1.5"),
        (LimitName.MAX_OPEN_POSITIONS, ""),
        (LimitName.LOSS_STREAK_COOLDOWN_MS, "86400001"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_what_is_accepted(name: LimitName, text: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; accepted: "):
        parse_value(name, text)


def a_position(token_id: str, *, shares: str = "0", cost: str = "0", realized: str = "0", fees: str = "0") -> Position:
    return Position(
        strategy_id="copy",
        account_id="paper",
        token_id=token_id,
        shares=micro(shares),
        cost_usdc=micro(cost),
        realized_pnl_usdc=micro(realized),
        fees_usdc=micro(fees),
    )


def a_day(*, realized: str = "0", **unrealized: str | None) -> DayStart:
    return DayStart(
        strategy_id="copy",
        account_id="paper",
        started_at_ms=NOW_MS,
        realized_usdc=micro(realized),
        unrealized_usdc={token: None if text is None else micro(text) for token, text in unrealized.items()},
    )


@pytest.mark.parametrize(
    ("day", "positions", "marks", "gain"),
    [
        # Bought today at 50, worth 40 now, a fee of 1.
        (a_day(), [a_position("a", shares="100", cost="50", fees="1")], {"a": "0.4"}, "-11"),
        # Held since yesterday, when it was 5 up; it is 10 down now.
        (a_day(a="5"), [a_position("a", shares="100", cost="50")], {"a": "0.4"}, "-15"),
        # Sold today at what it was worth when the day began: nothing is lost today.
        (a_day(realized="3", a="-10"), [a_position("a", realized="-7")], {}, "0"),
        # No mark: it stands as it stood when the day began, and one bought today at its cost.
        (a_day(a="80"), [a_position("a", shares="1", cost="1")], {}, "0"),
        (a_day(), [a_position("b", shares="1", cost="9")], {}, "0"),
        # Nobody has told a price since before the day began: what it would gain is not of today.
        (a_day(a=None), [a_position("a", shares="100", cost="50")], {"a": "0.1"}, "0"),
        # A share that is worth nothing is worth nothing.
        (a_day(a="0"), [a_position("a", shares="100", cost="50")], {"a": "0"}, "-50"),
    ],
)
def test_the_gain_of_a_day_is_realised_and_marked(
    day: DayStart, positions: list[Position], marks: dict[str, str], gain: str
) -> None:
    prices = {token_id: micro(text) for token_id, text in marks.items()}

    realized = sum(position.realized_pnl_usdc - position.fees_usdc for position in positions)
    held = [position for position in positions if position.shares]
    assert gain_today(day, realized, held, prices.get) == micro(gain)
