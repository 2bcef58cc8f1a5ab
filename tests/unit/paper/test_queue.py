"""A resting order waits behind what was there before it, and is filled by what trades past that."""

from __future__ import annotations

from copytrade.domain.effects import ALL_EFFECTS, Effect
from copytrade.domain.fills import Side
from copytrade.ports.execution import Executed
from tests.makers import NO, NOW_MS
from tests.unit.paper.worlds import Session, an_attempt, attempt_id, play, played, printed, states, taped

BUY, SELL = Side.BUY, Side.SELL
RESTS = {"size": "50", "limit": "0.50"}


def test_a_trade_at_its_price_fills_it_once_those_ahead_are_served() -> None:
    script = states((0, "0.50:40", "0.52:9"), (300, "0.50:25", "0.52:9"), (500, "", "0.52:9"))
    tape = printed((380, SELL, "0.50", "15"), (580, SELL, "0.50", "25"))

    assert played(taped(script, *tape), an_attempt(**RESTS)) == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_shares_that_were_behind_it_are_ours_when_they_are_traded() -> None:
    script = states((0, "0.50:40", "0.52:9"), (300, "0.50:100", "0.52:9"), (500, "0.50:30", "0.52:9"))

    events = played(taped(script, *printed((580, SELL, "0.50", "70"))), an_attempt(**RESTS))

    assert events[0] == (580, "30.00", "0.50", "0.00", "maker")


def test_a_trade_through_its_price_fills_it_at_its_own() -> None:
    script = states((0, "0.49:100 0.48:100", "0.52:9"), (300, "0.48:80", "0.52:9"))

    events = played(taped(script, *printed((380, SELL, "0.48", "120"))), an_attempt(**RESTS))

    assert events == [(380, "50.00", "0.50", "0.00", "maker"), (380, "FILLED", None)]


def test_a_sale_of_ours_waits_behind_the_asks() -> None:
    script = states((0, "0.40:9", "0.50:40"), (150, "0.40:9", "0.50:70"), (300, "0.40:9", "0.50:20"))

    events = played(taped(script, *printed((380, BUY, "0.50", "50"))), an_attempt(**RESTS, side=SELL))

    assert events[0] == (380, "10.00", "0.50", "0.00", "maker")


def test_a_trade_on_our_own_side_is_none_of_ours() -> None:
    script = states((0, "0.49:100", "0.52:100"), (300, "0.49:50", "0.52:50"))

    events = played(taped(script, *printed((380, BUY, "0.52", "50"))), an_attempt(**RESTS))

    assert events == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_a_purchase_of_the_other_outcome_is_a_sale_of_ours() -> None:
    script = states((0, "0.49:100", "0.52:9"), (300, "0.49:70", "0.52:9"))

    events = played(taped(script, *printed((380, BUY, "0.51", "30"), token_id=NO)), an_attempt(**RESTS))

    assert events[0] == (380, "30.00", "0.50", "0.00", "maker")


def test_one_trade_is_shared_by_our_orders_and_given_out_once() -> None:
    script = states((0, "0.49:100", "0.52:9"), (300, "0.49:40", "0.52:9"))
    orders = [an_attempt(name, size="50", limit=limit) for name, limit in (("low", "0.49"), ("high", "0.50"))]

    async def story(session: Session) -> None:
        await session.submit(*orders)
        await session.ended(2)

    events = play(taped(script, *printed((380, SELL, "0.49", "60"))), story)
    fills = [(event.fill.attempt_id, event.fill.shares) for event in events if isinstance(event, Executed)]

    # 60 came: the better limit has 50 of them; at 0.49 it was those ahead of ours who were served.
    assert fills == [(attempt_id("high"), 50_000_000)]


def test_what_rests_after_a_sweep_is_first_at_its_price() -> None:
    script = states((0, "0.49:5", "0.50:10"), (300, "0.49:5", "0.53:8"), (400, "0.49:1", "0.53:8"))

    events = played(taped(script, *printed((480, SELL, "0.49", "4"))), an_attempt(**RESTS))

    assert events[:2] == [(100, "10.00", "0.50", "0.125", "taker"), (480, "4.00", "0.50", "0.00", "maker")]


def test_a_trade_that_was_printed_after_we_came_but_made_before_is_not_ours() -> None:
    script = states((0, "0.49:100", "0.52:9"), (90, "0.49:10", "0.52:9"))

    events = played(taped(script, *printed((170, SELL, "0.49", "90"))), an_attempt(**RESTS))

    assert events == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_without_the_queue_only_a_crossing_fills_it() -> None:
    script = states((0, "0.49:100", "0.52:9"), (300, "0.48:80", "0.52:9"), (600, "0.40:9", "0.49:20"))
    tape = printed((380, SELL, "0.48", "120"))

    events = played(taped(script, *tape), an_attempt(**RESTS), effects=ALL_EFFECTS - {Effect.QUEUE})

    assert events[0] == (600, "20.00", "0.50", "0.00", "maker")


def test_a_late_worker_hears_the_same_tape() -> None:
    script = states((0, "0.49:100", "0.52:9"), (300, "0.49:70", "0.52:9"))
    tape = printed((380, SELL, "0.49", "30"))

    async def prompt(session: Session) -> None:
        await session.submit(an_attempt(**RESTS))
        await session.ended(1)

    async def late(session: Session) -> None:
        await session.until(5_000)
        await session.submit(an_attempt(**RESTS))
        await session.ended(1)

    assert repr(play(taped(script, *tape), late)) == repr(play(taped(script, *tape), prompt))


def test_an_order_that_comes_late_gets_nothing_of_a_trade_that_was_given_out() -> None:
    script = states((0, "0.49:100", "0.52:9"), (300, "0.49:70", "0.52:9"))
    tape = printed((380, SELL, "0.49", "30"))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("prompt", size="20", limit="0.50"))
        await session.until(500)
        await session.submit(an_attempt("late", size="20", limit="0.50", decided_at_ms=NOW_MS - 20))
        await session.ended(2)

    fills = [event.fill for event in play(taped(script, *tape), story) if isinstance(event, Executed)]

    assert [(fill.attempt_id, fill.shares) for fill in fills] == [
        (attempt_id("prompt"), 20_000_000),
        (attempt_id("late"), 10_000_000),
    ]
