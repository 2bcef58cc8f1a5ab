"""Where we stand in the queue: what public messages prove, and never more."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from copytrade.adapters.paper.place import PRINT_LAG_MS_MAX, Place
from copytrade.domain.fills import Side
from copytrade.domain.matching import Match, decreases
from tests.makers import levels, micro


def a_place(ahead: str, *, side: Side = Side.BUY, limit: str = "0.50") -> Place:
    return Place(side=side, limit=micro(limit), ahead=micro(ahead))


def moves(place: Place, before: str, after: str, *, at_ms: int = 0, limit: str = "0.50") -> None:
    """Show the place a new state of its side of the book; its instant is the venue's stamp as well."""
    displayed = dict(levels(after)).get(micro(limit), 0)
    place.observe(decreases(levels(before), levels(after)), displayed=displayed, venue_ts_ms=at_ms, at_ms=at_ms)


def reached(place: Place, price: str, shares: str, *, given: str = "0", at_ms: int = 80) -> int:
    return place.reached(price=micro(price), shares=micro(shares), given=micro(given), at_ms=at_ms)


def test_a_trade_at_our_price_takes_those_ahead_first() -> None:
    place = a_place("40")

    moves(place, "0.50:100", "0.50:45")

    assert reached(place, "0.50", "55") == micro("15")
    assert place.ahead == 0


def test_a_trade_that_ends_among_those_ahead_does_not_reach_us() -> None:
    place = a_place("40")

    moves(place, "0.50:100", "0.50:75")

    assert reached(place, "0.50", "25") == 0
    assert place.ahead == micro("15")


def test_a_cancel_is_behind_us_while_anybody_is() -> None:
    place = a_place("40")

    moves(place, "0.50:100", "0.50:70")
    assert place.ahead == micro("40")

    moves(place, "0.50:70", "0.50:10")
    assert place.ahead == micro("10")


def test_a_trade_that_took_off_the_queue_is_not_counted_twice() -> None:
    place = a_place("100")

    moves(place, "0.50:100", "0.50:70")

    assert reached(place, "0.50", "30") == 0
    assert place.ahead == micro("70")


def test_a_print_of_a_trade_from_before_we_came_reaches_nobody() -> None:
    assert reached(a_place("0"), "0.50", "500") == 0


def test_a_print_counts_once_and_only_for_a_while() -> None:
    place = a_place("0")
    moves(place, "0.50:100", "0.50:60")

    assert reached(place, "0.50", "40") == micro("40")
    assert reached(place, "0.50", "40") == 0

    moves(place, "0.50:60", "0.50:20", at_ms=100)
    assert reached(place, "0.50", "40", at_ms=101 + PRINT_LAG_MS_MAX) == 0


def test_a_trade_is_the_change_it_fits_whatever_was_cancelled_meanwhile() -> None:
    place = a_place("40")
    moves(place, "0.50:100", "0.50:30", at_ms=0)
    moves(place, "0.50:30 0.49:60", "0.50:30 0.49:10", at_ms=5)
    moves(place, "0.50:30 0.49:10", "0.49:10", at_ms=9)

    # 30 are all that were left at our price, from ahead of us; the 70 and the 50 before were cancelled.
    assert reached(place, "0.50", "30") == 0
    assert place.ahead == 0

    moves(place, "0.49:10", "", at_ms=20)
    assert reached(place, "0.49", "10") == micro("10")


def test_a_trade_of_several_prices_is_one_change_however_many_messages_tell_it() -> None:
    place = a_place("10")
    moves(place, "0.51:20 0.50:30 0.49:40", "0.50:30 0.49:40")
    moves(place, "0.50:30 0.49:40", "0.49:40")
    moves(place, "0.49:40", "0.49:25")

    assert reached(place, "0.49", "65") == micro("35")


def test_what_went_to_our_other_orders_is_not_ours() -> None:
    place = a_place("10")
    moves(place, "0.50:100", "0.50:40")

    assert reached(place, "0.50", "60", given="20") == micro("30")


def test_a_trade_through_our_price_fills_us_beyond_those_ahead() -> None:
    place = a_place("40")

    moves(place, "0.50:100 0.49:50 0.48:10", "0.48:10")

    # 150 were traded: 40 ahead of us, 60 behind, 50 below.
    assert reached(place, "0.49", "150") == micro("110")


def test_better_prices_are_served_before_ours() -> None:
    place = a_place("10")

    moves(place, "0.52:30 0.51:20 0.50:100", "0.50:80")

    assert reached(place, "0.50", "70") == micro("10")


def test_a_trade_that_ended_at_a_better_price_is_none_of_ours() -> None:
    place = a_place("0")
    moves(place, "0.52:30 0.50:100", "0.52:10 0.50:100")

    assert reached(place, "0.52", "20") == 0

    moves(place, "0.52:10 0.50:100", "0.50:70", at_ms=10)
    assert reached(place, "0.50", "40") == micro("30")


def test_an_ask_has_its_prices_the_other_way_round() -> None:
    place = a_place("10", side=Side.SELL, limit="0.60")

    moves(place, "0.59:20 0.60:30 0.61:40", "0.61:15", limit="0.60")

    assert reached(place, "0.61", "75") == micro("45")


def test_whoever_joins_later_is_behind_us() -> None:
    place = a_place("40")

    moves(place, "0.50:40", "0.50:900")
    moves(place, "0.50:900", "0.50:840", at_ms=10)

    assert reached(place, "0.50", "60") == micro("20")


SIDES = st.lists(st.dictionaries(st.integers(48, 52), st.integers(1, 200), max_size=5), min_size=2, max_size=8)


@given(
    states=SIDES,
    prints=st.lists(st.tuples(st.integers(47, 53), st.integers(0, 400)), max_size=12),
    ahead=st.integers(0, 100),
)
def test_we_never_get_more_than_was_printed_or_than_left_the_book(
    states: list[dict[int, int]], prints: list[tuple[int, int]], ahead: int
) -> None:
    place = Place(side=Side.BUY, limit=50, ahead=ahead)
    gone_in_all = got = 0
    tape = iter(prints)
    for number, (before, after) in enumerate(pairwise(states)):
        gone = decreases(tuple(before.items()), tuple(after.items()))
        gone_in_all += sum(match.shares for match in gone)
        place.observe(gone, displayed=after.get(50, 0), venue_ts_ms=number // 2, at_ms=number)
        assert place.ahead <= after.get(50, 0)
        for price, shares in [one for one in (next(tape, None), next(tape, None)) if one]:
            reached_us = place.reached(price=price, shares=shares, given=0, at_ms=number)
            assert 0 <= reached_us <= (shares if price <= 50 else 0)
            got += reached_us

    assert got <= gone_in_all
    assert got <= sum(shares for _, shares in prints)


def test_what_is_gone_is_told_price_by_price() -> None:
    before, after = levels("0.50:10 0.49:20 0.48:5"), levels("0.51:3 0.50:4 0.48:9")

    assert decreases(before, after) == (Match(micro("0.50"), micro("6")), Match(micro("0.49"), micro("20")))
    assert decreases(before, before) == ()
