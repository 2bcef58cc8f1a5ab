"""What is at stake: the worst case of an order, and how fills, exits and restarts move it."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copytrade.domain.exposure import Exposure
from copytrade.domain.fees import taker_fee_down
from copytrade.domain.market import NO_FEES, FeeSchedule
from copytrade.domain.risk import used_of_leader, used_today
from copytrade.domain.scopes import EVERYTHING, Group, Line, Scope, Subject
from copytrade.domain.units import LOT, MICRO, notional_up
from copytrade.domain.worst_case import affordable, worst_case
from tests.makers import NOW_MS, micro

ANN, BOB = "0x" + "a" * 40, "0x" + "b" * 40
LINE = Line("copy", "paper", ANN, "1")
PRICES = st.integers(1, 999).map(lambda price: price * 1_000)
FEES = st.builds(FeeSchedule, rate=st.integers(0, 200_000), exponent=st.integers(1, 2))


def an_exposure(*, shares: str = "100", limit: str = "0.5", line: Line = LINE) -> tuple[Exposure, UUID]:
    """Return an exposure with one open buy, in a market without fees."""
    exposure, attempt_id = Exposure(), uuid4()
    exposure.map_token("1", Group("market", "event", "category"))
    exposure.open_order(attempt_id, line, shares=micro(shares), limit=micro(limit), fees=NO_FEES)
    return exposure, attempt_id


@given(
    limit=PRICES,
    fees=FEES,
    matches=st.lists(st.tuples(st.integers(1, 50 * MICRO), st.integers(0, 999_000)), min_size=1, max_size=60),
)
@example(limit=999_000, fees=NO_FEES, matches=[(1, 0)] * 60)
def test_whatever_an_order_pays_is_within_its_worst_case_at_every_match(
    limit: int, fees: FeeSchedule, matches: list[tuple[int, int]]
) -> None:
    exposure, attempt_id = Exposure(), uuid4()
    exposure.open_order(attempt_id, LINE, shares=sum(shares for shares, _ in matches), limit=limit, fees=fees)
    most = exposure.at_stake(EVERYTHING, Subject.ALL)
    paid = 0
    for shares, better in matches:
        price = max(1_000, limit - better)
        cost, fee = notional_up(shares, price), taker_fee_down(fees, shares=shares, price=price)
        paid += cost + fee
        exposure.bought(attempt_id, LINE, shares=shares, cost=cost, fee=fee, is_today=True)

        assert paid <= used_today(exposure, EVERYTHING) <= most
        assert exposure.at_stake(EVERYTHING, Subject.ALL) <= most
        assert used_of_leader(exposure, EVERYTHING, ANN) <= most
    exposure.close_order(attempt_id)
    assert used_today(exposure, EVERYTHING) == paid
    assert used_of_leader(exposure, EVERYTHING, ANN) == paid


def test_paying_less_for_a_share_never_costs_more_with_its_fee() -> None:
    fees = FeeSchedule(rate=micro("0.07"), exponent=1)

    dear = worst_case(micro("100"), micro("0.8"), fees)

    assert taker_fee_down(fees, shares=micro("100"), price=micro("0.5")) > taker_fee_down(
        fees, shares=micro("100"), price=micro("0.8")
    )
    assert all(
        notional_up(micro("100"), price * 1_000) + taker_fee_down(fees, shares=micro("100"), price=price * 1_000)
        <= dear
        for price in range(1, 801)
    )


@given(room=st.integers(-MICRO, 10_000 * MICRO), limit=PRICES, fees=FEES)
def test_what_is_affordable_fits_and_one_lot_more_does_not(room: int, limit: int, fees: FeeSchedule) -> None:
    shares = affordable(room, limit, fees)

    assert shares % LOT == 0
    assert shares == 0 or worst_case(shares, limit, fees) <= room
    assert worst_case(shares + LOT, limit, fees) > room


def test_what_is_at_stake_is_summed_by_everything_a_limit_may_ask() -> None:
    exposure, _ = an_exposure()
    most = worst_case(micro("100"), micro("0.5"), NO_FEES)

    for scope in (EVERYTHING, Scope("copy", "paper"), Scope(leader=ANN)):
        assert exposure.at_stake(scope, Subject.ALL) == most
        assert exposure.at_stake(scope, Subject.MARKET, "market") == most
        assert exposure.at_stake(scope, Subject.EVENT, "event") == most
        assert exposure.at_stake(scope, Subject.CATEGORY, "category") == most
        assert exposure.at_stake(scope, Subject.LEADER, ANN) == most
        assert exposure.positions(scope) == 1
    for scope in (Scope("copy", "live"), Scope(leader=BOB)):
        assert exposure.at_stake(scope, Subject.ALL) == 0
        assert exposure.positions(scope) == 0


def test_an_order_that_ends_unfilled_leaves_nothing_at_stake() -> None:
    exposure, attempt_id = an_exposure()

    exposure.close_order(attempt_id)
    exposure.close_order(attempt_id)

    assert exposure.at_stake(EVERYTHING, Subject.ALL) == 0
    assert exposure.positions(EVERYTHING) == 0
    assert exposure.tokens() == ()


def test_a_fill_below_the_limit_frees_what_it_saved_once_the_order_is_over() -> None:
    exposure, attempt_id = an_exposure()

    exposure.bought(attempt_id, LINE, shares=micro("100"), cost=micro("40"), fee=0, is_today=True)

    assert exposure.at_stake(EVERYTHING, Subject.ALL) == micro("40")
    assert exposure.in_flight(EVERYTHING) == 0


BOBS = LINE._replace(leader=BOB)


def held_after_both() -> Exposure:
    """Return 100 shares bought after Ann for 50 and 300 after Bob for 210: 400 at a cost of 260."""
    exposure, attempt_id = an_exposure()
    exposure.bought(attempt_id, LINE, shares=micro("100"), cost=micro("50"), fee=0, is_today=True)
    exposure.close_order(attempt_id)
    exposure.came(BOBS, shares=micro("300"), cost=micro("210"))
    return exposure


def staked(exposure: Exposure) -> tuple[int, int, int]:
    """Return what is at stake after Ann, after Bob, and in all."""
    his = [exposure.at_stake(EVERYTHING, Subject.LEADER, leader) for leader in (ANN, BOB)]
    return (*his, exposure.at_stake(EVERYTHING, Subject.ALL))


def test_a_leaders_exit_takes_his_own_part_first_and_then_the_others() -> None:
    exposure = held_after_both()
    assert staked(exposure) == (micro("50"), micro("210"), micro("260"))

    exposure.went(BOBS, shares=micro("150"), net=micro("60"), cost_left=micro("162.5"), is_today=True, is_his=True)
    assert staked(exposure) == (micro("50"), micro("105"), micro("162.5"))
    assert (exposure.lost_today(EVERYTHING, ANN), exposure.lost_today(EVERYTHING, BOB)) == (0, micro("45"))

    exposure.went(LINE, shares=micro("175"), net=micro("70"), cost_left=micro("48.75"), is_today=True, is_his=True)
    assert staked(exposure) == (0, micro("52.5"), micro("48.75"))
    assert exposure.lost_today(EVERYTHING, ANN) == micro("10")
    assert exposure.lost_today(EVERYTHING, BOB) == micro("45") + micro("22.5")
    assert exposure.positions(Scope(leader=ANN)) == 0


def test_a_settlement_takes_from_every_leader_in_proportion() -> None:
    exposure = held_after_both()

    exposure.went(BOBS, shares=micro("200"), net=micro("200"), cost_left=micro("130"), is_today=True, is_his=False)
    assert staked(exposure) == (micro("25"), micro("105"), micro("130"))

    exposure.went(BOBS, shares=micro("200"), net=0, cost_left=0, is_today=True, is_his=False)
    assert staked(exposure) == (0, 0, 0)
    assert exposure.lost_today(EVERYTHING, BOB) == 0 + micro("105") - micro("45")
    assert exposure.tokens() == ()


def test_nobodys_part_grows_by_what_another_does() -> None:
    exposure = held_after_both()

    exposure.went(LINE, shares=micro("100"), net=micro("10"), cost_left=micro("195"), is_today=True, is_his=True)

    assert staked(exposure) == (0, micro("210"), micro("195"))


def test_no_line_gives_up_more_than_it_holds_however_small_the_lines_are() -> None:
    exposure = Exposure()
    lines = [LINE._replace(leader=f"0x{number}") for number in range(3)]
    for line in lines:
        exposure.came(line, shares=1, cost=1)

    exposure.went(LINE, shares=2, net=0, cost_left=1, is_today=False, is_his=True)
    assert sum(exposure.at_stake(EVERYTHING, Subject.LEADER, line.leader) for line in lines) == 1
    exposure.went(LINE, shares=9, net=0, cost_left=0, is_today=False, is_his=True)
    assert exposure.positions(EVERYTHING) == 0


def test_a_gain_is_no_loss_and_a_new_day_forgets_both() -> None:
    exposure, attempt_id = an_exposure()
    half = {"shares": micro("50"), "is_today": True, "is_his": True}
    exposure.bought(attempt_id, LINE, shares=micro("100"), cost=micro("50"), fee=micro("1"), is_today=True)
    assert exposure.lost_today(EVERYTHING, ANN) == micro("1")

    exposure.went(LINE, net=micro("45"), cost_left=micro("25"), **half)
    assert exposure.lost_today(EVERYTHING, ANN) == 0

    exposure.start_day()
    assert (exposure.spent_today(EVERYTHING), exposure.lost_today(EVERYTHING, ANN)) == (0, 0)
    exposure.went(LINE, net=micro("5"), cost_left=0, **half)
    assert exposure.lost_today(EVERYTHING, ANN) == micro("20")


def test_money_in_a_market_not_known_yet_counts_in_every_market_and_group() -> None:
    exposure = Exposure()
    exposure.came(LINE, shares=micro("10"), cost=micro("5"))
    exposure.open_order(uuid4(), LINE, shares=micro("2"), limit=micro("0.5"), fees=NO_FEES)
    both = micro("5") + worst_case(micro("2"), micro("0.5"), NO_FEES)

    assert exposure.unmapped() == ("1",)
    for scope in (EVERYTHING, Scope("copy", "paper"), Scope(leader=ANN)):
        assert exposure.at_stake(scope, Subject.EVENT, "whatever") == both

    exposure.map_token("1", Group("market", "event", "category"))
    assert exposure.unmapped() == ()
    for scope in (EVERYTHING, Scope("copy", "paper"), Scope(leader=ANN)):
        assert exposure.at_stake(scope, Subject.EVENT, "whatever") == 0
        assert exposure.at_stake(scope, Subject.EVENT, "event") == both

    exposure.map_token("1", Group("market", "another", "category"))
    assert exposure.at_stake(EVERYTHING, Subject.EVENT, "event") == 0
    assert exposure.largest(EVERYTHING, Subject.EVENT) == ("another", both)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["come", "go", "open", "fill", "close", "map"]),
        st.sampled_from([ANN, BOB]),
        st.sampled_from(["1", "2"]),
        st.integers(1, 9 * MICRO),
    ),
    max_size=40,
)


@given(moves=MOVES)
def test_what_is_at_stake_is_the_same_however_often_it_is_asked(moves: list[tuple[str, str, str, int]]) -> None:
    asked, silent = Exposure(), Exposure()
    for exposure in (asked, silent):
        orders: list[tuple[UUID, Line]] = []
        for number, (what, leader, token_id, amount) in enumerate(moves):
            line = Line("copy", "paper", leader, token_id)
            if what == "come":
                exposure.came(line, shares=amount, cost=amount // 2)
            elif what == "go":
                left = exposure.cost_on(line.owner, token_id) // 3
                exposure.went(line, shares=amount, net=amount, cost_left=left, is_today=True, is_his=amount % 2 == 0)
            elif what == "open":
                orders.append((UUID(int=number), line))
                exposure.open_order(UUID(int=number), line, shares=amount, limit=micro("0.4"), fees=NO_FEES)
            elif what == "fill" and orders:
                attempt_id, of = orders[-1]
                exposure.bought(attempt_id, of, shares=amount // 4 + 1, cost=amount // 9, fee=1, is_today=False)
            elif what == "close" and orders:
                exposure.close_order(orders.pop()[0])
            elif what == "map":
                exposure.map_token(token_id, Group(f"market {amount % 2}", "event", "category"))
            if exposure is asked:
                everything_said_by(exposure)

    assert everything_said_by(asked) == everything_said_by(silent)


def everything_said_by(exposure: Exposure) -> list[int]:
    """Return what is at stake by every scope and name that these moves may have made."""
    names = {
        Subject.ALL: [""],
        Subject.LEADER: [ANN, BOB],
        Subject.MARKET: ["market 0", "market 1"],
        Subject.EVENT: ["event"],
        Subject.CATEGORY: ["category", "of no token"],
    }
    scopes = (EVERYTHING, Scope("copy", "paper"), Scope(leader=ANN), Scope(leader=BOB))
    return [
        exposure.at_stake(scope, subject, name) for scope in scopes for subject, some in names.items() for name in some
    ]


@pytest.mark.parametrize(("later_ms", "count"), [(0, 1), (59_999, 1), (60_000, 0)])
def test_an_entry_counts_for_a_minute(later_ms: int, count: int) -> None:
    exposure, attempt_id = Exposure(), uuid4()
    assert exposure.count_entry(attempt_id, LINE, at_ms=NOW_MS)
    assert not exposure.count_entry(attempt_id, LINE, at_ms=NOW_MS)

    assert exposure.entries_in_minute(EVERYTHING, now_ms=NOW_MS + later_ms) == count
    assert exposure.entries_in_minute(Scope(leader=BOB), now_ms=NOW_MS) == 0
