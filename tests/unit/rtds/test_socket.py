"""The connection in virtual time: frozen ones are left, old ones replaced before they are dropped."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

import websockets.asyncio.server
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from copytrade.adapters.rtds.socket import BACKOFF_MAX_MS, ActivitySocket, Listener, open_socket
from copytrade.adapters.rtds.source import RtdsSource
from copytrade.ports.leader_fills import FillsSeen
from tests.makers import LEADER, NOW_MS, a_leader
from tests.unit.rtds.fake_stream import STRANGER, FakeSocket, FakeStream, Roll, Told, a_message, listening, tx
from tests.virtual_time import VirtualClock, run_virtual

SUBSCRIPTION = {
    "action": "subscribe",
    "subscriptions": [{"topic": "activity", "type": "orders_matched"}, {"topic": "activity", "type": "trades"}],
}


def test_it_subscribes_to_both_topics_and_pings_every_five_seconds():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=30)
        (socket,) = stream.sockets
        (_, first), *rest = socket.sent
        assert json.loads(first) == SUBSCRIPTION
        assert [text for _, text in rest] == ["PING"] * len(rest)
        assert [at for at, _ in rest[:5]] == [5_000, 10_000, 15_000, 20_000, 25_000]

    listening(story)


def test_a_stream_that_only_answers_pings_has_another_beside_it_after_fifteen_seconds_and_is_left_for_it():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=5)
        await asyncio.sleep(14.5)
        assert len(stream.sockets) == 2
        stream.sockets[1].push(a_message(proxyWallet=STRANGER))
        await asyncio.sleep(5.5)
        assert [socket.is_closed for socket in stream.sockets] == [True, False]

    told = listening(story)

    (note,) = told.notes("RECONNECTED")
    assert note["reason"] == "no activity"
    assert 15 <= float(str(note["seconds_without_data"])) <= 16
    assert note["host"] == "stream.test"


def test_a_stream_that_nobody_trades_on_for_a_while_misses_nothing_of_what_comes_then():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=5)
        await asyncio.sleep(14.5)
        assert len(stream.open) == 2
        for socket in stream.open:
            socket.push(a_message())
        await asyncio.sleep(1)

    told = listening(story)

    assert len(told.sightings) == 1
    assert told.notes("RECONNECTED") == []


def test_a_silent_connection_ends_after_thirty_seconds_if_none_is_better():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=5)
        await asyncio.sleep(40)
        assert stream.sockets[0].closed_ms == stream.sockets[0].opened_ms + 4_100 + 30_000

    listening(story)


def test_frames_of_other_topics_prove_nothing():
    async def story(stream: FakeStream, told: Told) -> None:
        for _ in range(20):
            for socket in stream.open:
                socket.push(json.dumps({"topic": "crypto_prices", "type": "update", "payload": {}}), "")
            await asyncio.sleep(1)
        assert len(stream.sockets) == 2

    listening(story)


def test_a_busy_stream_without_leaders_in_it_stays():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=300, every_s=14)
        assert len(stream.sockets) == 1

    assert listening(story).events == []


def test_after_ten_minutes_a_new_connection_carries_data_before_the_old_one_is_dropped():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=620)
        old, new = stream.sockets
        assert 600_000 <= new.opened_ms - old.opened_ms <= 602_000
        assert old.closed_ms is not None
        assert old.closed_ms >= new.opened_ms + 5_000
        assert stream.open == [new]

    assert listening(story).events == []


def test_the_old_connection_stays_while_no_new_one_carries_data():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=590)
        stream.refusal = ConnectionRefusedError()
        await stream.chatter(until_s=300)
        (old,) = stream.open
        old.push(a_message())
        await asyncio.sleep(1)
        assert len(told.keys) == 1
        stream.refusal = None
        await stream.chatter(until_s=60)
        assert len(stream.open) == 1
        assert old.is_closed

    assert listening(story).notes("RECONNECTED") == []


def test_a_new_connection_that_breaks_at_once_does_not_cost_the_old_one():
    async def story(stream: FakeStream, told: Told) -> None:
        def break_soon(socket: FakeSocket) -> None:
            socket.push(a_message(proxyWallet=STRANGER))
            socket.drop()

        stream.on_open = break_soon
        await stream.chatter(until_s=640)
        assert len(stream.sockets) > 3
        assert not stream.sockets[0].is_closed

    async def begun(stream: FakeStream, told: Told) -> None:
        stream.open[0].push(a_message(proxyWallet=STRANGER))
        await story(stream, told)

    assert listening(begun).notes("RECONNECTED") == []


def test_a_fill_told_on_both_connections_of_an_overlap_is_one():
    async def story(stream: FakeStream, told: Told) -> None:
        await stream.chatter(until_s=602)
        assert len(stream.open) == 2
        for socket in stream.open:
            socket.push(a_message("orders_matched"), a_message(), a_message())
        await asyncio.sleep(1)

    assert [key[-2:] for key in listening(story).keys] == ["|0", "|1"]


def test_attempts_are_spread_with_a_ceiling():
    async def story(stream: FakeStream, told: Told) -> None:
        stream.refusal = InvalidStatus(Response(503, "down", websockets.datastructures.Headers()))
        stream.open[0].drop()
        await asyncio.sleep(2_000)
        gaps = [later - earlier for earlier, later in pairwise(stream.attempts_ms[1:])]
        assert 60 <= len(gaps) <= 400
        assert min(gaps) >= 250
        assert max(gaps) <= BACKOFF_MAX_MS
        assert len(set(gaps[-20:])) > 10

    told = listening(story)

    (note,) = told.notes("UNREACHABLE")
    assert note["reason"] == "not opened: InvalidStatus"
    assert 60 <= float(str(note["seconds_without_data"])) <= 91
    assert "secret" not in str(told.events)
    assert "key" not in str(told.events)


def test_a_long_outage_is_told_once_and_so_is_its_end():
    async def story(stream: FakeStream, told: Told) -> None:
        stream.refusal = ConnectionRefusedError()
        stream.open[0].drop()
        await asyncio.sleep(600)
        stream.refusal = None
        await stream.chatter(until_s=60)

    told = listening(story)

    assert len(told.notes("UNREACHABLE")) == len(told.notes("RECONNECTED")) == 1


def test_a_stream_that_drops_after_each_message_is_not_hammered():
    async def story(stream: FakeStream, told: Told) -> None:
        def break_soon(socket: FakeSocket) -> None:
            socket.push(a_message(proxyWallet=STRANGER))
            socket.drop()

        stream.on_open = break_soon
        stream.open[0].drop()
        await asyncio.sleep(300)
        assert len(stream.sockets) < 60

    listening(story)


def test_a_refused_subscription_is_tried_again_on_another_connection():
    refusal = json.dumps({"body": {"message": "relation __subscriptions does not exist"}, "statusCode": 500})

    async def story(stream: FakeStream, told: Told) -> None:
        stream.open[0].push(refusal)
        await asyncio.sleep(2)
        assert len(stream.sockets) == 2
        stream.open[0].push(a_message())

    told = listening(story)

    assert len(told.keys) == 1
    (note,) = told.notes("RECONNECTED")
    assert "500" in str(note["reason"])
    assert told.notes("QUARANTINED") == []


def test_each_loss_is_a_note_and_what_comes_after_it_is_heard():
    async def story(stream: FakeStream, told: Told) -> None:
        for name in range(5):
            stream.open[0].push(a_message(transactionHash=tx(name)))
            await asyncio.sleep(61)
            await stream.chatter(until_s=61)
            stream.open[-1].drop()
            await asyncio.sleep(1)

    told = listening(story)

    assert len(told.keys) == 5
    assert len(told.notes("RECONNECTED")) >= 5


def test_a_consumer_that_is_behind_is_no_frozen_stream():
    async def story(stream: FakeStream, slow: _Slow) -> None:
        slow.takes_s = 20
        stream.sockets[0].push(*[a_message()] * 5)
        await asyncio.sleep(101)
        assert len(stream.sockets) == 1
        assert slow.taken == [0] * 5

    _handing_on_slowly(story)


def test_a_connection_is_not_dropped_while_a_frame_of_it_is_handed_on():
    async def story(stream: FakeStream, slow: _Slow) -> None:
        await stream.chatter(until_s=600)
        stream.sockets[0].push(a_message())
        await stream.chatter(until_s=3)
        slow.takes_s = 20
        stream.sockets[0].push(a_message())
        await asyncio.sleep(30)
        assert slow.taken.count(0) == slow.begun.count(0)
        assert stream.sockets[0].is_closed

    _handing_on_slowly(story)


class _Slow(Listener):
    """Takes its time with each frame of activity."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self.begun: list[int] = []
        self.taken: list[int] = []

    async def on_frame(self, frame: str | bytes, connection: int) -> bool:
        if frame == "PONG":
            return False
        self.begun.append(connection)
        await asyncio.sleep(self.takes_s)
        self.taken.append(connection)
        return True

    async def on_lost(self, reason: str, silent_ms: int) -> None: ...

    async def on_back(self, reason: str, silent_ms: int) -> None: ...


