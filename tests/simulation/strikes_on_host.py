"""What happens to the machine the worker runs on, and what its operator does."""

from __future__ import annotations

import asyncio

from tests.simulation.faults import Blow
from tests.simulation.host import host_loop
from tests.simulation.mortal import AFTER, BEFORE, WRITES

STEPS_MAX = 3_000
"""A worker makes some hundred steps a second; a death comes within so many from when it was drawn."""
AGAIN_CHANCE = 0.4
WRITE_WITHIN_S = 20
"""A write that does not come within that is not waited for."""
MORTAL_WRITES = (*WRITES, "close_attempts")
"""Most lives leave nothing open, so that the last is not owed."""
PAUSE_S_MAX = 60
OFF_MS_MAX = 120_000


async def slow_the_disk(blow: Blow) -> None:
    blow.stage.disk.slow_ms = blow.rng.randint(2, 1_000)
    blow.struck()
    await blow.last(10)
    blow.stage.disk.slow_ms = 0


async def fail_the_disk(blow: Blow) -> None:
    blow.stage.disk.failures += blow.rng.randint(1, 3)
    blow.struck()


async def kill_the_worker(blow: Blow) -> None:
    """Kill just before any step that a task of the worker would make, and often again while it recovers."""
    while True:
        died = asyncio.Event()

        def die(died: asyncio.Event = died) -> None:
            blow.struck(int(blow.trouble.kill()))
            died.set()

        host_loop().strike_after(int(STEPS_MAX ** blow.rng.random()), die)
        await died.wait()
        if blow.rng.random() >= AGAIN_CHANCE:
            return
        await asyncio.sleep(blow.rng.choice((0, 0.1, 3)) * blow.rng.random())


async def kill_at_a_write(blow: Blow) -> None:
    """Kill just before or just after a commit, and often again at one of the next life's first."""
    disk = blow.stage.disk
    while True:
        died = asyncio.Event()

        def die(died: asyncio.Event = died) -> None:
            blow.struck(int(blow.trouble.kill()))
            died.set()

        moment = f"{blow.rng.choice(MORTAL_WRITES)}:{blow.rng.choice((BEFORE, AFTER))}"
        disk.deaths_due[moment] = die
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                await died.wait()
        except TimeoutError:
            if disk.deaths_due.get(moment) is die:
                del disk.deaths_due[moment]
            return
        if blow.rng.random() >= AGAIN_CHANCE:
            return


async def stop_the_process(blow: Blow) -> None:
    """Let the worker hang for a while, as a swapped out, suspended or starved process does."""
    number = blow.trouble.life()
    if number is None:
        return
    seconds = PAUSE_S_MAX ** blow.rng.random()
    host_loop().stop_process(number)
    blow.struck(what=f"{seconds:.1f} s")
    await asyncio.sleep(seconds)
    host_loop().go_on(number)


async def set_the_clock(blow: Blow) -> None:
    """Set the host's clock wrong, and after a while right again."""
    off_ms = int((1_000 * (OFF_MS_MAX / 1_000) ** blow.rng.random()) * blow.rng.choice((-1, 1)))
    blow.stage.clock.set_off(off_ms)
    blow.struck(what=f"{off_ms} ms", kind="ahead" if off_ms > 0 else "behind")
    await blow.last(20)
    blow.stage.clock.set_off(0)


async def resolve_a_market(blow: Blow) -> None:
    """Resolve a market we hold something of, told by the socket or not, in one of the ways markets end."""
    held = [position.token_id for position in blow.stage.storage.kept().positions.values() if position.shares]
    by_token = blow.stage.world.exchange.catalogue.by_token_text
    open_ones = [token for token in held if (market := by_token(token)) is not None and not market.closed]
    if open_ones:
        payouts = blow.rng.choice((["1", "0"], ["0", "1"], ["0.5", "0.5"], ["0.25", "0.75"]))
        announced = blow.rng.random() < 0.5
        await blow.control("resolve", token=blow.rng.choice(open_ones), payouts=payouts, announced=announced)
        blow.struck(what=f"{payouts} announced={announced}")


async def add_a_leader(blow: Blow) -> None:
    """Follow one more, from now on or from some time ago."""
    stage = blow.stage
    followed = {leader.address for leader in await stage.storage.ledger.leaders()}
    others = [leader.address for leader in stage.world.leaders if leader.address not in followed]
    if others:
        since_ms = stage.clock.true_ms() - blow.rng.choice((0, 5_000, 15_000))
        await stage.follow(others[0], since_ms=since_ms)
        blow.struck()
