from __future__ import annotations

import asyncio

import pytest

from copytrade.adapters.paper import executor as executor_module
from copytrade.domain.attempts import AttemptStatus, Liquidity, Settlement
from copytrade.domain.book import BookSnapshot
from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.latency import Latency
from copytrade.ports.execution import Executed, ExecutionEvent, NotSentError, OrderDone, OrderState
from tests.makers import NOW_MS, YES, a_market, micro
from tests.unit.paper.worlds import FakeBookStore, Session, an_attempt, an_executor, attempt_id, play, states, told
from tests.virtual_time import run_virtual

QUIET = ((0, "0.49:500", "0.51:500"),)


def test_a_cancel_ends_the_rest_and_keeps_the_fills() -> None:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="40"))
        await session.until(300)
        await session.executor.cancel(attempt_id("one"))
        await session.executor.cancel(attempt_id("unknown"))
        await session.ended(1)

    events = told(play(states((0, "0.49:5", "0.50:10")), story))

    assert events == [(100, "10.00", "0.50", "0.125", "taker"), (300, "CANCELED", "CANCELED_BY_US")]


def test_a_cancel_never_overtakes_the_order_nor_its_hold() -> None:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="40"), taker_delay_ms=500)
        await session.executor.cancel(attempt_id("one"))
        await session.ended(1)

    async def held(session: Session) -> None:
        await session.submit(an_attempt(size="40"), taker_delay_ms=500)
        await session.until(300)
        await session.executor.cancel(attempt_id("one"))
        await session.ended(1)

    script = states((0, "0.49:5", "0.50:10"))
    expected = [(600, "10.00", "0.50", "0.125", "taker"), (600, "CANCELED", "CANCELED_BY_US")]

    assert told(play(script, story)) == expected
    assert told(play(script, held)) == expected


def test_an_attempt_of_an_earlier_life_is_interrupted_and_not_placed() -> None:
    async def story(session: Session) -> None:
        for status in (AttemptStatus.PENDING, AttemptStatus.SUBMITTED, AttemptStatus.PARTIAL):
            await session.recover(an_attempt(status, status=status, filled_shares=0))
        await session.until(5_000)

    assert told(play(states(*QUIET), story)) == [(0, "CANCELED", "INTERRUPTED")] * 3


def test_an_attempt_whose_last_fill_was_booked_but_not_its_end_is_filled() -> None:
    async def story(session: Session) -> None:
        await session.recover(an_attempt(status=AttemptStatus.PARTIAL, filled_shares=micro("100")))
        await session.until(10)

    assert told(play((), story)) == [(0, "FILLED", None)]


def test_identities_are_functions_of_the_attempt() -> None:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="20"))
        await session.ended(1)

    first, second = (play(states((0, "", "0.50:10 0.50:10")), story) for _ in range(2))

    assert repr(first) == repr(second)
    fills = [event.fill for event in first if isinstance(event, Executed)]
    assert [fill.venue_trade_id for fill in fills] == [f"paper-{attempt_id('one')}-{number}" for number in (1, 2)]
    assert {fill.settlement for fill in fills} == {Settlement.CONFIRMED}
    assert {fill.liquidity for fill in fills} == {Liquidity.TAKER}


def test_preparing_is_repeatable_and_places_after_both_latencies() -> None:
    executor = an_executor(
        FakeBookStore(),
        decision_latency=Latency(median_ms=30),
        submit_latency=Latency.parse("lognormal:150:0.5"),
        seed=4,
    )
    one = executor.prepare(an_attempt("one"), a_market())
    other = executor.prepare(an_attempt("other"), a_market())

    assert executor.prepare(an_attempt("one"), a_market()) == one
    assert (len(one.order_hash), one.order_hash[:2], int(one.order_hash, 16) > 0) == (66, "0x", True)
    assert one.order_hash != other.order_hash
    assert one.placed_at_ms != other.placed_at_ms
    assert min(one.placed_at_ms, other.placed_at_ms) > NOW_MS + 30


