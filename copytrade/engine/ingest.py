"""Stage 1: what a source reports becomes rows, once, together with its cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from copytrade.domain.happenings import UNTOLD, FillDetected, FillJoined, Noted
from copytrade.domain.leaders import is_copied
from copytrade.engine.orphans import Orphans
from copytrade.engine.streams import reading
from copytrade.ports.leader_fills import (
    ChainConfirmed,
    FillsConfirmed,
    FillsRemoved,
    FillsSeen,
    SourceNote,
    SourceProgress,
    SourceUnusableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.domain.fills import RecordedFill
    from copytrade.engine.inbox import Inbox
    from copytrade.engine.portfolio import Portfolio
    from copytrade.ports.clock import Clock
    from copytrade.ports.leader_fills import LeaderFillSource, LeaderRoll, SourceEvent
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.markets import MarketRegistry
    from copytrade.ports.notifier import Notifier


class Ingest:
    """Stores what the sources report and rings the inbox; the ledger does the deduplication."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        roll: LeaderRoll,
        registry: MarketRegistry,
        portfolio: Portfolio,
        inbox: Inbox,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._roll = roll
        self._registry = registry
        self._orphans = Orphans(ledger=ledger, portfolio=portfolio, notifier=notifier, clock=clock)
        self._inbox = inbox
        self._notifier = notifier
        self._clock = clock

    async def run(self, name: str, source: LeaderFillSource) -> None:
        """Store one source's events in order until cancelled.

        :raises SourceUnusableError: the source can never work; the text starts with its name.
        """
        try:
            async with reading(source.events()) as events:
                async for event in events:
                    await self.store(event)
        except SourceUnusableError as error:
            raise SourceUnusableError(f"{name}: {error}") from error

    async def store(self, event: SourceEvent) -> None:
        """Make one event durable and pass on what it means."""
        match event:
            case FillsSeen():
                await self._store_fills(event)
            case FillsRemoved():
                await self._orphan(event)
            case FillsConfirmed() | ChainConfirmed():
                await self._ledger.confirm(event)
            case SourceNote():
                await self._note(event.code, {"source": event.source, **event.detail})
            case SourceProgress():
                detail = {"source": event.source, **event.detail}
                self._notifier.tell(Noted(code=event.code, detail=detail, at_ms=self._clock.now_ms()))
            case _:
                assert_never(event)

    async def _store_fills(self, seen: FillsSeen) -> None:
        if not seen.sightings and seen.cursor is None:
            return
        ingested = await self._ledger.ingest(seen, now_ms=self._clock.now_ms())
        self._inbox.put(recorded for recorded in ingested.new if self._is_copied(recorded))
        for recorded in ingested.new:
            self._notifier.tell(self._detected(recorded))
        for recorded in ingested.joined:
            if recorded.fill.source is not seen.source and recorded.id not in ingested.retold:
                self._notifier.tell(FillJoined(recorded=recorded, by=seen.source))

    def _is_copied(self, recorded: RecordedFill) -> bool:
        leader = self._roll.leaders().get(recorded.fill.leader)
        return leader is not None and is_copied(leader, recorded.fill.fill_ts_ms)

    def _detected(self, recorded: RecordedFill) -> FillDetected:
        leader = self._roll.leaders().get(recorded.fill.leader)
        return FillDetected(
            recorded=recorded,
            leader_label=leader.label if leader else "",
            market=self._registry.market_of(recorded.fill.token_id),
            stored_at_ms=self._clock.now_ms(),
            is_history=not self._is_copied(recorded),
        )

    async def _orphan(self, removed: FillsRemoved) -> None:
        """Mark what a reorg took away; unsent attempts end with it, sent ones stay and are flagged."""
        orphaned = await self._ledger.orphan(removed, now_ms=self._clock.now_ms())
        await self._orphans.settle(orphaned, code="REORG")

    async def _note(self, code: str, detail: Mapping[str, object]) -> None:
        at_ms = self._clock.now_ms()
        await self._ledger.note(code, detail, at_ms=at_ms)
        if code not in UNTOLD:
            self._notifier.tell(Noted(code=code, detail=detail, at_ms=at_ms))
