"""The push channel: what it subscribes to, how it heals, and a real socket once."""

from __future__ import annotations

import asyncio
import json
import random
from itertools import pairwise
from typing import Any

import websockets.asyncio.server
from websockets.exceptions import InvalidURI

from copytrade.adapters.feeds.sockets import Connect
from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import MAKERS_PER_FILTER, WHOLE_EXCHANGE_ABOVE, Header, LogFilter
from copytrade.adapters.polygon.websocket import BACKOFF_MAX_MS, Listener, LogSocket, open_socket
from tests.makers import a_leader
from tests.unit.polygon.fake_chain import FakeChain, FakeSocket
from tests.unit.polygon.raw_logs import LEADER, LIVE, STRANGER
from tests.unit.polygon.watching import Roll
from tests.virtual_time import VirtualClock, run_virtual


class Heard(Listener):
    def __init__(self) -> None:
        self.heads: list[Header] = []
        self.logs: list[dict[str, Any]] = []
        self.bad: list[str] = []
        self.gaps: list[int] = []
        self.anything = asyncio.Event()

    async def on_head(self, header: Header) -> None:
        self.heads.append(header)
        self.anything.set()

    async def on_log(self, log: dict[str, Any]) -> None:
        self.logs.append(log)

    async def on_bad_frame(self, frame: bytes, reason: str) -> None:
        self.bad.append(reason)

    async def on_reconnected(self, host: str, silent_ms: int) -> None:
        self.gaps.append(silent_ms)


def socket_of(heard: Heard, roll: Roll, connector: Connect, urls: tuple[str, ...] = ("wss://node.test",)) -> LogSocket:
    return LogSocket(
        urls,
        listener=heard,
        filters=lambda: LogFilter(LIVE, (decode.TOPIC_V2,), tuple(roll.leaders())),
        roll=roll,
        clock=VirtualClock(),
        rng=random.Random(1),
        connector=connector,
    )


def leaders(count: int) -> list[Any]:
    return [a_leader(address=f"0x{at:040x}") for at in range(count)]


def test_it_asks_for_heads_and_for_the_orders_of_each_leader():
    async def story() -> list[dict[str, Any]]:
        chain = FakeChain()
        running = asyncio.create_task(socket_of(Heard(), Roll(a_leader(address=LEADER)), chain.connect).run())
        await asyncio.sleep(1)
        sent = chain.sockets[0].sent
        running.cancel()
        return sent

    heads, logs = run_virtual(story, epoch_ms=0)

    assert heads["params"] == ["newHeads"]
    assert logs["params"] == [
        "logs",
        {"address": list(LIVE), "topics": [[decode.TOPIC_V2], None, [decode.maker_topic(LEADER)]]},
    ]


def test_many_leaders_are_chunked_and_very_many_are_filtered_here():
    few, many = (
        LogFilter(LIVE, (decode.TOPIC_V2,), tuple(f"0x{at:040x}" for at in range(count)))
        for count in (2 * MAKERS_PER_FILTER + 1, WHOLE_EXCHANGE_ABOVE + 1)
    )

    assert [len(criteria["topics"][2]) for criteria in few.criteria()] == [MAKERS_PER_FILTER, MAKERS_PER_FILTER, 1]
    assert many.criteria() == [{"address": list(LIVE), "topics": [[decode.TOPIC_V2]]}]


def test_a_change_of_leaders_replaces_the_subscription():
    async def story() -> dict[str, dict[str, Any]]:
        chain, roll = FakeChain(), Roll(a_leader(address=LEADER))
        running = asyncio.create_task(socket_of(Heard(), roll, chain.connect).run())
        await asyncio.sleep(1)
        roll.set(a_leader(address=STRANGER))
        await asyncio.sleep(1)
        filters = chain.sockets[0].filters
        running.cancel()
        return filters

    (criteria,) = run_virtual(story, epoch_ms=0).values()

    assert criteria["topics"][2] == [decode.maker_topic(STRANGER)]


def test_without_leaders_only_heads_are_subscribed():
    async def story() -> int:
        chain = FakeChain()
        running = asyncio.create_task(socket_of(Heard(), Roll(), chain.connect).run())
        await asyncio.sleep(1)
        sent = len(chain.sockets[0].sent)
        running.cancel()
        return sent

    assert run_virtual(story, epoch_ms=0) == 1


