"""Each guard stops a fill on its way through the whole worker, and those for entries never stop an exit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import Decision, ExecutionAttempt
from copytrade.domain.book import QuoteTier
from copytrade.domain.fills import LeaderFill, LeaderRole, Side
from copytrade.domain.market import Market
from copytrade.strategies.copy import GUARDS, Guard
from copytrade.strategies.copy.guards import Applies
from tests.copying import codes, numbers
from tests.fakes import FakeRegistry
from tests.flow.stage import START_MS, Stage, live, play
from tests.makers import LEADER, a_book, a_fill, a_leader, a_market, a_place, micro
from tests.virtual_time import run_virtual

COMBO = str(3 << 248 | 7 << 120 | 1)
DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Trip:
    """What trips one code: rules, or what the leader, his fill, the market or the book are like; and the numbers."""

    code: str
    rules: dict[str, Any] = field(default_factory=dict)
    leader: dict[str, Any] = field(default_factory=dict)
    fill: dict[str, Any] = field(default_factory=dict)
    market: dict[str, Any] | None = field(default_factory=dict)
    book: dict[str, str] | None = field(default_factory=dict)
    tier: QuoteTier = QuoteTier.FRESH
    is_removed: bool = False
    says: dict[str, str] = field(default_factory=dict)


TRIPS = (
    Trip(code="TOO_OLD", fill={"fill_ts_ms": START_MS - 31_000}, says={"age_ms_max": "30000"}),
    Trip(code="NOT_FOLLOWED", book=None, is_removed=True, says={"leader": LEADER}),
    Trip(code="LEADER_PAUSED", leader={"paused": True}),
    Trip(code="COMBO", fill={"token_id": COMBO}),
    Trip(code="UNMAPPED", market=None, says={"waited_ms": "5000"}),
    Trip(code="MARKET_CLOSED", market={"closed": True}),
    Trip(code="NO_ORDER_BOOK", market={"enable_order_book": False}),
    Trip(code="NOT_ACCEPTING_ORDERS", market={"accepting_orders": False}),
    Trip(code="NO_BOOK", book=None, says={"waited_ms": "5000"}),
    Trip(code="BOOK_STALE", tier=QuoteTier.HARD_STALE),
    Trip(code="BOOK_CROSSED", book={"bids": "0.52:9", "asks": "0.51:9"}, says={"bid": "0.52", "ask": "0.51"}),
    Trip(code="LEADER_EXIT_ONLY", leader={"exit_only": True}),
    Trip(code="MAKER_NOT_FOLLOWED", rules={"maker_leader_ratio": 0}, fill={"role": LeaderRole.MAKER}),
    Trip(code="LEADER_COOLDOWN", rules={"leader_cooldown_ms": 60_000}, says={"cooldown_ms": "60000"}),
    Trip(code="CATEGORY_DENIED", rules={"categories_deny": ("weather",)}, says={"category": "weather"}),
    Trip(code="CATEGORY_NOT_ALLOWED", rules={"categories_allow": ("sports",)}, says={"allowed": "sports"}),
    Trip(code="KEYWORD_DENIED", rules={"keywords_deny": ("snow", "paris")}, says={"keyword": "paris"}),
    Trip(code="KEYWORD_NOT_ALLOWED", rules={"keywords_allow": ("rome",)}, says={"allowed": "rome"}),
    Trip(
        code="ENDS_TOO_SOON",
        rules={"min_time_to_end_ms": DAY_MS},
        market={"end_date_ms": START_MS + DAY_MS},
        says={"ends_in_ms_min": str(DAY_MS)},
    ),
    Trip(code="PRICE_OUT_OF_BAND", rules={"price_max": micro("0.49")}, says={"price": "0.50", "price_max": "0.49"}),
    Trip(code="PRICE_OUT_OF_BAND", rules={"price_min": micro("0.51")}, says={"price_min": "0.51"}),
    Trip(
        code="TICK_ABOVE_PRICE",
        fill={"price": "0.004"},
        says={"leader_price": "0.004", "tick": "0.01", "most": "0.00412"},
    ),
    Trip(code="SPREAD_TOO_WIDE", rules={"spread_max": micro("0.01")}, says={"spread": "0.02", "spread_max": "0.01"}),
    Trip(
        code="DEPTH_TOO_THIN",
        rules={"depth_usdc_min": micro("300")},
        book={"asks": "0.51:500 0.60:5000"},
        says={"depth_usdc": "255.00", "limit": "0.51"},
    ),
)


def _guard_of(code: str) -> Guard:
    [guard] = [guard for guard in GUARDS if code in guard.codes]
    return guard


def _market(trip: Trip) -> Market:
    return a_market(**(trip.market or {}))


def test_every_code_of_every_guard_is_tripped_here() -> None:
    assert {trip.code for trip in TRIPS} == {code for guard in GUARDS for code in guard.codes}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: f"{trip.code}-{'-'.join([*trip.rules, *trip.leader])}")
def test_a_guard_stops_what_it_counts_for_and_nothing_else(trip: Trip, side: Side) -> None:
    attempt = run_virtual(lambda: _tripped(trip, side), epoch_ms=START_MS)

    if side is Side.SELL and _guard_of(trip.code).applies is Applies.ENTRIES:
        assert attempt.decision is Decision.TRADE
        assert attempt.size_shares_target == micro("50")
        return
    assert attempt.decision is Decision.SKIP
    assert trip.code in codes(attempt)
    assert numbers(attempt, trip.code)
    assert trip.says.items() <= numbers(attempt, trip.code).items()
    assert set(codes(attempt)) <= {trip.code, "NO_BOOK", "SIZE_BELOW_MINIMUM"}


async def _tripped(trip: Trip, side: Side) -> ExecutionAttempt:
    """Buy in a life without the guard, then decide one more fill in a life with it."""
    ledger = MemoryLedger()
    await ledger.add_leader(a_leader())
    await live(Stage(ledger=ledger), _buys)
    await ledger.change_leader(a_leader(**trip.leader))
    registry = FakeRegistry() if trip.market is None else FakeRegistry(_market(trip))
    stage = Stage(ledger=ledger, registry=registry, **trip.rules)
    stage.books.tier = trip.tier
    if trip.book is not None:
        await stage.books.show(a_book(**trip.book))

    async def script(stage: Stage) -> None:
        await stage.sees(_second(trip, side))
        await asyncio.sleep(1)
        if trip.is_removed:
            await ledger.remove_leader(LEADER)
        await asyncio.sleep(9)

    await live(stage, script)
    [attempt] = await stage.attempts()
    return attempt


async def _buys(stage: Stage) -> None:
    await stage.books.show(a_book())
    await stage.sees(a_fill(size="50", price="0.51"))
    await asyncio.sleep(1)


def _second(trip: Trip, side: Side) -> LeaderFill:
    made: dict[str, Any] = {"tx_hash": "0x" + "5e" * 32, "place": a_place(log_index=9, order_hash="0x" + "0e" * 32)}
    return a_fill(size="50", side=side, **(made | trip.fill))


def test_a_touch_beyond_the_limit_by_ticks_rests_and_is_no_guard() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(asks="0.53:500"))
        await stage.sees(a_fill(size="50", price="0.5"))
        await asyncio.sleep(1)

        [attempt] = await stage.attempts()
        assert (attempt.decision, attempt.limit_price) == (Decision.TRADE, micro("0.52"))
        assert codes(attempt) == ["RESTS_AT_LIMIT"]

    play(script, slippage_bps_max=2_000, slippage_ticks_max=2)


def test_an_entry_is_never_bought_above_the_price_band() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book())
        await stage.sees(a_fill(size="50", price="0.5"))
        await asyncio.sleep(1)

        [attempt] = await stage.attempts()
        assert attempt.limit_price == micro("0.50")

    play(script, price_max=micro("0.505"))


def test_two_fills_of_one_leader_at_once_are_one_entry_while_he_cools_down() -> None:
    async def script(stage: Stage) -> None:
        for token in ("111", "222"):
            await stage.books.show(a_book(token_id=token))
        one = a_fill(size="50")
        other = replace(one, token_id="222", place=a_place(log_index=8, order_hash="0x" + "0e" * 32))
        await asyncio.gather(stage.sees(one), stage.sees(other))
        await asyncio.sleep(1)

        assert sorted(codes(attempt)[0] for attempt in await stage.attempts()) == ["LEADER_COOLDOWN", "MARKETABLE"]

    play(script, leader_cooldown_ms=10_000)


def test_a_fill_that_is_decided_again_begins_no_new_time_to_cool_down() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(asks="0.51:500"))
        await stage.sees(a_fill(size="50"))
        await asyncio.sleep(12)
        [attempt] = await stage.attempts()
        recorded = await stage.ledger.fill(attempt.leader_fill_id)
        assert recorded is not None
        await stage.worker.decide.decide(recorded)
        await stage.sees(a_fill(size="50", place=a_place(log_index=8, order_hash="0x" + "0e" * 32)))
        await asyncio.sleep(1)

        assert [one.decision for one in await stage.attempts()] == [Decision.TRADE, Decision.TRADE]

    play(script, leader_cooldown_ms=10_000)


def test_further_events_of_an_order_do_not_wait_for_the_cool_down() -> None:
    async def script(stage: Stage) -> None:
        await stage.books.show(a_book(asks="0.51:500"))
        for log_index in (1, 2):
            await stage.sees(a_fill(size="50", place=a_place(log_index=log_index)))
            await asyncio.sleep(1)

        assert [attempt.decision for attempt in await stage.attempts()] == [Decision.TRADE, Decision.TRADE]

    play(script, leader_cooldown_ms=10_000, order_window_ms=60_000)
