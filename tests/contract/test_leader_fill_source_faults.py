"""Seeded trouble: two nodes that lag, lie and fail, sockets that drop, reorgs, kills. The fills must come out exact.

Run more seeds with `FAULT_SEEDS=500 pytest tests/contract/test_leader_fill_source_faults.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import Any

import httpx
import pytest

from copytrade.domain.leaders import Leader
from copytrade.ports.leader_fills import FillsRemoved, FillsSeen, LogRef, SourceEvent
from tests.makers import a_leader
from tests.unit.polygon.fake_chain import GENESIS_S, FakeChain
from tests.unit.polygon.raw_logs import STANDARD, STRANGER
from tests.unit.polygon.watching import Kept, Roll, watching
from tests.virtual_time import run_virtual

SEEDS = int(os.environ.get("FAULT_SEEDS", "50"))
URLS = ("https://liar.test", "https://honest.test")
LEADERS = tuple(f"0x{at:02x}" + "a1" * 19 for at in range(3))
STEPS = 60
DEEPEST = 128
CALM_S = 120
SINCE_S = GENESIS_S + 20


class Ledger(Kept):
    """Keeps fills as the ledger does: one per order and transaction, wherever its log went."""

    def __init__(self) -> None:
        super().__init__()
        self.fills: dict[tuple[str, str], LogRef] = {}

    def take(self, event: SourceEvent) -> None:
        super().take(event)
        if isinstance(event, FillsSeen):
            for sighting in event.sightings:
                place = sighting.fill.place
                assert place is not None
                ref = LogRef(block_hash=place.block_hash, tx_hash=sighting.fill.tx_hash, log_index=place.log_index)
                self.fills[sighting.fill.tx_hash, place.order_hash] = ref
        elif isinstance(event, FillsRemoved):
            self.fills = {key: ref for key, ref in self.fills.items() if ref not in event.logs}


class World:
    """A chain and what goes wrong around it, drawn from one seed; each kind is off in some seeds."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.chain = FakeChain(finality=6)
        self.chain.mine_empty(10)
        self.calm = False
        self.made = 0
        kinds = ("lag", "lie", "cut", "fail", "drop", "mute", "reorg", "vanish", "kill", "join", "range", "stall")
        self.on = {kind: self.rng.random() < 0.7 for kind in kinds}
        self.stalled = 0

    def happens(self, kind: str, share: float) -> bool:
        return self.on[kind] and not self.calm and self.rng.random() < share

    async def respond(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.rng.uniform(0.005, 0.08))
        call = json.loads(request.content)
        is_liar = request.url.host == "liar.test"
        if self.happens("fail", 0.05):
            raise httpx.ConnectError("down")
        answer = self.answer(call["method"], call["params"], is_liar=is_liar)
        return httpx.Response(200, json={"id": 1} | answer)

    def answer(self, method: str, params: list[Any], *, is_liar: bool) -> dict[str, Any]:
        chain = self.chain
        lag = self.rng.randint(0, 3) if self.happens("lag", 0.3) else 0
        known = chain.blocks[: len(chain.blocks) - lag]
        if method == "eth_getBlockByNumber" and lag:
            number = {"latest": known[-1].number, "finalized": min(chain.final_number(), known[-1].number)}.get(
                params[0]
            )
            number = number if number is not None else int(params[0], 16)
            found = next((block for block in known if block.number == number), None)
            return {"result": found and found.header()}
        if method == "eth_getLogs":
            if "fromBlock" in params[0] and self.happens("range", 0.2):
                return {"error": {"code": -32005, "message": "query returned more than 10000 results"}}
            if "blockHash" in params[0] and all(block.block_hash != params[0]["blockHash"] for block in known):
                return {"error": {"code": -32000, "message": "unknown block"}}
            answer = chain.logs(params[0])
            if is_liar and answer.get("result"):
                if self.happens("lie", 0.3):
                    return {"result": []}
                if self.happens("cut", 0.3):
                    return {"result": answer["result"][:-1]}
            return answer
        return chain.answer(method, params)

    def stall(self) -> None:
        """Let finality stand still for some steps, now and then while a hundred blocks come."""
        chain = self.chain
        self.stalled = max(0, self.stalled - 1)
        if self.stalled == 0:
            chain.stalled_at = None
        if self.stalled == 0 and self.happens("stall", 0.08):
            self.stalled = self.rng.randint(3, 20)
            chain.stalled_at = chain.final_number()
            for _ in range(self.rng.choice((0, 0, 60, 140))):
                chain.mine(*self.trade())

    def trade(self) -> list[dict[str, Any]]:
        logs = []
        for _ in range(self.rng.choice((0, 0, 1, 1, 2, 4))):
            self.made += 1
            owner = self.rng.choice((*LEADERS, STRANGER))
            taker = STANDARD if self.rng.random() < 0.5 else self.rng.choice((*LEADERS, STRANGER))
            logs.append(self.chain.fill(self.made, maker=owner, taker=taker))
        return logs

    def step(self) -> None:
        chain = self.chain
        self.stall()
        if self.happens("reorg", 0.1):
            depth = self.rng.randint(1, min(DEEPEST, chain.head.number - chain.final_number()))
            gone = [log for block in chain.reorg(depth, tell=self.rng.random() < 0.5) for log in block.logs]
            kept = [log for log in gone if not self.happens("vanish", 0.5)]
            self.rng.shuffle(kept)
            chain.mine(*kept[:2])
            chain.mine(*kept[2:])
            chain.mine_empty(max(0, depth - 2))
        for socket in list(chain.sockets):
            if self.happens("drop", 0.1):
                socket.drop()
            elif self.happens("mute", 0.05):
                socket.mute = True
        chain.mine(*self.trade())

    def on_chain(self, leaders: tuple[str, ...], *, since_s: int = 0) -> dict[tuple[str, str], LogRef]:
        return {
            (log["transactionHash"], log["topics"][1]): LogRef(
                block_hash=log["blockHash"], tx_hash=log["transactionHash"], log_index=int(log["logIndex"], 16)
            )
            for block in self.chain.blocks
            for log in block.logs
            if block.timestamp_s >= since_s and "0x" + log["topics"][2][26:] in leaders
        }


