"""What the venue announces while an order is on its way, held or at rest."""

from __future__ import annotations

from typing import Any

import pytest

from copytrade.domain.interruptions import parse_interruptions
from copytrade.domain.market_events import MarketResolved, TickSizeChanged
from copytrade.domain.orders import OrderType
from copytrade.ports.execution import OrderDone
from tests.makers import NO, NOW_MS, YES, a_market, micro
from tests.unit.paper.worlds import Session, an_attempt, announced, attempt_id, play, played, states, taped, told

QUIET = states((0, "0.49:500", "0.51:500"))
CONDITION = a_market().condition_id
RESOLVED = MarketResolved(condition_id=CONDITION, token_ids=(YES, NO), winning_token_id=YES)


def a_tick(tick: str) -> TickSizeChanged:
    return TickSizeChanged(condition_id=CONDITION, token_id=YES, tick_size=micro(tick))


def test_an_order_at_rest_off_the_new_grid_goes_and_one_on_it_stays() -> None:
    books = taped(QUIET, announced(500, a_tick("0.1")))

    assert played(books, an_attempt(limit="0.48")) == [(500, "CANCELED", "TICK_CHANGED")]
    assert played(books, an_attempt(limit="0.40")) == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_an_order_is_judged_by_the_grid_of_the_instant_it_arrives() -> None:
    finer, coarser = taped(QUIET, announced(50, a_tick("0.001"))), taped(QUIET, announced(50, a_tick("0.1")))
    later = taped(QUIET, announced(101, a_tick("0.1")))

    assert played(finer, an_attempt(limit="0.485")) == [(1_100, "CANCELED", "TTL_EXPIRED")]
    assert played(coarser, an_attempt(limit="0.48")) == [(100, "FAILED", "OFF_TICK")]
    assert played(later, an_attempt(limit="0.48")) == [(101, "CANCELED", "TICK_CHANGED")]


def test_an_announcement_from_before_the_decision_is_known_to_the_market_already() -> None:
    books = taped(QUIET, announced(-1, a_tick("0.1")))

    assert played(books, an_attempt(limit="0.48")) == [(1_100, "CANCELED", "TTL_EXPIRED")]


@pytest.mark.parametrize(("told", "code"), [(a_tick("0.1"), "TICK_CHANGED"), (RESOLVED, "MARKET_RESOLVED")])
def test_an_order_is_validated_again_at_the_end_of_its_hold(told: Any, code: str) -> None:
    books = taped(QUIET, announced(300, told))

    assert played(books, an_attempt(limit="0.51"), market={"taker_delay_ms": 500}) == [(600, "CANCELED", code)]


def test_orders_at_rest_end_with_their_market_and_later_ones_are_refused() -> None:
    books = taped(QUIET, announced(500, RESOLVED))

    async def story(session: Session) -> None:
        await session.submit(an_attempt("at rest", limit="0.48"))
        await session.submit(an_attempt("too late", limit="0.48", decided_at_ms=NOW_MS + 450))
        await session.ended(2)

    events = play(books, story)

    assert told(events) == [(500, "CANCELED", "MARKET_RESOLVED"), (550, "FAILED", "MARKET_NOT_ACCEPTING")]
    assert [event.reason.as_json()["venue"] for event in events if isinstance(event, OrderDone) and event.reason] == [
        "CANCELED_MARKET_RESOLVED",
        "the market is not yet ready to process new orders",
    ]


@pytest.mark.parametrize(
    ("window", "code", "status"),
    [
        ("post_only", "POST_ONLY_MODE", "503"),
        ("cancel_only", "CANCEL_ONLY_MODE", "503"),
        ("disabled", "TRADING_DISABLED", "503"),
    ],
)
def test_an_engine_that_takes_no_such_orders_says_so(window: str, code: str, status: str) -> None:
    why = refused_within(f"{window}@2026-09-21T14:13:20Z/600")

    assert (why["code"], why["status"], why["retry_after_seconds"]) == (code, status, "600")


def test_a_restarting_engine_says_how_long_it_will_take() -> None:
    why = refused_within("restart@MON-14:12")

    assert why["code"] == "ENGINE_RESTARTING"
    assert why["venue"] == "matching engine is restarting"
    assert (why["status"], why["retry_after_seconds"]) == ("425", "10")


def refused_within(windows: str) -> dict[str, str]:
    async def story(session: Session) -> None:
        await session.submit(an_attempt(limit="0.48"))
        await session.ended(1)

    (done,) = play(QUIET, story, interruptions=parse_interruptions(windows))
    assert isinstance(done, OrderDone)
    assert done.attempt_id == attempt_id("one")
    assert (done.status, done.at_ms - NOW_MS) == ("FAILED", 100)
    assert done.reason is not None
    return done.reason.as_json()


def test_after_a_restart_only_post_only_orders_are_taken() -> None:
    windows = parse_interruptions("post_only@2026-09-21T14:13:20Z/600")

    events = played(QUIET, an_attempt(limit="0.48"), interruptions=windows, order_type=OrderType.POST_ONLY)

    assert events == [(1_100, "CANCELED", "TTL_EXPIRED")]


def test_an_order_that_arrives_before_or_after_an_interruption_is_taken() -> None:
    windows = parse_interruptions("disabled@2026-09-21T14:13:20.101Z/1, disabled@2026-09-21T14:13:19Z/1")

    assert played(QUIET, an_attempt(limit="0.48"), interruptions=windows) == [(1_100, "CANCELED", "TTL_EXPIRED")]
