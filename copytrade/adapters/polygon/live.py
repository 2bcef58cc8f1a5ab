"""Pushed logs become sightings at once; the block read that follows is what counts."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from copytrade.adapters.feeds.quarantine import PAYLOAD_CHARS_MAX, Emit, Quarantine
from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import Header, RawLog
from copytrade.adapters.polygon.reading import payload_of, ref_of
from copytrade.adapters.polygon.recent import Pushed
from copytrade.adapters.polygon.websocket import Listener
from copytrade.domain.fills import Source
from copytrade.domain.units import Millis
from copytrade.ports.clock import Clock
from copytrade.ports.leader_fills import FillsRemoved, FillsSeen, LeaderRoll, LogRef, SourceNote

HEADS_KEPT: Final = 64
WAITING_MAX: Final = 1_000
"""Logs that wait for their block's time; more than this are left to the block read."""
AHEAD_MAX: Final = 10_000


class Live(Listener):
    """What the subscription says, passed on while it is newer than what was read."""

    def __init__(
        self,
        *,
        decoders: decode.Registry,
        emit: Emit,
        quarantine: Quarantine,
        pushed: Pushed,
        cursor: Callable[[], int],
        final: Callable[[], int],
        roll: LeaderRoll,
        clock: Clock,
        doorbell: asyncio.Event,
    ) -> None:
        self._decoders: Final = decoders
        self._emit: Final = emit
        self._quarantine: Final = quarantine
        self._pushed: Final = pushed
        self._cursor: Final = cursor
        self._final: Final = final
        self._roll: Final = roll
        self._clock: Final = clock
        self._doorbell: Final = doorbell
        self._stamps: Final[OrderedDict[str, Millis]] = OrderedDict()
        self._waiting: Final[list[tuple[RawLog, decode.DecodedFill]]] = []

    async def on_head(self, header: Header) -> None:
        self._stamps[header.block_hash] = header.ts_ms
        if len(self._stamps) > HEADS_KEPT:
            self._stamps.popitem(last=False)
        waiting = self._waiting.copy()
        self._waiting.clear()
        for log, decoded in waiting:
            await self._pass_on(log, decoded)
        self._doorbell.set()

    async def on_log(self, log: RawLog) -> None:
        if log.get("removed"):
            await self._take_back(log)
            return
        try:
            decoded = decode.decode_log(log, self._decoders)
        except decode.MalformedLogError as error:
            await self._quarantine.put(error.reason, payload_of(log))
            return
        await self._pass_on(log, decoded)

    async def on_bad_frame(self, frame: bytes, reason: str) -> None:
        await self._quarantine.put(reason, frame[:PAYLOAD_CHARS_MAX].decode(errors="replace"))

    async def on_reconnected(self, host: str, silent_ms: Millis) -> None:
        detail = {"host": host, "seconds_without_data": silent_ms / 1000}
        await self._emit(SourceNote(source=Source.POLYGON, code="RECONNECTED", detail=detail))

    async def _pass_on(self, log: RawLog, decoded: decode.DecodedFill) -> None:
        if decoded.event.maker not in self._roll.leaders():
            return
        cursor = self._cursor()
        if not cursor < decoded.block_number <= cursor + AHEAD_MAX:
            # The block was read already, or its turn is far off: the block read decides.
            self._doorbell.set()
            return
        stamp = decoded.block_ts_ms or self._stamps.get(decoded.block_hash)
        if stamp is None:
            if len(self._waiting) < WAITING_MAX:
                self._waiting.append((log, decoded))
            return
        ref = LogRef(block_hash=decoded.block_hash, tx_hash=decoded.tx_hash, log_index=decoded.log_index)
        if not self._pushed.add(decoded.block_number, ref):
            return
        sighting = decoded.sighting(log, fill_ts_ms=stamp, detected_at_ms=self._clock.now_ms())
        await self._emit(FillsSeen(source=Source.POLYGON, sightings=(sighting,)))

    async def _take_back(self, log: RawLog) -> None:
        ref = ref_of(log)
        try:
            number = decode.quantity(log.get("blockNumber"), "block-number")
        except decode.MalformedLogError:
            number = None
        if ref is None or number is None or number <= self._final():
            await self._quarantine.put(
                "removed-without-place" if ref is None else "removed-though-final", payload_of(log)
            )
            return
        self._pushed.doubt(ref.block_hash)
        self._pushed.discard(ref)
        await self._emit(FillsRemoved(logs=(ref,)))
        self._doorbell.set()