def leader(address: str) -> Leader:
    return a_leader(address=address, followed_since_ms=SINCE_S * 1000)


async def live(world: World, ledger: Ledger) -> None:
    """Run the source through the trouble, killing and restarting it, then let things calm down."""
    roll = Roll(*map(leader, LEADERS[:2]))
    transport = httpx.MockTransport(world.respond)
    steps = 0
    while not world.calm:
        async with watching(world.chain, roll, ledger, http_urls=URLS, transport=transport):
            life = world.rng.randint(5, 30) if world.on["kill"] else STEPS
            for _ in range(life):
                await asyncio.sleep(world.rng.uniform(0.5, 3.0))
                world.step()
                steps += 1
                if steps == STEPS // 2 and world.on["join"]:
                    roll.set(*map(leader, LEADERS))
            if steps >= STEPS:
                world.calm, world.chain.stalled_at = True, None
                for socket in list(world.chain.sockets):
                    socket.mute = False
                await asyncio.sleep(CALM_S / 2)
                world.chain.mine_empty(10)
                await asyncio.sleep(CALM_S / 2)
                world.chain.mine()
                await asyncio.sleep(5)
        if not world.calm:
            for _ in range(world.rng.choice((0, 1, 5, 100))):
                world.step()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_fills_that_stand_are_those_on_the_chain(seed):
    world, ledger = World(seed), Ledger()
    joined = LEADERS if world.on["join"] else LEADERS[:2]

    run_virtual(lambda: live(world, ledger), epoch_ms=SINCE_S * 1000, seed=seed)

    trouble = f"seed {seed}, on: {[kind for kind, on in world.on.items() if on]}"
    assert world.on_chain(joined, since_s=SINCE_S).items() <= ledger.fills.items(), f"missed: {trouble}"
    assert ledger.fills.items() <= world.on_chain(joined).items(), f"kept what is not there: {trouble}"
    assert ledger.at() == world.chain.head.number
    assert ledger.final >= world.chain.head.number - 11
