"""How markets were resolved, read from the chain: final blocks only, nothing missed, nothing made up."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from copytrade.adapters.polygon.resolutions import TOPIC, PolygonResolutions, open_resolutions, payouts_of
from copytrade.domain.settlement import Resolution
from copytrade.domain.units import MICRO
from copytrade.ports.resolutions import ResolutionsUnavailableError
from copytrade.sandbox.inprocess import LocalVenue
from copytrade.sandbox.market import Market
from copytrade.sandbox.server import SandboxConfig, serve_in_process
from copytrade.sandbox.world import World
from tests.simulation.network import Conditions, Interference, Journal, Network
from tests.virtual_time import VirtualClock, run_virtual

CTF = "0x4d97dcd97ec945f40cf65f87097ace5ea0476045"
START_MS = 1_795_000_000_000
ANSWERED_BY = "http://node.test/rpc"


class Scene:
    """A venue that mines on request, and the feed that reads its chain."""

    def __init__(self, venue: LocalVenue, world: World, feed: PolygonResolutions, conditions: Conditions) -> None:
        self.venue = venue
        self.world = world
        self.feed = feed
        self.conditions = conditions
        self.markets = [one for one in world.exchange.catalogue.all() if one.version == "v1" and not one.closed]

    async def told(self, *markets: Market) -> list[tuple[str, tuple[int, ...]]]:
        resolutions: tuple[Resolution, ...] = await self.feed.resolved({market.condition for market in markets})
        return [(one.condition_id, one.payouts) for one in resolutions]

    def resolve(self, market: Market, payouts: tuple[int, int], *, mine: int = 8) -> None:
        self.world.exchange.resolve_market(market, payouts)
        for _ in range(mine):
            self.world.mine()


def on_the_sandbox(script: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        config = SandboxConfig(start_ms=START_MS, block_ms=0, manual=True, history_blocks=30, filler_markets=2)
        async with serve_in_process(config) as (venue, world):
            conditions = Conditions()
            network = Network(venue, Journal(VirtualClock().now_ms), conditions)
            async with open_resolutions((ANSWERED_BY,), contract=CTF, clock=VirtualClock(), transport=network) as feed:
                await script(Scene(venue, world, feed, conditions))

    run_virtual(main, epoch_ms=START_MS)


def test_each_resolution_is_told_once_and_only_of_the_markets_asked_about() -> None:
    async def script(scene: Scene) -> None:
        held, other, draw = scene.markets[:3]
        assert await scene.told(held, draw) == []
        scene.resolve(held, (0, MICRO))
        scene.resolve(other, (MICRO, 0))
        scene.resolve(draw, (400_000, 600_000))

        assert await scene.told(held, draw) == [(held.condition, (0, MICRO)), (draw.condition, (400_000, 600_000))]
        assert await scene.told(held, draw) == []

    on_the_sandbox(script)


def test_what_was_resolved_before_the_start_is_read_too() -> None:
    async def script(scene: Scene) -> None:
        scene.resolve(scene.markets[0], (MICRO, 0))

        assert await scene.told(scene.markets[0]) == [(scene.markets[0].condition, (MICRO, 0))]

    on_the_sandbox(script)


def test_a_block_that_is_not_final_tells_nothing_yet() -> None:
    async def script(scene: Scene) -> None:
        await scene.told(scene.markets[0])
        scene.resolve(scene.markets[0], (MICRO, 0), mine=1)
        assert await scene.told(scene.markets[0]) == []

        for _ in range(5):
            scene.world.mine()
        assert len(await scene.told(scene.markets[0])) == 1

    on_the_sandbox(script)


def test_an_outage_is_told_and_nothing_is_missed_after_it() -> None:
    async def script(scene: Scene) -> None:
        await scene.told(scene.markets[0])
        scene.conditions.interferences.append(Interference(path="/rpc", remaining=10_000))
        scene.resolve(scene.markets[0], (MICRO, 0))
        with pytest.raises(ResolutionsUnavailableError, match="polygon: "):
            await scene.told(scene.markets[0])

        scene.conditions.interferences.clear()
        assert len(await scene.told(scene.markets[0])) == 1

    on_the_sandbox(script)


def test_a_node_that_answers_for_a_few_blocks_only_is_read_in_parts() -> None:
    async def script(scene: Scene) -> None:
        await scene.venue.request("POST", "/control/lag", json.dumps({"range": 3}).encode())
        scene.resolve(scene.markets[0], (MICRO, 0))
        found = [one for _ in range(200) for one in await scene.told(scene.markets[0])]

        assert found == [(scene.markets[0].condition, (MICRO, 0))]

    on_the_sandbox(script)


def words(*values: int) -> str:
    return "0x" + "".join(f"{value:064x}" for value in values)


@pytest.mark.parametrize(
    ("data", "payouts"),
    [
        (words(2, 64, 2, 1, 0), (MICRO, 0)),
        (words(2, 64, 2, 1, 1), (MICRO // 2, MICRO // 2)),
        (words(3, 64, 3, 1, 1, 1), (333_333, 333_333, 333_333)),
        (words(2, 64, 2, 0, 0), None),
        (words(2, 64, 3, 1, 0), None),
        (words(2, 64, 2, 1), None),
        (words(1, 64, 1, 1), None),
        ("0x", None),
        ("0x" + "zz" * 160, None),
        (None, None),
    ],
)
def test_payouts_are_the_numerators_over_their_sum(data: object, payouts: tuple[int, ...] | None) -> None:
    assert payouts_of(data) == payouts


def test_a_log_that_was_removed_or_is_of_another_event_tells_nothing() -> None:
    condition = "0x" + "c0" * 32
    good: dict[str, Any] = {
        "topics": [TOPIC, condition, "0x00", "0x00"],
        "data": words(2, 64, 2, 1, 0),
        "blockNumber": "0x1",
        "logIndex": "0x0",
    }
    header = {
        "number": "0x10",
        "hash": "0x" + "0b" * 32,
        "parentHash": "0x" + "0a" * 32,
        "timestamp": "0x1",
        "logsBloom": "0x",
    }
    logs = [good | {"removed": True}, good | {"topics": ["0x01", condition, "0x00", "0x00"]}, {}, good]

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        result = header if asked["method"] == "eth_getBlockByNumber" else logs
        return httpx.Response(200, json={"id": asked["id"], "result": result})

    async def main() -> tuple[Resolution, ...]:
        transport = httpx.MockTransport(answer)
        async with open_resolutions((ANSWERED_BY,), contract=CTF, clock=VirtualClock(), transport=transport) as feed:
            return await feed.resolved({condition})

    (told,) = run_virtual(main, epoch_ms=START_MS)
    assert (told.condition_id, told.payouts) == (condition, (MICRO, 0))


@pytest.mark.recorded
def test_a_recorded_report_is_read(recorded_data) -> None:
    logs = json.loads((recorded_data / "onchain" / "ctf_and_exchange_single_logs.json").read_text("utf-8"))
    (report,) = [one["log"] for one in logs if one["name"] == "ctf_condition_resolution"]

    assert report["topics"][0] == TOPIC
    assert payouts_of(report["data"]) in {(MICRO, 0), (0, MICRO)}
