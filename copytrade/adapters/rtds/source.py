"""The venue's live stream as a `LeaderFillSource`: everybody's trades, of which the leaders' are kept.

It has no cursor and confirms nothing: what it missed is gone, and what it said may not come true.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Final

from copytrade.adapters.feeds.handover import Handover
from copytrade.adapters.feeds.quarantine import Emit, Quarantine
from copytrade.adapters.feeds.retrying import host_of
from copytrade.adapters.feeds.sockets import Connect
from copytrade.adapters.feeds.trade_fields import MalformedError
from copytrade.adapters.rtds.decode import parse_message, parse_row, split_frame
from copytrade.adapters.rtds.identity import Identities
from copytrade.adapters.rtds.socket import ActivitySocket, Listener, open_socket
from copytrade.domain.fills import Sighting, Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import FillsSeen, LeaderFillSource, LeaderRoll, SourceEvent, SourceNote

QUEUE_MAX: Final = 1_000


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
        # Drawn from the one generator a simulation seeds, so that a run can be played again.
        self._rng: Final = random.Random(random.random() if seed is None else seed)
        self._connector: Final = connector

    def events(self) -> AsyncIterator[SourceEvent]:
        return Handover(QUEUE_MAX).events(self._feed, name="rtds.source")

    async def _feed(self, outbox: Handover) -> None:
        while not self._roll.leaders():
            await self._roll.changed()
        ear = _Ear(outbox.put, host=host_of(self._url), clock=self._clock, roll=self._roll)
        socket = ActivitySocket(self._url, listener=ear, clock=self._clock, rng=self._rng, connector=self._connector)
        await socket.run()


class _Ear(Listener):
    """Turns frames into events: leaders' fills not told before, and notes."""

    def __init__(self, emit: Emit, *, host: str, clock: Clock, roll: LeaderRoll) -> None:
        self._emit: Final = emit
        self._host: Final = host
        self._clock: Final = clock
        self._roll: Final = roll
        self._identities: Final = Identities()
        self._quarantine: Final = Quarantine(Source.RTDS, emit, clock)

    async def on_frame(self, frame: str | bytes, connection: int) -> bool:
        now_ms = self._clock.now_ms()
        try:
            texts = split_frame(frame)
        except MalformedError as error:
            await self._quarantine.put(error.reason, _text_of(frame))
            return False
        is_activity = False
        sightings: list[Sighting] = []
        for text in texts:
            try:
                message = parse_message(text)
                is_activity = True
                row = parse_row(message) if message.wallet in self._roll.leaders() else None
            except MalformedError as error:
                await self._quarantine.put(error.reason, text)
                continue
            key = self._identities.new_key_of(row, connection) if row else None
            if row and key:
                sightings.append(row.sighting(key, detected_at_ms=now_ms))
        if sightings:
            await self._emit(FillsSeen(source=Source.RTDS, sightings=tuple(sightings)))
        return is_activity

    async def on_lost(self, reason: str, silent_ms: Millis) -> None:
        await self._note("UNREACHABLE", reason, silent_ms)

    async def on_back(self, reason: str, silent_ms: Millis) -> None:
        await self._note("RECONNECTED", reason, silent_ms)

    async def _note(self, code: str, reason: str, silent_ms: Millis) -> None:
        detail = {"host": self._host, "seconds_without_data": silent_ms / 1000, "reason": reason}
        await self._emit(SourceNote(source=Source.RTDS, code=code, detail=detail))


def _text_of(frame: str | bytes) -> str:
    return frame.decode(errors="replace") if isinstance(frame, bytes) else frame
