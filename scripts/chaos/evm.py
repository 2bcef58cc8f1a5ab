"""The same on a real EVM node: the worker reads its chain while blocks are replaced and it is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from scripts.chaos.stories import Options
from scripts.chaos.trial import KILLED, NotInTime, Trial
from tests.evm.chain import EvmChain, a_chain

LIVES = 3
FILLS_A_LIFE = 6


def evm(trial: Trial, options: Options) -> None:
    """Trade on anvil, with reorgs by snapshot and revert told as `removed: true` and kill -9 in between."""
    asyncio.run(_lives(trial))


async def _lives(trial: Trial) -> None:
    leader = trial.world.leaders[0]["address"].lower()
    trial.world.command("pause", paused=True)
    async with a_chain(genesis_s=int(time.time())) as chain:
        trial.more |= {"POLYGON_HTTP_URL": chain.http_url, "POLYGON_WS_URL": chain.sockets.url, "LEADERS": leader}
        await chain.mine()
        with trial.worker() as worker:
            await _wait("a start", lambda: worker.said("STARTED"))
        for _ in range(LIVES):
            await _live_and_die(trial, chain, leader)
        for _ in range(20):
            await chain.mine()
        with trial.worker():
            expected = {(row.tx_hash, row.order_hash) for row in await chain.rows(leader)}
            await _wait("every fill of the node", lambda: _stored(trial) == expected)
        trial.judge(f"{len(expected)} fills of the node, each stored once", _stored(trial) ^ expected)
        trial.judge("fills stored twice", trial.database.rows(
            "SELECT tx_hash FROM leader_fill WHERE orphaned_at IS NULL GROUP BY tx_hash, order_hash HAVING count(*) > 1"
        ))  # fmt: skip
        trial.judge("fills with more than one attempt", trial.database.rows(
            "SELECT leader_fill_id FROM execution_attempt GROUP BY leader_fill_id HAVING count(*) > 1"
        ))  # fmt: skip
        if not expected:
            trial.breaches.append("nothing was traded: the trial proves nothing")


async def _live_and_die(trial: Trial, chain: EvmChain, leader: str) -> None:
    """Trade while a worker watches, kill it, and trade on while nobody does."""
    with trial.worker() as worker:
        lives = worker.log.read_text().count("STARTED")
        await _wait("a start", lambda: worker.log.read_text().count("STARTED") > lives)
        await _trade(trial, chain, leader)
        worker.kill()
        trial.injected["kill -9"] += worker.code == KILLED
    await _trade(trial, chain, leader)


async def _trade(trial: Trial, chain: EvmChain, leader: str) -> None:
    made = []
    for _ in range(FILLS_A_LIFE):
        made.append(chain.fill(leader))
        await chain.mine(made[-1])
        await asyncio.sleep(trial.random.uniform(0.0, 0.3))
    depth = trial.random.randint(1, FILLS_A_LIFE - 1)
    kept = [one for one in made[-depth:] if trial.random.random() < 0.7]
    trial.injected[f"reorg {depth} deep"] += 1
    await chain.reorg(depth, kept, [])


def _stored(trial: Trial) -> set[tuple[str, str]]:
    rows = trial.database.rows("SELECT tx_hash, order_hash FROM leader_fill WHERE orphaned_at IS NULL")
    return {(row["tx_hash"], row["order_hash"]) for row in rows}


async def _wait(what: str, holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.1)
    raise NotInTime(f"{what}: not within 60 s")
