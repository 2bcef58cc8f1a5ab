"""The connection to the live stream: one that carries data, and for a moment two when it is renewed.

The stream is known to stop while its socket stays open and answers PING, several times an hour. So only data
proves a connection, and each is replaced while it still works. Nothing is repeated after a loss.
"""

from __future__ import annotations

import asyncio
import json
import random
from functools import partial
from typing import Any, Final, Protocol

import structlog
from websockets.asyncio.client import connect

from copytrade.adapters.feeds.retrying import host_of, jitter_ms
from copytrade.adapters.feeds.sockets import Connect, Socket, until_it_ends
from copytrade.adapters.rtds.decode import ACTIVITY, Topic
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock

PING_INTERVAL_MS: Final = 5_000
"""Without a text PING the stream ends after some six minutes, without a close (seen 2026-09)."""
SILENCE_MAX_MS: Final = 15_000
"""The whole market trades some 50 times a second: so long without any activity is a frozen stream, or a quiet hour.
Nobody can tell which, so another connection is made beside it, and it ends after as long again."""
RENEW_AFTER_MS: Final = 600_000
OVERLAP_MS: Final = 5_000
"""How long the old connection goes on once the new one carries data: the two are not equally late."""
STEADY_MS: Final = 60_000
"""A connection that carried data for so long was a good one: the next failure is the first again."""
OUTAGE_MS: Final = 60_000
BACKOFF_FIRST_MS: Final = 250
BACKOFF_MAX_MS: Final = 30_000
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 0.5
SILENCE: Final = "no activity"
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
SUBSCRIBE: Final = json.dumps(
    {"action": "subscribe", "subscriptions": [{"topic": ACTIVITY, "type": str(topic)} for topic in Topic]}
)

_log = structlog.get_logger()


class Listener(Protocol):
    """Who is told what the stream says."""

    async def on_frame(self, frame: str | bytes, connection: int) -> bool:
        """Take a frame and say whether it carried activity; connections are numbered from 0.

        :raises SubscriptionRefused: the frame is an error.
        """

    async def on_lost(self, reason: str, silent_ms: Millis) -> None:
        """Take note that no data came for OUTAGE_MS; once for each outage."""

    async def on_back(self, reason: str, silent_ms: Millis) -> None:
        """Take note that data flows again, after a loss for this reason."""


async def open_socket(url: str) -> Socket:
    """Open a real socket; the stream's own PING replaces the protocol's."""
    return await connect(
        url,
        ping_interval=None,
        compression=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=FRAME_BYTES_MAX,
    )


class _Line:
    """One connection, from its opening to its end."""

    def __init__(self, number: int, began_ms: Millis) -> None:
        self.number: Final = number
        self.began_ms: Final = began_ms
        self.carried: Final[asyncio.Future[Millis]] = asyncio.get_running_loop().create_future()
        """Set by the first data: for how long there had been none."""
        self.fell_silent: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        """Set once it had carried data and then none for too long."""
        self.is_silent = False
        """Whether that is still so."""
        self.handing_on: Final = asyncio.Lock()
        """Held while a frame is handed on: a connection is never dropped in the middle of one."""

    def fall_silent(self) -> None:
        """Have another connection made beside this one."""
        self.is_silent = True
        if not self.fell_silent.done():
            self.fell_silent.set_result(None)