def _handing_on_slowly(story: Callable[[FakeStream, _Slow], Awaitable[None]]) -> None:
    async def run() -> None:
        stream, slow, clock = FakeStream(), _Slow(), VirtualClock()
        socket = ActivitySocket(
            "wss://stream.test", listener=slow, clock=clock, rng=random.Random(1), connector=stream.connect
        )
        running = asyncio.create_task(socket.run())
        await asyncio.sleep(0.1)
        await story(stream, slow)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(run, epoch_ms=NOW_MS)


async def test_over_a_real_socket():
    sent: list[str] = []

    async def serve(connection: websockets.asyncio.server.ServerConnection) -> None:
        sent.append(str(await connection.recv()))
        await connection.send("")
        await connection.send(json.dumps(a_message()))
        await connection.wait_closed()

    async with websockets.asyncio.server.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        clock, roll = _RealClock(), Roll(a_leader(address=LEADER))
        source = RtdsSource(url=f"ws://127.0.0.1:{port}", clock=clock, roll=roll, connector=open_socket)
        events = source.events()
        seen = await anext(events)
        await events.aclose()

    assert isinstance(seen, FillsSeen)
    assert json.loads(sent[0]) == SUBSCRIPTION


class _RealClock(VirtualClock):
    """Time stands still: nothing in that test waits for it."""

    def now_ms(self) -> int:
        return 0

    def monotonic_ms(self) -> int:
        return 0