def test_drawn_latencies_have_the_median_that_was_asked_for() -> None:
    executor = an_executor(FakeBookStore(), submit_latency=Latency.parse("lognormal:150:0.5"))
    drawn = sorted(executor.prepare(an_attempt(number), a_market()).placed_at_ms - NOW_MS for number in range(2_001))

    assert 140 < drawn[1_000] < 160
    assert drawn[0] < 60
    assert drawn[-1] > 400


def test_too_many_open_orders_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "OPEN_ORDERS_MAX", 2)

    async def story(session: Session) -> None:
        await session.submit(an_attempt("a", limit="0.3"), an_attempt("b", limit="0.3"))
        with pytest.raises(NotSentError):
            await session.submit(an_attempt("c"))
        await session.ended(2)
        await session.submit(an_attempt("c"))

    assert len(play(states(*QUIET), story)) == 2


def test_an_order_sent_twice_is_one_order() -> None:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="40"), an_attempt(size="40"))
        await session.ended(1)
        await session.until(3_000)

    assert len(play(states((0, "", "0.50:500")), story)) == 2


def test_a_slow_reader_delays_events_and_loses_none() -> None:
    async def main() -> list[ExecutionEvent]:
        executor = an_executor(FakeBookStore(*states((0, "0.49:5", "0.50:9000"))))
        executor._events = asyncio.Queue(2)
        session = Session(executor)
        running = asyncio.create_task(executor.run())
        await session.submit(*(an_attempt(number, size="10") for number in range(50)))
        await session.until(60_000)
        reading = asyncio.create_task(session.collect())
        await session.ended(50)
        for task in (running, reading):
            task.cancel()
        await asyncio.gather(running, reading, return_exceptions=True)
        return session.events

    events = run_virtual(main, epoch_ms=NOW_MS)

    assert len(events) == 100
    assert len({event.fill.id for event in events if isinstance(event, Executed)}) == 50
    assert len({event.attempt_id for event in events if isinstance(event, OrderDone)}) == 50


def test_a_forgotten_memory_is_the_longest_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "MEMORIES_MAX", 1)
    script = [*states((0, "", "0.50:10"), token_id="1"), *states((0, "", "0.50:10"), token_id="2")]

    async def story(session: Session) -> None:
        for number, token in enumerate(("1", "2", "2", "1")):
            await session.until(number * 5_000)
            await session.submit(an_attempt(number, size="10", token_id=token, decided_at_ms=NOW_MS + number * 5_000))
            await session.ended(number + 1)

    ends = [line[1] for line in told(play(script, story)) if line[1] in set(AttemptStatus)]

    assert ends == ["FILLED", "FILLED", "CANCELED", "FILLED"]


def test_the_ends_of_the_latest_orders_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "ENDED_MAX", 2)

    async def story(session: Session) -> None:
        attempts = [an_attempt(number, size="10", decided_at_ms=NOW_MS + number) for number in range(3)]
        await session.submit(*attempts)
        await session.ended(3)
        found = [await session.executor.find(attempt) for attempt in attempts]
        assert [one.state for one in found] == [OrderState.UNKNOWN, OrderState.FILLED, OrderState.FILLED]

    play(states((0, "", "0.50:500")), story)


def test_without_latency_an_order_is_placed_when_it_is_decided() -> None:
    executor = an_executor(FakeBookStore(), effects=ALL_EFFECTS - {Effect.LATENCY}, decision_latency=Latency.parse("9"))

    assert executor.prepare(an_attempt(), a_market()).placed_at_ms == NOW_MS


