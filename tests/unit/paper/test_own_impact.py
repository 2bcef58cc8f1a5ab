"""What our fills took is gone, for both outcomes of the market, until the venue says otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.book import BookSnapshot, Level
from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.fills import Side
from copytrade.domain.matching import flipped
from copytrade.domain.units import MICRO
from copytrade.ports.execution import Executed, ExecutionEvent
from tests.makers import NO, NOW_MS, YES, a_book, micro
from tests.unit.paper.worlds import FakeBookStore, Session, an_attempt, attempt_id, mirrored, play, played, states, told

CENT = 10_000


def both(*script: BookSnapshot) -> list[BookSnapshot]:
    return [book for state in script for book in (state, mirrored(state))]


def on_no(name: object, *, side: Side, limit: str, **changes: Any) -> Any:
    return an_attempt(name, token_id=NO, side=side, limit=limit, **changes)


def bought(events: list[ExecutionEvent]) -> int:
    return sum(event.fill.shares for event in events if isinstance(event, Executed))


def test_buying_one_outcome_and_selling_the_other_take_the_same_shares() -> None:
    script = both(*states((0, "0.49:5", "0.50:100")))

    events = played(
        script,
        an_attempt("buys yes", size="80"),
        on_no("sells no", side=Side.SELL, limit="0.50", size="80", decided_at_ms=NOW_MS + 10),
    )

    assert [line[:3] for line in events] == [
        (100, "80.00", "0.50"),
        (100, "FILLED", None),
        (110, "20.00", "0.50"),
        (1_110, "CANCELED", "TTL_EXPIRED"),
    ]


def test_an_order_on_the_other_outcome_trades_at_that_outcome_s_prices() -> None:
    script = both(*states((0, "0.49:10 0.47:30", "0.52:500")))

    events = played(script, an_attempt("opens the desk", limit="0.40"), on_no("buys no", side=Side.BUY, limit="0.53"))

    assert events[:2] == [(100, "10.00", "0.51", "0.12498", "taker"), (100, "30.00", "0.53", "0.37377", "taker")]


def test_an_order_on_the_other_outcome_alone_needs_no_book_but_its_own() -> None:
    script = [mirrored(state) for state in states((0, "0.49:100", "0.52:500"))]

    assert played(script, on_no("buys no", side=Side.BUY, limit="0.51", size="40"))[0][:3] == (100, "40.00", "0.51")


def test_a_desk_whose_book_is_gone_turns_to_the_one_that_is_kept() -> None:
    yes = states((0, "0.49:100", "0.50:100"))
    script = (*yes, (YES, NOW_MS + 5_000), *(mirrored(state) for state in yes))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("on yes", size="100"))
        await session.until(20_000)
        await session.submit(on_no("on no", side=Side.BUY, limit="0.51", size="40", decided_at_ms=NOW_MS + 20_000))
        await session.ended(2)

    assert told(play(script, story))[-2:] == [(20_100, "40.00", "0.51", "0.4998", "taker"), (20_100, "FILLED", None)]


@pytest.mark.parametrize(
    ("restated", "there"),
    [
        ("0.50:100", "0.00"),  # The same size says nothing of us.
        ("0.50:99", "99.00"),
        ("0.50:101", "100.00"),
        ("0.51:100", "0.00"),
    ],
)
def test_a_snapshot_gives_back_exactly_the_levels_it_states_anew(restated: str, there: str) -> None:
    script = states((0, "0.49:5", "0.50:100"), (500, "0.49:5", restated))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("first", size="100"))
        await session.until(600)
        await session.submit(an_attempt("second", size="100", decided_at_ms=NOW_MS + 600, ttl_ms=10))
        await session.ended(2)

    second = [event for event in play(script, story) if isinstance(event, Executed)][1:]

    assert sum(event.fill.shares for event in second) == micro(there)


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[str, Side, int]]:
    """Draw (token, side, shares) of orders that all take from the asks of YES."""
    takers = st.sampled_from([(YES, Side.BUY), (NO, Side.SELL)])
    return [(*draw(takers), draw(st.integers(500, 20_000)) * CENT) for _ in range(draw(st.integers(1, 6)))]


@given(
    takers=orders(),
    asks=st.dictionaries(st.integers(50, 60), st.integers(1, 10_000).map(lambda lots: lots * CENT), min_size=1),
)
def test_however_orders_come_over_both_outcomes_the_book_is_sold_once(
    takers: list[tuple[str, Side, int]], asks: dict[int, int]
) -> None:
    levels = tuple(Level(price * CENT, size) for price, size in sorted(asks.items()))
    script = both(replace(a_book(at_ms=NOW_MS), bids=(), asks=levels))

    async def story(session: Session) -> None:
        for number, (token, side, size) in enumerate(takers):
            limit = 60 * CENT if token == YES else MICRO - 60 * CENT
            attempt = an_attempt(number, token_id=token, side=side, limit_price=limit, size_shares_target=size)
            await session.submit(replace(attempt, decided_at_ms=NOW_MS + 7 * number))
        await session.ended(len(takers))

    assert bought(play(script, story)) == min(sum(size for _, _, size in takers), sum(asks.values()))


@given(
    first=st.integers(2, 300), stated=st.integers(0, 300), second=st.integers(2, 300), token=st.sampled_from([YES, NO])
)
def test_after_a_restatement_the_stated_size_is_there_in_full(first: int, stated: int, second: int, token: str) -> None:
    script = both(*states((0, "", "0.50:100"), (200, "", f"0.50:{stated}" if stated else "")))
    side = Side.BUY if token == YES else Side.SELL

    async def story(session: Session) -> None:
        await session.submit(an_attempt("first", size=str(first), ttl_ms=0), min_order_size=0)
        late = an_attempt("second", token_id=token, side=side, size=str(second), ttl_ms=0, decided_at_ms=NOW_MS + 200)
        await session.submit(late, min_order_size=0)
        await session.ended(2)

    events = play(script, story)
    got = [
        event.fill for event in events if isinstance(event, Executed) and event.fill.attempt_id == attempt_id("second")
    ]

    left = 100 - min(first, 100) if stated == 100 else stated
    assert sum(fill.shares for fill in got) == min(second, left) * MICRO


def test_without_impact_every_order_sees_the_book_as_it_is_stated() -> None:
    script = states((0, "0.49:5", "0.50:100"))
    effects = ALL_EFFECTS - {Effect.IMPACT}

    events = played(script, an_attempt("a", size="100"), an_attempt("b", size="100"), effects=effects)

    assert [line[1] for line in events if line[1] in set(AttemptStatus)] == ["FILLED", "FILLED"]


def test_both_sides_of_both_outcomes_are_told_apart() -> None:
    assert (flipped(Side.BUY), flipped(Side.SELL)) == (Side.SELL, Side.BUY)
    books = FakeBookStore(*both(*states((0, "0.49:10", "0.51:10"))))

    events = played(
        books,
        an_attempt("yes up", size="10", limit="0.51", side=Side.BUY),
        an_attempt("yes down", size="10", limit="0.49", side=Side.SELL),
        on_no("no up", side=Side.BUY, limit="0.51", size="10", ttl_ms=5),
        on_no("no down", side=Side.SELL, limit="0.49", size="10", ttl_ms=5),
    )

    assert sorted(line[1] for line in events) == ["10.00", "10.00", "CANCELED", "CANCELED", "FILLED", "FILLED"]
