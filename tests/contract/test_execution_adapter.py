"""What every execution adapter promises the engine (ports/execution.py), whoever fills the orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from copytrade.domain.attempts import AttemptStatus, ExecutionFill, ExecutionMode
from copytrade.domain.book import Level
from copytrade.domain.fills import Side
from copytrade.domain.matching import crosses
from copytrade.domain.positions import Position, fold
from copytrade.ports.execution import (
    Executed,
    ExecutionAdapter,
    ExecutionEvent,
    FoundOrder,
    OrderDone,
    OrderState,
)
from copytrade.sandbox.server import SandboxConfig, serve_in_process
from tests.makers import NOW_MS, YES, a_market, micro
from tests.unit.live.life import Floor, Life
from tests.unit.paper.worlds import FakeBookStore, Session, an_attempt, an_executor, attempt_id, states
from tests.virtual_time import VirtualClock, run_virtual

ENDS = {AttemptStatus.FILLED, AttemptStatus.CANCELED, AttemptStatus.FAILED}
WAIT_MS = 60_000
LIMIT = "0.50"


@dataclass(frozen=True)
class Stage:
    """Adapters at work at a venue that asks 40 shares at 0.50 and bids 40 at 0.49, until told otherwise.

    `open` gives one, within the loop that `run` runs; the account holds 40 shares that nobody speaks of, so
    that it can sell what is not settled yet.
    """

    open: Callable[[], AbstractAsyncContextManager[ExecutionAdapter]]

    def run(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return run_virtual(main, epoch_ms=NOW_MS)


@asynccontextmanager
async def _open_paper() -> AsyncIterator[ExecutionAdapter]:
    yield an_executor(FakeBookStore(*states((0, "0.49:40", "0.50:40"))))


@asynccontextmanager
async def _open_live() -> AsyncIterator[ExecutionAdapter]:
    config = SandboxConfig(manual=True, history_blocks=3, filler_markets=0, seed=3, start_ms=NOW_MS)
    async with serve_in_process(config) as (venue, world):
        life = Life(Floor(venue, world))
        await life.fund(shares={YES: "40"})
        await life.floor.show()
        yield life.executor


def paper() -> Stage:
    return Stage(open=_open_paper)


def live() -> Stage:
    return Stage(open=_open_live)


@pytest.fixture(params=[paper, live], ids=lambda stage: stage.__name__)
def stage(request: pytest.FixtureRequest) -> Stage:
    made: Stage = request.param()
    return made


async def watched(stage: Stage, story: Callable[[ExecutionAdapter], Coroutine[Any, Any, None]]) -> list[ExecutionEvent]:
    """Run an adapter beside a story and return what it reported until a minute after."""
    async with stage.open() as adapter:
        session = Session(adapter)
        tasks = [asyncio.create_task(adapter.run()), asyncio.create_task(session.collect())]
        await story(adapter)
        await VirtualClock().sleep_ms(WAIT_MS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return session.events


async def submitting(adapter: ExecutionAdapter) -> None:
    for name, side in (("buy", Side.BUY), ("second", Side.BUY), ("sell", Side.SELL)):
        limit = LIMIT if side is Side.BUY else "0.49"
        attempt = an_attempt(name, size="30", limit=limit, side=side, account_id=adapter.account_id)
        await adapter.submit(adapter.prepare(attempt, a_market()))


def endings(events: list[ExecutionEvent]) -> list[OrderDone]:
    return [event for event in events if isinstance(event, OrderDone)]


def fills(events: list[ExecutionEvent]) -> list[ExecutionFill]:
    """Return each execution as it was last reported, in the order of the first reports."""
    last = {event.fill.venue_trade_id: event.fill for event in events if isinstance(event, Executed)}
    return list(last.values())


def test_an_adapter_says_its_mode_and_its_account(stage: Stage) -> None:
    async def asking(adapter: ExecutionAdapter) -> None:
        assert adapter.mode in ExecutionMode
        assert adapter.account_id

    stage.run(lambda: watched(stage, asking))


def test_preparing_is_repeatable_and_sends_nothing(stage: Stage) -> None:
    async def preparing(adapter: ExecutionAdapter) -> None:
        first, again = (adapter.prepare(an_attempt(), a_market()) for _ in range(2))
        other = adapter.prepare(an_attempt("other"), a_market())

        assert first == again
        assert first.order_hash.startswith("0x")
        assert first.order_hash != other.order_hash
        assert first.placed_at_ms >= first.attempt.decided_at_ms

    assert stage.run(lambda: watched(stage, preparing)) == []


def test_every_order_ends_once_after_all_of_its_fills(stage: Stage) -> None:
    events = stage.run(lambda: watched(stage, submitting))

    for name in ("buy", "second", "sell"):
        own = [event for event in events if owner(event) == attempt_id(name)]
        (done,) = endings(own)
        assert done.status in ENDS
        told_before = {fill.id for fill in fills(own[: own.index(done)])}
        assert {fill.id for fill in fills(own)} == told_before, "an execution was first told after the end"


def test_a_filled_order_has_no_reason_and_any_other_ending_has_one(stage: Stage) -> None:
    for done in endings(stage.run(lambda: watched(stage, submitting))):
        assert (done.reason is None) == (done.status is AttemptStatus.FILLED)


def test_fills_belong_to_their_attempt_and_keep_its_limit(stage: Stage) -> None:
    reported = fills(stage.run(lambda: watched(stage, submitting)))

    assert reported
    assert len({fill.id for fill in reported}) == len(reported)
    for fill in reported:
        assert fill.token_id == YES
        limit = micro(LIMIT) if fill.side is Side.BUY else micro("0.49")
        assert crosses(fill.price, side=fill.side, limit=limit)
        assert fill.shares > 0
        assert fill.fee_usdc >= 0


def test_orders_share_what_there_is(stage: Stage) -> None:
    events = stage.run(lambda: watched(stage, submitting))
    bought = sum(fill.shares for fill in fills(events) if fill.side is Side.BUY)

    assert bought == Level(micro(LIMIT), micro("40")).size


def test_the_position_is_the_fold_of_what_was_reported(stage: Stage) -> None:
    events = stage.run(lambda: watched(stage, submitting))
    (account_id,) = {fill.account_id for fill in fills(events)}
    empty = Position(strategy_id="copy", account_id=account_id, token_id=YES)

    assert fold(empty, fills(events)).shares == micro("10")


def test_cancelling_what_is_not_open_does_nothing(stage: Stage) -> None:
    async def cancelling(adapter: ExecutionAdapter) -> None:
        await adapter.cancel(attempt_id("nobody"))

    assert stage.run(lambda: watched(stage, cancelling)) == []


def test_a_cancelled_order_ends_as_such_before_its_time(stage: Stage) -> None:
    async def cancelling(adapter: ExecutionAdapter) -> None:
        attempt = an_attempt(limit="0.40", ttl_ms=WAIT_MS)
        await adapter.submit(adapter.prepare(attempt, a_market()))
        await VirtualClock().sleep_ms(1_000)
        await adapter.cancel(attempt.id)
        await adapter.cancel(attempt.id)

    (done,) = endings(stage.run(lambda: watched(stage, cancelling)))

    assert done.status is AttemptStatus.CANCELED
    assert done.at_ms < NOW_MS + 10_000


def test_an_attempt_found_open_is_settled_and_never_sent_again(stage: Stage) -> None:
    at_once: list[OrderDone | None] = []

    async def recovering(adapter: ExecutionAdapter) -> None:
        attempt = an_attempt(status=AttemptStatus.PARTIAL, filled_shares=micro("10"), account_id=adapter.account_id)
        at_once.append(await adapter.recover(attempt))

    later = stage.run(lambda: watched(stage, recovering))

    events = [event for event in (*at_once, *later) if event is not None]
    assert [owner(event) for event in events] == [attempt_id("one")]
    assert endings(events)[0].status is AttemptStatus.CANCELED


def test_an_order_is_found_open_filled_ended_or_not_at_all(stage: Stage) -> None:
    async def finding(adapter: ExecutionAdapter) -> None:
        account = {"account_id": adapter.account_id}
        taking = an_attempt("taking", size="30", limit=LIMIT, **account)
        resting = an_attempt("resting", size="30", limit="0.40", ttl_ms=WAIT_MS // 2, **account)
        nobody = an_attempt("nobody", **account)
        for attempt in (taking, resting):
            await adapter.submit(adapter.prepare(attempt, a_market()))
        await VirtualClock().sleep_ms(2_000)

        assert await adapter.find(taking) == FoundOrder(state=OrderState.FILLED, filled_shares=micro("30"))
        assert await adapter.find(resting) == FoundOrder(state=OrderState.OPEN, filled_shares=0)
        assert await adapter.find(nobody) == FoundOrder(state=OrderState.UNKNOWN, filled_shares=None)
        await adapter.cancel(resting.id)
        await VirtualClock().sleep_ms(2_000)
        assert await adapter.find(resting) == FoundOrder(state=OrderState.ENDED, filled_shares=0)

    assert len(endings(stage.run(lambda: watched(stage, finding)))) == 2


def test_what_an_order_got_before_it_ended_is_found(stage: Stage) -> None:
    async def finding(adapter: ExecutionAdapter) -> None:
        partly = an_attempt("partly", size="50", limit=LIMIT, ttl_ms=5_000, account_id=adapter.account_id)
        await adapter.submit(adapter.prepare(partly, a_market()))
        await VirtualClock().sleep_ms(2_000)
        assert await adapter.find(partly) == FoundOrder(state=OrderState.OPEN, filled_shares=micro("40"))
        await VirtualClock().sleep_ms(10_000)
        assert await adapter.find(partly) == FoundOrder(state=OrderState.ENDED, filled_shares=micro("40"))

    stage.run(lambda: watched(stage, finding))


def owner(event: ExecutionEvent) -> Any:
    return event.fill.attempt_id if isinstance(event, Executed) else event.attempt_id
