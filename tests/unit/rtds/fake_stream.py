"""A live stream behind a fake connector: the test decides what each connection carries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from websockets.exceptions import ConnectionClosedError

from copytrade.adapters.rtds.source import RtdsSource
from copytrade.domain.fills import Sighting
from copytrade.domain.leaders import Leader
from copytrade.ports.leader_fills import FillsSeen, LeaderRoll, SourceEvent, SourceNote
from tests.makers import LEADER, NOW_MS, a_leader
from tests.virtual_time import VirtualClock, run_virtual

TOKEN = "114128626005444826307900448598991163696598115079038846124094065053259387128928"
STRANGER = "0x" + "57" * 20
CHECKSUMMED = "0x" + "A1" * 20


def tx(name: int) -> str:
    return f"0x{name:064x}"


def a_message(kind: str = "trades", **changes: Any) -> dict[str, Any]:
    payload = {
        "asset": TOKEN,
        "bio": "",
        "conditionId": "0x" + "c0" * 32,
        "outcome": "Yes",
        "price": 0.45,
        "proxyWallet": CHECKSUMMED,
        "side": "BUY",
        "size": 4.33,
        "timestamp": NOW_MS // 1000,
        "transactionHash": tx(1),
    }
    return {
        "connection_id": "gVOKZI6JNWeIKEjigA==",
        "payload": payload | changes,
        "timestamp": NOW_MS,
        "topic": "activity",
        "type": kind,
    }


class FakeSocket:
    """One connection; it remembers what it was sent and when."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[str | Exception] = asyncio.Queue()
        self.sent: list[tuple[int, str]] = []
        self.is_closed = False
        self.opened_ms = VirtualClock().monotonic_ms()
        self.closed_ms: int | None = None

    async def send(self, text: str) -> None:
        if self.is_closed:
            raise ConnectionClosedError(None, None)
        self.sent.append((VirtualClock().monotonic_ms(), text))
        if text == "PING":
            self.frames.put_nowait("PONG")

    async def recv(self) -> str:
        frame = await self.frames.get()
        if isinstance(frame, Exception):
            raise frame
        return frame

    async def close(self) -> None:
        self.is_closed = True
        self.closed_ms = VirtualClock().monotonic_ms()

    def push(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            self.frames.put_nowait(message if isinstance(message, str) else json.dumps(message))

    def drop(self) -> None:
        self.frames.put_nowait(ConnectionResetError("dropped"))


class FakeStream:
    """Hands out connections; `refusal` is raised instead while it is set, `on_open` may fill a new one."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.attempts_ms: list[int] = []
        self.refusal: Exception | None = None
        self.on_open: Callable[[FakeSocket], None] = lambda socket: None

    async def connect(self, url: str) -> FakeSocket:
        self.attempts_ms.append(VirtualClock().monotonic_ms())
        if self.refusal:
            raise self.refusal
        socket = FakeSocket()
        self.sockets.append(socket)
        self.on_open(socket)
        return socket

    @property
    def open(self) -> list[FakeSocket]:
        return [socket for socket in self.sockets if not socket.is_closed]

    async def chatter(self, *, until_s: float, every_s: float = 1.0) -> None:
        """Let strangers trade on every open connection."""
        end_ms = VirtualClock().monotonic_ms() + round(until_s * 1000)
        while VirtualClock().monotonic_ms() < end_ms:
            for socket in self.open:
                socket.push(a_message(proxyWallet=STRANGER))
            await asyncio.sleep(every_s)


class Roll(LeaderRoll):
    def __init__(self, *leaders: Leader) -> None:
        self.current: Mapping[str, Leader] = {leader.address: leader for leader in leaders}
        self._changed = asyncio.Event()

    def leaders(self) -> Mapping[str, Leader]:
        return self.current

    async def changed(self) -> None:
        await self._changed.wait()

    def set(self, *leaders: Leader) -> None:
        self.current = {leader.address: leader for leader in leaders}
        self._changed.set()
        self._changed = asyncio.Event()


class Told:
    """What the source has said so far."""

    def __init__(self) -> None:
        self.events: list[SourceEvent] = []

    @property
    def sightings(self) -> list[Sighting]:
        return [one for event in self.events if isinstance(event, FillsSeen) for one in event.sightings]

    @property
    def keys(self) -> list[str]:
        return [sighting.source_key for sighting in self.sightings]

    def notes(self, code: str) -> list[Mapping[str, object]]:
        return [event.detail for event in self.events if isinstance(event, SourceNote) and event.code == code]


Story = Callable[[FakeStream, Told], Awaitable[None]]


def listening(story: Story, *, roll: Callable[[], Roll] | None = None) -> Told:
    """Run a story in virtual time while the source listens; return what it said."""
    told = Told()

    async def run() -> None:
        stream = FakeStream()
        leaders = roll() if roll else Roll(a_leader(address=LEADER))
        url = "wss://user:key@stream.test/secret"
        source = RtdsSource(url=url, clock=VirtualClock(), roll=leaders, seed=1, connector=stream.connect)
        hearing = asyncio.create_task(_hear(source, told))
        await asyncio.sleep(0.1)
        await story(stream, told)
        await asyncio.sleep(0.1)
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        assert not stream.open, "a connection was left open"
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"

    run_virtual(run, epoch_ms=NOW_MS)
    return told


async def _hear(source: RtdsSource, told: Told) -> None:
    async for event in source.events():
        told.events.append(event)
