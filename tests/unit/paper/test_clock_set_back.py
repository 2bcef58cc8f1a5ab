"""Paper orders on a machine whose clock is set back: they end, and what comes after is filled as ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from copytrade.domain.attempts import AttemptStatus
from copytrade.ports.execution import OrderDone, OrderState
from tests.makers import NOW_MS, micro
from tests.unit.clocks import MovedClock
from tests.unit.paper.worlds import FakeBookStore, Session, an_attempt, attempt_id, play, states, told

BACK_MS = 60_000


@pytest.mark.parametrize("is_partly_filled", [False, True])
def test_open_orders_end_at_the_last_instant_they_might_have_lived(is_partly_filled: bool) -> None:
    clock = MovedClock()

    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="40"))
        await session.until(300)
        clock.set_ms = -BACK_MS
        await session.executor.cancel(attempt_id("unknown"))
        await session.submit(an_attempt("later", decided_at_ms=clock.now_ms()))
        await session.ended(1)

        found = await session.executor.find(an_attempt())
        assert found.state is OrderState.ENDED
        assert found.filled_shares == (micro("10") if is_partly_filled else 0)

    asks = "0.50:10" if is_partly_filled else "0.60:10"
    events = play(states((0, "0.49:5", asks)), story, clock=clock)

    fills = [(100, "10.00", "0.50", "0.125", "taker")] if is_partly_filled else []
    assert told(events) == [*fills, (1_100, "CANCELED", "INTERRUPTED")]
    (end,) = [event for event in events if isinstance(event, OrderDone)]
    assert end.reason is not None
    assert 0 < int(dict(end.reason.numbers)["clock_set_back_ms"]) <= BACK_MS


def test_what_is_decided_after_it_is_worked_at_the_new_time() -> None:
    clock = MovedClock()
    scripted = states((-BACK_MS, "0.49:5", "0.50:100"))
    books = FakeBookStore(*(replace(state, at_ms=NOW_MS - BACK_MS) for state in scripted))

    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="40", limit="0.3"))
        await session.until(300)
        clock.set_ms = -BACK_MS
        await session.submit(an_attempt("later", size="40", decided_at_ms=clock.now_ms()))
        await session.ended(2)

    events = told(play(books, story, clock=clock))

    assert events == [
        (1_100, "CANCELED", "INTERRUPTED"),
        (400 - BACK_MS, "40.00", "0.50", "0.50", "taker"),
        (400 - BACK_MS, "FILLED", None),
    ]


def test_a_clock_that_goes_back_a_little_ends_nothing() -> None:
    clock = MovedClock()

    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="40", limit="0.3"))
        await session.until(300)
        clock.set_ms = -999
        await session.submit(an_attempt("other", size="40", limit="0.3"))
        await session.until(400)

    assert play(states((0, "0.49:5", "0.50:10")), story, clock=clock) == []


def test_what_an_earlier_life_filled_does_not_end_before_its_fills() -> None:
    placed_ms = NOW_MS + 40_000

    async def story(session: Session) -> None:
        open_one = an_attempt(status=AttemptStatus.PARTIAL, filled_shares=micro("10"), placed_at_ms=placed_ms)
        await session.recover(open_one)
        await session.recover(replace(open_one, id=attempt_id("two"), filled_shares=0))
        await session.until(10)

    assert told(play((), story)) == [(41_000, "CANCELED", "INTERRUPTED"), (0, "CANCELED", "INTERRUPTED")]
