"""While fills are copied it is noted what each copy cost and what the market did after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.attribution import Attribution
from copytrade.domain.happenings import Decided, OrderEnded
from copytrade.domain.markouts import FillMarks
from copytrade.engine import attribution
from copytrade.engine.attribution import Attributions
from copytrade.engine.markouts import Markouts
from copytrade.engine.past_books import PastBooks
from tests.flow.stage import START_MS, Stage, live
from tests.ledger_facts import a_stored_fill, a_submitted, an_attempt
from tests.makers import a_book, a_fill, a_leader, a_market, micro
from tests.virtual_time import run_virtual

MINUTE_S = 60
Script = Callable[[Stage], Awaitable[None]]


def noting(stage: Stage) -> Stage:
    """Add to a worker those who note its stories."""
    parts: dict[str, Any] = {
        "ledger": stage.ledger,
        "books": PastBooks(stage.books, stale_ms=5_000),
        "clock": stage.clock,
        "note": stage.worker.notes.take,
    }
    onlookers = {"attribution": Attributions(**parts), "markouts": Markouts(**parts)}
    stage.worker.listeners.add(*onlookers.values())
    stage.worker = replace(stage.worker, onlookers=onlookers)
    return stage


def play(*scripts: Script, **rules: Any) -> Stage:
    """Let the worker live once for each script, on one ledger; the last life is returned."""

    async def main() -> Stage:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        await ledger.save_markets([a_market()])
        for script in scripts:
            stage = noting(Stage(ledger=ledger, **rules))
            await live(stage, script)
        return stage

    return run_virtual(main, epoch_ms=START_MS)


async def show(stage: Stage, revision: int, *, after_ms: int = 0, **sides: str) -> None:
    await stage.books.show(a_book(revision=revision, at_ms=START_MS + after_ms, **sides))


async def copied(stage: Stage, **changes: Any) -> None:
    await stage.sees(a_fill(fill_ts_ms=START_MS, detected_at_ms=START_MS, size="50", **changes))
    await asyncio.sleep(8)


def the_story(stage: Stage) -> tuple[Attribution, tuple[FillMarks, ...]]:
    assert isinstance(stage.ledger, MemoryLedger)
    (noted,) = stage.ledger.attributions.values()
    return noted, tuple(stage.ledger.fill_marks.values())


def test_each_stretch_of_the_way_to_our_fill_is_noted() -> None:
    async def script(stage: Stage) -> None:
        await show(stage, 1, bids="0.49:500", asks="0.50:500")
        playing = asyncio.create_task(copied(stage))
        await asyncio.sleep(0.1)
        await show(stage, 2, after_ms=100, bids="0.49:500", asks="0.51:20 0.52:500")
        await playing

    noted, marks = the_story(play(script, slippage_bps_max=1_000))

    assert (noted.is_final, noted.missing) == (True, ())
    assert noted.book_at_decision is not None
    assert noted.book_at_placement is not None
    assert (noted.book_at_decision.asks[0].price, noted.book_at_placement.asks[0].price) == (
        micro("0.5"),
        micro("0.51"),
    )
    assert noted.outcome is not None
    lost = noted.outcome.lost_usdc
    assert (lost.decision_delay, lost.spread, lost.placement_delay) == (micro("-0.25"), micro("0.25"), micro("0.5"))
    assert (lost.depth, lost.rest, lost.unknown) == (micro("0.3"), 0, 0)
    assert lost.fee > 0
    assert lost.total == micro("0.8") + lost.fee
    assert [mark.fill_at_ms - START_MS for mark in marks] == [150]


def test_a_fill_is_marked_by_the_mid_of_each_horizon_and_by_what_the_market_paid() -> None:
    async def script(stage: Stage) -> None:
        await show(stage, 1)
        await copied(stage)
        await show(stage, 2, after_ms=9_000, bids="0.54:5", asks="0.56:5")
        await asyncio.sleep(5)
        await show(stage, 3, after_ms=15_000, bids="0.54:5", asks="")
        await asyncio.sleep(11 * MINUTE_S)
        await stage.ledger.save_markets([a_market(payouts=(micro("1"), 0))])
        await asyncio.sleep(2 * MINUTE_S)

    _, (marks,) = the_story(play(script))

    assert dict(marks.mids) == {"1s": micro("0.5"), "10s": micro("0.55")}
    assert dict(marks.missing) == {"1m": "ONE_SIDED", "10m": "ONE_SIDED"}
    assert marks.payout == micro("1")


def test_a_mark_is_never_read_from_a_book_that_could_not_be_relied_on() -> None:
    async def script(stage: Stage) -> None:
        await show(stage, 1)
        await copied(stage)
        stage.books.age_ms = 60_000
        await asyncio.sleep(20)

    _, (marks,) = the_story(play(script))

    assert dict(marks.mids) == {"1s": micro("0.5")}
    assert dict(marks.missing) == {"10s": "STALE"}


def test_after_a_restart_what_nobody_saw_is_said_to_be_unknown() -> None:
    async def first(stage: Stage) -> None:
        await show(stage, 1)
        await copied(stage)

    async def second(stage: Stage) -> None:
        await show(stage, 5, after_ms=8_000)
        await asyncio.sleep(2 * MINUTE_S)

    async def short(stage: Stage) -> None:
        await asyncio.sleep(3)

    _, (marks,) = the_story(play(first, short, second))

    assert dict(marks.mids) == {"1s": micro("0.5"), "1m": micro("0.5")}
    assert dict(marks.missing) == {"10s": "NOT_WATCHED"}


def test_a_story_cut_off_by_a_death_is_finished_without_what_was_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dies(stage: Stage) -> None:
        await show(stage, 1, asks="0.51:20")
        await stage.sees(a_fill(fill_ts_ms=START_MS, detected_at_ms=START_MS, size="50"))
        await asyncio.sleep(0.4)
        for onlooker in stage.worker.onlookers.values():
            monkeypatch.setattr(onlooker, "_write", lambda: asyncio.sleep(0))

    async def goes_on(stage: Stage) -> None:
        await asyncio.sleep(5)

    stage = play(dies, goes_on)
    noted, (marks,) = the_story(stage)

    assert noted.is_final
    assert dict(noted.missing) == {"book_at_decision": "NOT_WATCHED", "book_at_placement": "NOT_WATCHED"}
    assert noted.outcome is not None
    assert (noted.outcome.shares, noted.outcome.lost_usdc.unknown) == (micro("20"), micro("0.2"))
    assert dict(marks.missing) == {"1s": "NO_BOOK"}


def test_an_order_that_never_left_has_no_book_at_its_placement() -> None:
    async def script(stage: Stage) -> None:
        recorded = await a_stored_fill(stage.ledger)
        attempt = an_attempt(recorded)
        await stage.ledger.record_attempt(attempt)
        stage.worker.listeners.tell(Decided(recorded=recorded, attempt=attempt, market=None, book=a_book()))
        ended = replace(attempt, status=AttemptStatus.CANCELED)
        stage.worker.listeners.tell(OrderEnded(attempt=ended, status=ended.status, reason=None))
        await asyncio.sleep(3)

    noted, _ = the_story(play(script))

    assert noted.is_final
    assert dict(noted.missing) == {"book_at_placement": "NEVER_PLACED"}


def test_beyond_the_bound_stories_are_left_and_that_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "WATCHED_MAX", 0)

    async def script(stage: Stage) -> None:
        await show(stage, 1)
        await copied(stage)

    stage = play(script)

    assert isinstance(stage.ledger, MemoryLedger)
    assert stage.ledger.attributions == {}
    assert "ATTRIBUTION_LEFT" in {event.code for event in stage.ledger.events}


def test_stories_of_an_earlier_life_are_looked_up_together_however_many_end_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attribution, "RECOVERED_MAX", 0)
    asked: list[int] = []

    async def script(stage: Stage) -> None:
        ask = stage.ledger.attributions_of

        async def counted(attempt_ids: Collection[UUID]) -> tuple[Attribution, ...]:
            asked.append(len(attempt_ids))
            return await ask(attempt_ids)

        monkeypatch.setattr(stage.ledger, "attributions_of", counted)
        for number in range(30):
            attempt = await a_submitted(stage.ledger, tx=f"{number:02x}")
            ended = replace(attempt, status=AttemptStatus.CANCELED)
            stage.worker.listeners.tell(OrderEnded(attempt=ended, status=ended.status, reason=None))
        await asyncio.sleep(3)

    stage = play(script)

    assert isinstance(stage.ledger, MemoryLedger)
    assert asked == [30]
    assert len(stage.ledger.attributions) == 30
    assert {noted.way.leader for noted in stage.ledger.attributions.values()} == {micro("0.5")}
