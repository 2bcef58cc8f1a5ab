"""Over many seeds no attempt has two orders and no fill is lost; and bugs that others shipped are found."""

from __future__ import annotations

import asyncio
import contextlib
import os
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import replace
from typing import Any

import pytest

from copytrade.adapters.live import caps, executor, following, posting, rows
from copytrade.adapters.live.typed_data import order_hash
from copytrade.adapters.live.verdicts import Refused, Taken
from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, Settlement, reason
from copytrade.domain.venue_orders import VenueOrder
from copytrade.ports.execution import NotSentError
from tests.makers import NOW_MS
from tests.unit.live.life import Floor, Life, on_floor, quiet
from tests.unit.live.seeds import FAULTS, play
from tests.virtual_time import run_virtual

SEEDS = int(os.environ.get("LIVE_SEEDS", "4"))
NEVER_LATE_MS = 10 * NOW_MS
WAITS_MAX = 50
HUNT = 8
"""Seeds that a planted bug may hide from."""


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_venue_remembers_what_the_ledger_does(seed: int) -> None:
    assert play(seed).complaints == []


@pytest.mark.parametrize("kind", FAULTS)
def test_one_kind_of_fault_alone_breaks_nothing(kind: str) -> None:
    assert play(100, only=kind).complaints == []


def signs_again(patch: pytest.MonkeyPatch) -> None:
    async def send_again(self: following.Following, order: Any) -> None:
        order.resends += 1
        again = replace(order.signed[0], salt=order.signed[0].salt + 1)
        await self._posting.post(again, order.signed[1], order_hash=order_hash(again))

    patch.setattr(following.Following, "_send_again", send_again)


def takes_a_timeout_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    post = posting.Posting.post

    async def hasty(self: posting.Posting, order: VenueOrder, signature: bytes, *, order_hash: str) -> Any:
        verdict = await post(self, order, signature, order_hash=order_hash)
        return verdict if isinstance(verdict, Taken) else Refused(status=AttemptStatus.FAILED, why=reason("TIMEOUT"))

    patch.setattr(posting.Posting, "post", hasty)


def takes_delayed_for_nothing(patch: pytest.MonkeyPatch) -> None:
    judge = posting.verdict_of

    def hasty(answer: Any, *, order_hash: str) -> Any:
        verdict = judge(answer, order_hash=order_hash)
        if isinstance(verdict, Taken) and verdict.word in {"delayed", "unmatched"}:
            return Refused(status=AttemptStatus.CANCELED, why=reason("ZERO"))
        return verdict

    patch.setattr(posting, "verdict_of", hasty)


def takes_matched_for_settled(patch: pytest.MonkeyPatch) -> None:
    judge = rows.settlement_of

    def hasty(word: str) -> Settlement:
        told = judge(word)
        return Settlement.CONFIRMED if told is Settlement.MATCHED else told

    patch.setattr(rows, "settlement_of", hasty)


def sends_later_what_it_could_not_send(patch: pytest.MonkeyPatch) -> None:
    check = executor.ClobExecutor._check

    async def patient(self: executor.ClobExecutor, order: Any) -> None:
        while True:
            try:
                await check(self, replace(order, placed_at_ms=NEVER_LATE_MS))
            except NotSentError as error:
                if "POST_ONLY" not in str(error) and "RESTARTING" not in str(error):
                    raise
                await asyncio.sleep(1)
            else:
                return

    patch.setattr(executor.ClobExecutor, "_check", patient)


def spends_without_counting(patch: pytest.MonkeyPatch) -> None:
    async def check(self: caps.Caps, attempt: ExecutionAttempt) -> None:
        del self, attempt

    patch.setattr(caps.Caps, "check", check)


@pytest.mark.parametrize(
    ("bug", "kind", "complaint"),
    [
        (spends_without_counting, "delayed", "a limit exceeded"),
        (signs_again, "lost_request", "a second hash"),
        (takes_a_timeout_for_a_refusal, "lost_answer", "comparison stopped it"),
        (takes_delayed_for_nothing, "delayed", "comparison stopped it"),
        (takes_matched_for_settled, "settlement", "settlement: FAILED"),
        (sends_later_what_it_could_not_send, "window", "ms after its decision"),
    ],
)
def test_a_planted_bug_is_found(
    bug: Callable[[pytest.MonkeyPatch], None], kind: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)

    found: list[str] = []
    for seed in range(HUNT):
        found += play(seed, only=kind).complaints
        if any(complaint in said for said in found):
            return
    pytest.fail(f"{complaint!r} is not among {found}")