def test_attempts_are_spread_with_a_ceiling_and_go_over_all_urls():
    async def story() -> list[tuple[str, int]]:
        attempts: list[tuple[str, int]] = []

        async def refuse(url: str) -> FakeSocket:
            attempts.append((url, VirtualClock().monotonic_ms()))
            raise InvalidURI(url, "no") if len(attempts) % 3 else ConnectionRefusedError

        urls = ("wss://a.test", "wss://b.test")
        running = asyncio.create_task(socket_of(Heard(), Roll(), refuse, urls).run())
        await asyncio.sleep(1_000)
        running.cancel()
        return attempts

    attempts = run_virtual(story, epoch_ms=0)
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(attempts)]

    assert [url for url, _ in attempts[:4]] == ["wss://a.test", "wss://b.test"] * 2
    assert 30 <= len(attempts) <= 200
    assert min(gaps) >= 250
    assert max(gaps) <= BACKOFF_MAX_MS
    assert len(set(gaps[-20:])) > 10


def test_a_refused_subscription_is_tried_again_elsewhere():
    async def story() -> int:
        chain = FakeChain()
        refusals = {"left": 2}

        async def connect(url: str) -> FakeSocket:
            socket = await chain.connect(url)
            if refusals["left"]:
                refusals["left"] -= 1
                socket.push_text(json.dumps({"id": 1, "error": {"code": -32601, "message": "not supported"}}))
            return socket

        heard = Heard()
        running = asyncio.create_task(socket_of(heard, Roll(), connect).run())
        await asyncio.sleep(5)
        chain.mine()
        await asyncio.sleep(1)
        running.cancel()
        return len(heard.heads)

    assert run_virtual(story, epoch_ms=0) == 1


def test_odd_frames_are_handed_on_as_bad_and_the_socket_stays():
    frames = [
        "", "PONG", "[]", "[[]]", "{}", "null", "NaN", '{"params":[]}', '{"method":"eth_subscription","params":{}}',
        "{" * 20_000, "[" * 100_000, '{"id":"x","result":5}', '{"params":{"result":{"number":"0x1"}}}', "\ufeff{}",
    ]  # fmt: skip

    async def story() -> tuple[Heard, int]:
        chain, heard = FakeChain(), Heard()
        running = asyncio.create_task(socket_of(heard, Roll(), chain.connect).run())
        await asyncio.sleep(1)
        (socket,) = chain.sockets
        for frame in frames:
            socket.push_text(frame)
        socket.frames.put_nowait(b'\xff{"'.decode("latin-1"))
        chain.mine()
        await asyncio.sleep(1)
        running.cancel()
        return heard, len(chain.sockets)

    heard, sockets = run_virtual(story, epoch_ms=0)

    assert (len(heard.heads), sockets, heard.gaps) == (1, 1, [])
    assert len(heard.bad) == len(frames)


async def test_over_a_real_socket():
    chain, heard = FakeChain(), Heard()
    roll = Roll(a_leader(address=LEADER))

    async def serve(connection: websockets.asyncio.server.ServerConnection) -> None:
        fake = await chain.connect("")
        pump = asyncio.create_task(_pump(fake, connection))
        async for text in connection:
            assert isinstance(text, str)
            await fake.send(text)
            if len(fake.filters) == 1:
                chain.mine(chain.fill("one"))
        pump.cancel()

    async with websockets.asyncio.server.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        socket = LogSocket(
            (f"ws://127.0.0.1:{port}",),
            listener=heard,
            filters=lambda: LogFilter(LIVE, (decode.TOPIC_V2,), tuple(roll.leaders())),
            roll=roll,
            clock=VirtualClockless(),
            rng=random.Random(1),
            connector=open_socket,
        )
        running = asyncio.create_task(socket.run())
        async with asyncio.timeout(10):
            while not heard.logs:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert heard.heads[0].number == 1
    assert heard.logs[0]["topics"][2] == decode.maker_topic(LEADER)


class VirtualClockless(VirtualClock):
    """Real sockets have no virtual time; nothing here depends on it."""

    def monotonic_ms(self) -> int:
        return 0

    async def sleep_ms(self, duration_ms: int) -> None:
        await asyncio.sleep(duration_ms / 1000)


async def _pump(fake: FakeSocket, connection: websockets.asyncio.server.ServerConnection) -> None:
    while True:
        await connection.send(await fake.recv())