def test_measured_latencies_are_drawn_as_often_as_they_were_measured() -> None:
    measured = Latency.fit(["100"] * 80 + ["200"] * 15 + ["1000"] * 5, source="way.txt")
    executor = an_executor(FakeBookStore(), submit_latency=measured)
    drawn = [executor.prepare(an_attempt(number), a_market()).placed_at_ms - NOW_MS for number in range(2_000)]

    assert {min(drawn), max(drawn)} == {100, 1_000}
    assert 0.77 < sum(ms == 100 for ms in drawn) / len(drawn) < 0.83
    assert 0.03 < sum(ms == 1_000 for ms in drawn) / len(drawn) < 0.06


def test_cancelling_the_executor_leaves_no_task_behind() -> None:
    async def main() -> int:
        session = Session(an_executor(FakeBookStore(*states(*QUIET))))
        before = len(asyncio.all_tasks())
        running = asyncio.create_task(session.executor.run())
        await session.submit(an_attempt())
        await session.until(500)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return len(asyncio.all_tasks()) - before

    assert run_virtual(main, epoch_ms=NOW_MS) == 0


class PushedBooks(FakeBookStore):
    """Books whose states appear when a test pushes them, several within one instant."""

    def push(self, *pushed: BookSnapshot) -> None:
        self._script = (*self._script, *pushed)

    async def changed(self, token_id: str, revision: int) -> None:
        while not self.states_after(token_id, revision):
            await self._clock.sleep_ms(1)


@pytest.mark.parametrize("apart", [0, 1, 5])
def test_an_order_sees_the_last_state_of_its_instant_however_late_within_it_that_comes(apart: int) -> None:
    script = states((0, "", "0.49:10"), (100, "", "0.48:10"), (100, "", "0.47:10"))
    books = PushedBooks(script[0])

    async def story(session: Session) -> None:
        await session.submit(an_attempt(size="10"))
        await session.until(100)
        await session.submit(an_attempt("another, so that the loop wakes", token_id="other"))
        for state in script[1:]:
            for _ in range(apart):
                await asyncio.sleep(0)
            books.push(state)
        await session.ended(1)

    assert told(play(books, story))[0] == (100, "10.00", "0.47", "0.12455", "taker")


def test_waiting_costs_no_work() -> None:
    books = FakeBookStore(*states((0, "", "0.90:10")))
    reads = 0

    def counted(token_id: str, revision: int) -> tuple[BookSnapshot, ...]:
        nonlocal reads
        reads += 1
        return FakeBookStore.states_after(books, token_id, revision)

    books.states_after = counted

    async def story(session: Session) -> None:
        await session.submit(an_attempt(ttl_ms=3_600_000))
        await session.until(4_000_000)

    assert len(play(books, story)) == 1
    assert reads < 20


def test_events_of_different_tokens_come_in_the_order_of_their_instants() -> None:
    script = [state for token in "abc" for state in states((0, "", "0.50:10"), token_id=token)]

    async def story(session: Session) -> None:
        await session.until(50)
        for number, token in enumerate("abcabc"):
            await session.submit(an_attempt(number, size="5", token_id=token, decided_at_ms=NOW_MS + 6 - number))
        await session.ended(6)

    lines = told(play(FakeBookStore(*script), story, submit_latency=Latency(median_ms=0)))

    assert [line[0] for line in lines] == [at for at in range(1, 7) for _ in ("fill", "end")]


def test_an_order_that_waits_for_a_book_is_not_filled_by_one_from_before_its_time() -> None:
    before, after = states((60, "", "0.50:100"), (400, "", "0.50:30"))
    script = (before, (YES, NOW_MS + 80), after)

    async def story(session: Session) -> None:
        await session.submit(an_attempt("waiting", size="40"))
        await session.until(150)
        await session.submit(an_attempt("late", size="5", decided_at_ms=NOW_MS - 50))
        await session.ended(2)

    fills = [event.fill for event in play(script, story) if isinstance(event, Executed)]

    assert [(fill.attempt_id, fill.fill_at_ms - NOW_MS) for fill in fills] == [
        (attempt_id("late"), 60),
        (attempt_id("waiting"), 400),
    ]