class Deaths:
    """A ledger before whose write, or after it, the process dies."""

    def __init__(self, life: Life, *, before: bool) -> None:
        self._submit = life.ledger.submit_attempt
        self._before = before

    async def submit_attempt(self, *given: Any, **named: Any) -> bool:
        if self._before:
            raise asyncio.CancelledError
        await self._submit(*given, **named)
        raise asyncio.CancelledError


@pytest.mark.parametrize("at", ["before the write", "after the write", *range(0, 45, 7)])
def test_a_death_at_any_point_of_sending_neither_loses_nor_doubles_the_order(at: str | int) -> None:
    async def story(floor: Floor) -> None:
        life = Life(floor, way_ms=10)
        await life.fund()
        await floor.show()
        await life.start()
        await asyncio.sleep(1)
        attempt = await life.decide("one")
        if isinstance(at, str):
            deaths = Deaths(life, before=at.startswith("before"))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(life.ledger, "submit_attempt", deaths.submit_attempt)
                with pytest.raises(asyncio.CancelledError):
                    await life.send(attempt)
        else:
            sending = asyncio.create_task(life.send(attempt))
            await asyncio.sleep(at / 1_000)
            sending.cancel()
        await life.kill()
        again = Life(floor, ledger=life.ledger, way_ms=10)
        await again.start()
        await quiet(660)
        await again.stop()
        await _check(floor, again, attempt)

    run_virtual(lambda: on_floor(story), epoch_ms=NOW_MS)


@types.coroutine
def only_so_far(coroutine: Coroutine[Any, Any, None], steps: int) -> Generator[Any, Any, bool]:
    """Run a coroutine over so many of its waits and then never again, as a killed process does; tell if it was over."""
    for _ in range(steps):
        try:
            waiting = coroutine.send(None)
        except StopIteration:
            return True
        yield waiting
    return False


async def _killed_after(floor: Floor, steps: int) -> bool:
    """Kill a process that sends an order after so many of its waits; tell if it had come to its end by then."""
    life = Life(floor, way_ms=10)
    await life.fund()
    await floor.show()
    await life.start()
    await asyncio.sleep(1)
    attempt = await life.decide("one")
    sending, over = life.send(attempt), asyncio.get_running_loop().create_future()

    async def be_killed() -> None:
        over.set_result(await only_so_far(sending, steps))
        await asyncio.Event().wait()

    # A task of its own: what is never run again may still have it cancelled when its time is up.
    killed = asyncio.create_task(be_killed())
    is_over = await over
    await life.kill()
    again = Life(floor, ledger=life.ledger, way_ms=10)
    await again.start()
    await quiet(660)
    await again.stop()
    await _check(floor, again, attempt)
    with contextlib.suppress(RuntimeError):  # it waits for something in its last words, which nobody hears
        sending.close()
    killed.cancel()
    return is_over


def test_a_kill_at_each_wait_of_sending_neither_loses_nor_doubles_the_order() -> None:
    for steps in range(WAITS_MAX):
        if run_virtual(lambda at=steps: on_floor(lambda floor: _killed_after(floor, at)), epoch_ms=NOW_MS):
            break
    assert 3 < steps < WAITS_MAX - 1, "there is something to be killed between, and an end"


async def _check(floor: Floor, life: Life, attempt: ExecutionAttempt) -> None:
    posts = await floor.read("posts")
    matched = sum(order["matched_shares"] for order in await floor.read("orders"))
    done = await life.now(attempt.id)
    assert len(posts) <= 1
    assert done.filled_shares == matched == sum(one.shares for one in await life.ledger.positions())
    assert done.status is (AttemptStatus.FILLED if matched else done.status)
    assert done.done_at_ms is not None
    assert "ACCOUNT_DIFFERS" not in life.noted()
