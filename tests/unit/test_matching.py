from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.book import Level
from copytrade.domain.fills import Side
from copytrade.domain.matching import ConsumedLiquidity, Match, crosses, sweep
from tests.makers import a_book, levels, micro


def matches(text: str) -> tuple[Match, ...]:
    return tuple(Match(*level) for level in levels(text))


def test_a_buy_takes_the_asks_up_to_its_limit_each_at_its_own_price() -> None:
    asks = levels("0.50:10 0.51:20 0.53:30")

    taken = sweep(asks, side=Side.BUY, limit=micro("0.52"), size=micro("100"))

    assert taken == matches("0.50:10 0.51:20")


def test_a_sell_takes_the_bids_down_to_its_limit() -> None:
    bids = levels("0.50:10 0.49:20 0.47:30")

    taken = sweep(bids, side=Side.SELL, limit=micro("0.49"), size=micro("25"))

    assert taken == matches("0.50:10 0.49:15")


def test_the_last_level_is_taken_in_part() -> None:
    assert sweep(levels("0.5:10 0.5:10"), side=Side.BUY, limit=micro("0.5"), size=micro("10")) == matches("0.5:10")


def test_an_empty_side_gives_nothing() -> None:
    assert sweep((), side=Side.BUY, limit=micro("0.99"), size=micro("10")) == ()


def test_a_limit_at_the_touch_crosses() -> None:
    assert crosses(micro("0.5"), side=Side.BUY, limit=micro("0.5"))
    assert crosses(micro("0.5"), side=Side.SELL, limit=micro("0.5"))
    assert not crosses(micro("0.51"), side=Side.BUY, limit=micro("0.5"))
    assert not crosses(micro("0.49"), side=Side.SELL, limit=micro("0.5"))


def test_what_was_taken_is_gone_from_the_level_and_only_from_it() -> None:
    book = a_book(asks="0.50:10 0.51:20", bids="0.49:5")
    consumed = ConsumedLiquidity()

    consumed.take(book, Side.BUY, matches("0.50:10 0.51:5"))

    assert consumed.left(book, Side.BUY) == levels("0.51:15")
    assert consumed.left(book, Side.SELL) == levels("0.49:5")


def test_a_level_restated_with_another_size_is_there_in_full() -> None:
    consumed = ConsumedLiquidity()
    consumed.take(a_book(asks="0.50:10", revision=1), Side.BUY, matches("0.50:10"))
    restated = a_book(asks="0.50:9", revision=2)

    consumed.observe(restated)

    assert consumed.left(restated, Side.BUY) == levels("0.50:9")


def test_a_level_that_went_away_and_came_back_is_there_in_full() -> None:
    consumed = ConsumedLiquidity()
    consumed.take(a_book(asks="0.50:10", revision=1), Side.BUY, matches("0.50:10"))
    back = a_book(asks="0.50:10", revision=3)

    consumed.observe(a_book(asks="0.51:10", revision=2))
    consumed.observe(back)

    assert consumed.left(back, Side.BUY) == levels("0.50:10")


def test_a_state_that_says_the_same_size_gives_nothing_back() -> None:
    consumed = ConsumedLiquidity()
    consumed.take(a_book(asks="0.50:10", revision=1), Side.BUY, matches("0.50:10"))
    same = a_book(asks="0.50:10", bids="0.48:7", revision=2)

    consumed.observe(same)

    assert consumed.left(same, Side.BUY) == ()


def test_a_late_order_cannot_have_what_an_earlier_one_took_before_the_level_was_restated() -> None:
    first = a_book(asks="0.50:10", revision=1)
    consumed = ConsumedLiquidity()
    consumed.take(first, Side.BUY, matches("0.50:10"))
    consumed.observe(a_book(asks="0.50:30", revision=2))

    assert consumed.left(first, Side.BUY) == ()


def test_a_late_take_is_freed_by_the_states_that_follow_it() -> None:
    first, second = a_book(asks="0.50:10", revision=1), a_book(asks="0.50:30", revision=2)
    consumed = ConsumedLiquidity()
    consumed.take(second, Side.BUY, matches("0.50:5"))
    consumed.take(first, Side.BUY, matches("0.50:10"))

    consumed.observe(second)

    assert consumed.left(second, Side.BUY) == levels("0.50:25")


def test_seeing_an_old_state_again_changes_nothing() -> None:
    old, new = a_book(asks="0.50:30", revision=1), a_book(asks="0.50:10", revision=2)
    consumed = ConsumedLiquidity()
    consumed.take(new, Side.BUY, matches("0.50:10"))

    consumed.observe(old)

    assert consumed.left(new, Side.BUY) == ()


def test_what_was_freed_is_forgotten_after_a_while_and_what_is_not_stays() -> None:
    consumed = ConsumedLiquidity()
    book = a_book(asks="0.50:10 0.51:10", revision=1)
    consumed.take(book, Side.BUY, matches("0.50:10 0.51:10"))
    consumed.observe(a_book(asks="0.50:11 0.51:10", revision=2, at_ms=1_000))

    consumed.forget_freed(before_ms=1_000)
    assert consumed.left(book, Side.BUY) == ()
    consumed.forget_freed(before_ms=1_001)

    assert consumed.left(book, Side.BUY) == levels("0.50:10")
    consumed.observe(a_book(asks="", revision=3, at_ms=2_000))
    consumed.forget_freed(before_ms=2_001)
    assert consumed.is_empty


@st.composite
def asks_best_first(draw: st.DrawFn) -> tuple[Level, ...]:
    prices = draw(st.lists(st.integers(1, 99), unique=True, max_size=8))
    return tuple(Level(price * 10_000, draw(st.integers(1, 10**9))) for price in sorted(prices))


@given(asks=asks_best_first(), limit=st.integers(1, 99), size=st.integers(0, 10**10))
def test_a_sweep_never_takes_too_much_and_never_stops_early(asks: tuple[Level, ...], limit: int, size: int) -> None:
    limit *= 10_000
    crossing = [level for level in asks if level.price <= limit]

    taken = sweep(asks, side=Side.BUY, limit=limit, size=size)

    assert sum(match.shares for match in taken) == min(size, sum(level.size for level in crossing))
    assert all(match.price <= limit and match.shares > 0 for match in taken)
    assert [match.price for match in taken] == [level.price for level in crossing[: len(taken)]]
    assert all(match.shares == level.size for match, level in zip(taken[:-1], crossing, strict=False))


@given(asks=asks_best_first(), sizes=st.lists(st.integers(1, 10**9), max_size=5))
def test_orders_in_a_row_never_take_more_than_the_book_states(asks: tuple[Level, ...], sizes: list[int]) -> None:
    book = replace(a_book(), bids=(), asks=asks)
    consumed = ConsumedLiquidity()
    taken = 0
    for size in sizes:
        got = sweep(consumed.left(book, Side.BUY), side=Side.BUY, limit=990_000, size=size)
        consumed.take(book, Side.BUY, got)
        taken += sum(match.shares for match in got)

    assert taken == min(sum(sizes), sum(level.size for level in asks))