class ActivitySocket:
    """Keeps a connection that carries data, over as many as it takes."""

    def __init__(
        self, url: str, *, listener: Listener, clock: Clock, rng: random.Random, connector: Connect = open_socket
    ) -> None:
        self._url: Final = url
        self._listener: Final = listener
        self._clock: Final = clock
        self._rng: Final = rng
        self._connector: Final = connector
        self._tasks: Final[dict[_Line, asyncio.Task[str]]] = {}
        self._opened = 0
        self._failures = 0
        self._last_data_ms = clock.monotonic_ms()
        self._lost_for: str | None = None
        self._is_outage_told = False

    async def run(self) -> None:
        """Stay connected until cancelled: each connection is made before the one it replaces is dropped."""
        try:
            while True:
                line, task = self._open_line()
                either: set[asyncio.Future[Any]] = {task, line.carried}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if line.carried.done():
                    await self._take_over(line, task)
                    either = {task, line.fell_silent}
                    await asyncio.wait(either, timeout=RENEW_AFTER_MS / 1000, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    await self._on_end(line, task.result())
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _open_line(self) -> tuple[_Line, asyncio.Task[str]]:
        line = _Line(self._opened, self._clock.monotonic_ms())
        self._opened += 1
        task = asyncio.create_task(self._live(line), name=f"rtds.connection.{line.number}")
        self._tasks[line] = task
        return line, task

    async def _take_over(self, line: _Line, task: asyncio.Task[str]) -> None:
        """Let the older connections go, once both have had time to tell the same settlements."""
        older = [other for other in self._tasks if other is not line]
        self._note_loss_of(older)
        if self._lost_for is not None:
            reason, self._lost_for = self._lost_for, None
            self._is_outage_told = False
            await self._listener.on_back(reason, line.carried.result())
        if older:
            await asyncio.wait({task}, timeout=OVERLAP_MS / 1000)
        if not task.done():
            for other in older:
                await self._drop(other)

    def _note_loss_of(self, lines: list[_Line]) -> None:
        """Note that these, which were there before, had all ended or fallen silent."""
        reasons = [reason for line in lines if (reason := self._lost_reason(line))]
        if reasons and len(reasons) == len(lines):
            self._lost_for = self._lost_for or reasons[-1]

    def _lost_reason(self, line: _Line) -> str:
        """Return why nothing comes over a connection, "" where something does."""
        task = self._tasks[line]
        return task.result() if task.done() else SILENCE if line.is_silent else ""

    async def _drop(self, line: _Line) -> None:
        task = self._tasks.pop(line)
        async with line.handing_on:
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()

    async def _on_end(self, line: _Line, reason: str) -> None:
        """Note the end of a connection and wait, with full jitter, for the time of the next."""
        del self._tasks[line]
        lived_ms = self._clock.monotonic_ms() - line.began_ms
        self._failures = 1 if line.carried.done() and lived_ms >= STEADY_MS else self._failures + 1
        if all(task.done() for task in self._tasks.values()):
            await self._on_loss(reason)
        delay_ms = jitter_ms(self._rng, self._failures, first_ms=BACKOFF_FIRST_MS, most_ms=BACKOFF_MAX_MS)
        _log.info("rtds.connection_lost", host=host_of(self._url), reason=reason, retry_in_ms=delay_ms)
        await self._clock.sleep_ms(delay_ms)

    async def _on_loss(self, reason: str) -> None:
        self._lost_for = reason
        silent_ms = self._clock.monotonic_ms() - self._last_data_ms
        if silent_ms >= OUTAGE_MS and not self._is_outage_told:
            self._is_outage_told = True
            await self._listener.on_lost(reason, silent_ms)

    async def _live(self, line: _Line) -> str:
        """Hold one connection until it ends; return why it did."""
        converse = partial(self._converse, line=line)
        return await until_it_ends(self._url, self._connector, converse, silence=SILENCE)

    async def _converse(self, socket: Socket, line: _Line) -> None:
        pinging = asyncio.create_task(self._keep_pinging(socket), name=f"rtds.ping.{line.number}")
        try:
            await socket.send(SUBSCRIBE)
            await self._read(socket, line)
        finally:
            pinging.cancel()
            await asyncio.gather(pinging, return_exceptions=True)

    async def _keep_pinging(self, socket: Socket) -> None:
        while True:
            await self._clock.sleep_ms(PING_INTERVAL_MS)
            await socket.send("PING")

    async def _read(self, socket: Socket, line: _Line) -> None:
        """Hand frames on.

        Only the waiting for them counts as silence: a consumer that is behind does not freeze the stream.

        :raises TimeoutError: no activity for SILENCE_MAX_MS; twice as long on a connection that carried some.
        """
        left_ms = SILENCE_MAX_MS
        while True:
            asked_ms = self._clock.monotonic_ms()
            try:
                async with asyncio.timeout(left_ms / 1000):
                    frame = await socket.recv()
            except TimeoutError:
                if line.is_silent or not line.carried.done():
                    raise
                line.fall_silent()
                left_ms = SILENCE_MAX_MS
                continue
            heard_ms = self._clock.monotonic_ms()
            left_ms -= heard_ms - asked_ms
            async with line.handing_on:
                is_data = await self._listener.on_frame(frame, line.number)
            if is_data:
                left_ms = SILENCE_MAX_MS
                self._on_data(heard_ms, line)

    def _on_data(self, heard_ms: Millis, line: _Line) -> None:
        line.is_silent = False
        if not line.carried.done():
            line.carried.set_result(heard_ms - self._last_data_ms)
        self._last_data_ms = max(self._last_data_ms, heard_ms)
