"""The venue's dead-man switch: fed while we live, it cancels what rests once we are silent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from copytrade.adapters.live.heartbeat import Heartbeat
from copytrade.domain.attempts import AttemptStatus
from tests.makers import NOW_MS
from tests.unit.live.life import Floor, Life, on_floor
from tests.virtual_time import run_virtual

RESTING_S = 60.0


def beating(script: Callable[[Floor, Life, asyncio.Task[None]], Awaitable[None]]) -> None:
    """Run a script with an order at rest and a heart that beats."""

    async def story(floor: Floor) -> None:
        life = Life(floor)
        await life.fund()
        await floor.show(asks="0.90:40")
        await life.start()
        heart = Heartbeat(clob=life.executor.clob, clock=life.clock, note=life.notes.take)
        beats = asyncio.create_task(heart.run())
        try:
            await asyncio.sleep(1)
            await script(floor, life, beats)
        finally:
            beats.cancel()
            with suppress(asyncio.CancelledError):
                await beats
            await life.stop()

    run_virtual(lambda: on_floor(story), epoch_ms=NOW_MS)


async def open_at_the_venue(life: Life) -> int:
    return len(await life.executor.clob.open_orders())


def test_an_order_rests_while_the_heart_beats_and_is_cancelled_by_the_venue_once_it_stops() -> None:
    async def script(floor: Floor, life: Life, beats: asyncio.Task[None]) -> None:
        attempt = await life.trade(ttl_ms=3_600_000)
        await asyncio.sleep(RESTING_S)
        assert await open_at_the_venue(life) == 1

        beats.cancel()
        await asyncio.sleep(20)

        assert await open_at_the_venue(life) == 0
        assert (await life.now(attempt.id)).status is AttemptStatus.CANCELED

    beating(script)


def test_one_lost_answer_is_caught_up_with_the_id_the_venue_expects() -> None:
    async def script(floor: Floor, life: Life, beats: asyncio.Task[None]) -> None:
        await life.trade(ttl_ms=3_600_000)
        await floor.control("trouble", kind="lost_response", target="POST /v1/heartbeats", count=1)

        await asyncio.sleep(RESTING_S)

        assert await open_at_the_venue(life) == 1
        assert [one.code for one in life.notifier.told if getattr(one, "code", "") == "HEARTBEAT_MISSED"] == [
            "HEARTBEAT_MISSED"
        ]

    beating(script)
