"""The venue's live stream as a `LeaderFillSource`: everybody's trades, of which the leaders' are kept.

It has no cursor and confirms nothing: what it missed is gone, and what it said may not come true.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Final

import structlog

from copytrade.adapters.feeding import next_of
from copytrade.adapters.rtds.decode import MalformedError, parse_message, parse_row, split_frame
from copytrade.adapters.rtds.identity import Identities
from copytrade.adapters.rtds.socket import ActivitySocket, Connect, Listener, host_of, open_socket
from copytrade.domain.fills import Sighting, Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import FillsSeen, LeaderFillSource, LeaderRoll, SourceEvent, SourceNote

QUEUE_MAX: Final = 1_000
PAYLOAD_CHARS_MAX: Final = 4_096
NOTES_PER_WINDOW: Final = 30
WINDOW_MS: Final = 60_000

_log = structlog.get_logger()


class RtdsSource(LeaderFillSource):
    """Fills of leaders as the stream tells them, at once and in no order."""

    def __init__(
        self,
        *,
        url: str,
        clock: Clock,
        roll: LeaderRoll,
        seed: int | None = None,
        connector: Connect = open_socket,
    ) -> None:
        self._url: Final = url
        self._clock: Final = clock
        self._roll: Final = roll
        self._rng: Final = random.Random(seed)
        self._connector: Final = connector

    async def events(self) -> AsyncIterator[SourceEvent]:
        queue: asyncio.Queue[SourceEvent] = asyncio.Queue(maxsize=QUEUE_MAX)
        feeding = asyncio.create_task(self._feed(queue), name="rtds.source")
        try:
            while True:
                yield await next_of(queue, feeding)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, queue: asyncio.Queue[SourceEvent]) -> None:
        while not self._roll.leaders():
            await self._roll.changed()
        ear = _Ear(queue, host=host_of(self._url), clock=self._clock, roll=self._roll)
        socket = ActivitySocket(self._url, listener=ear, clock=self._clock, rng=self._rng, connector=self._connector)
        await socket.run()


class _Ear(Listener):
    """Turns frames into events: leaders' fills not told before, and notes."""

    def __init__(self, queue: asyncio.Queue[SourceEvent], *, host: str, clock: Clock, roll: LeaderRoll) -> None:
        self._queue: Final = queue
        self._host: Final = host
        self._clock: Final = clock
        self._roll: Final = roll
        self._identities: Final = Identities()
        self._window_start_ms: Millis | None = None
        self._in_window = 0

    async def on_frame(self, frame: str | bytes, connection: int) -> bool:
        now_ms = self._clock.now_ms()
        try:
            texts = split_frame(frame)
        except MalformedError as error:
            await self._quarantine(error.reason, frame)
            return False
        is_activity = False
        sightings: list[Sighting] = []
        for text in texts:
            try:
                message = parse_message(text)
                is_activity = True
                row = parse_row(message) if message.wallet in self._roll.leaders() else None
            except MalformedError as error:
                await self._quarantine(error.reason, text)
                continue
            key = self._identities.new_key_of(row, connection) if row else None
            if row and key:
                sightings.append(row.sighting(key, detected_at_ms=now_ms))
        if sightings:
            await self._queue.put(FillsSeen(source=Source.RTDS, sightings=tuple(sightings)))
        return is_activity

    async def on_lost(self, reason: str, silent_ms: Millis) -> None:
        await self._note("UNREACHABLE", reason, silent_ms)

    async def on_back(self, reason: str, silent_ms: Millis) -> None:
        await self._note("RECONNECTED", reason, silent_ms)

    async def _note(self, code: str, reason: str, silent_ms: Millis) -> None:
        detail = {"host": self._host, "seconds_without_data": silent_ms / 1000, "reason": reason}
        await self._queue.put(SourceNote(source=Source.RTDS, code=code, detail=detail))

    async def _quarantine(self, reason: str, payload: str | bytes) -> None:
        """Keep a refused thing, up to a rate."""
        now_ms = self._clock.monotonic_ms()
        if self._window_start_ms is None or now_ms - self._window_start_ms >= WINDOW_MS:
            self._window_start_ms, self._in_window = now_ms, 0
        self._in_window += 1
        if self._in_window > NOTES_PER_WINDOW:
            return
        text = payload.decode(errors="replace") if isinstance(payload, bytes) else payload
        _log.warning("rtds.quarantined", reason=reason)
        detail = {"reason": reason, "payload": text[:PAYLOAD_CHARS_MAX]}
        await self._queue.put(SourceNote(source=Source.RTDS, code="QUARANTINED", detail=detail))
