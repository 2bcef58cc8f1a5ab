"""Bugs in seeing, storing and deciding fills, each as somebody has made it before."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.history import History
from copytrade.adapters.polygon.node import LogFilter
from copytrade.adapters.polygon.proof import Prover
from copytrade.adapters.polygon.reading import LogReader
from copytrade.adapters.polygon.tip import Tip
from copytrade.domain import dedupe
from copytrade.domain.fills import Side
from copytrade.engine.decide import Decide
from copytrade.ports.leader_fills import CursorScope
from copytrade.ports.ledger import Orphaned
from copytrade.strategies.copy import decision, guards
from tests.simulation.mortal import MortalLedger

WRITTEN_AFTER_S = 0.3


def the_start_is_now(patch: pytest.MonkeyPatch) -> None:
    """Begin at the head after a restart, wherever the last life stopped, and read nothing of before."""
    start_before = Tip.start

    async def start(self: Tip, stored: Any) -> None:
        await start_before(self, None)

    async def first_unread(self: History, job: Any) -> int:
        return job.last + 1

    patch.setattr(Tip, "start", start)
    patch.setattr(History, "_first_unread", first_unread)


def the_cursor_moves_on_an_empty_lie(patch: pytest.MonkeyPatch) -> None:
    """Believe the first answer for a block, and prove nothing later."""

    async def block(self: LogReader, header: Any, wanted: Any, *, expected: Any = frozenset()) -> Any:
        return await self._block_of(header, wanted, await self._node.logs_of_block(header, wanted))

    async def prove(self: Prover, top: int, makers: tuple[str, ...]) -> None:
        self.block = top

    patch.setattr(LogReader, "block", block)
    patch.setattr(Prover, "prove", prove)


def a_fill_is_known_by_its_log_index_alone(patch: pytest.MonkeyPatch) -> None:
    """Take a log that a reorg moved for another fill."""
    patch.setattr(dedupe, "_is_moved", lambda known, seen: False)


def a_transaction_holds_one_fill(patch: pytest.MonkeyPatch) -> None:
    """Take every log of a leader in a transaction for the same fill."""
    patch.setattr(dedupe._Fill, "is_at", lambda self, place: True)


def the_taker_topic_counts(patch: pytest.MonkeyPatch) -> None:
    """Count the other side of a match as a leader's fill, too."""
    criteria_before, decode_before = LogFilter.criteria, decode.decode_log
    leaders: set[str] = set()

    def criteria(self: LogFilter) -> list[dict[str, Any]]:
        leaders.update(self.makers)
        takers = [decode.maker_topic(maker) for maker in self.makers]
        both = {"address": list(self.exchanges), "topics": [list(self.topics), None, None, takers]}
        return [*criteria_before(self), *([both] if takers else [])]

    def decode_log(log: Any, decoders: Any) -> Any:
        decoded = decode_before(log, decoders)
        if decoded.event.taker not in leaders:
            return decoded
        return structs.replace(decoded, event=structs.replace(decoded.event, maker=decoded.event.taker))

    patch.setattr(LogFilter, "criteria", criteria)
    patch.setattr(decode, "decode_log", decode_log)


def the_first_outcome_is_bought(patch: pytest.MonkeyPatch) -> None:
    """Trade the first outcome of the market, whichever the leader traded."""
    attempt_before = Decide._attempt

    def attempt(self: Decide, recorded: Any, verdict: Any, now_ms: int) -> Any:
        market = self._registry.market_of(recorded.fill.token_id)
        made = attempt_before(self, recorded, verdict, now_ms)
        return made if market is None else replace(made, token_id=market.tokens[0].token_id)

    patch.setattr(Decide, "_attempt", attempt)


def every_fill_is_a_buy(patch: pytest.MonkeyPatch) -> None:
    """Take no notice of the side."""
    decode_before = decode.decode_log

    def decode_log(log: Any, decoders: Any) -> Any:
        decoded = decode_before(log, decoders)
        return structs.replace(decoded, event=structs.replace(decoded.event, side=Side.BUY))

    patch.setattr(decode, "decode_log", decode_log)


def a_reorg_deletes(patch: pytest.MonkeyPatch) -> None:
    """Delete what left the chain instead of marking it."""
    orphan_before = MemoryLedger.orphan

    async def orphan(self: MemoryLedger, removed: Any, *, now_ms: int) -> Any:
        orphaned = await orphan_before(self, removed, now_ms=now_ms)
        for recorded in orphaned.fills:
            stored = self.stored.pop(recorded.id)
            self._by_tx[recorded.fill.tx_hash].remove(stored)
            for report in stored.reports:
                self._by_report.pop(report)
        return orphaned

    patch.setattr(MemoryLedger, "orphan", orphan)


def a_reorg_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    """Leave fills as they are when their block goes."""

    async def orphan(self: Any, removed: Any, *, now_ms: int) -> Orphaned:
        return Orphaned(fills=(), cancelled=(), already_sent=())

    patch.setattr(MortalLedger, "orphan", orphan, raising=False)


def the_cursor_is_written_first(patch: pytest.MonkeyPatch) -> None:
    """Store how far was read, which a start goes by, and what was read when there is time."""
    call_before, start_before = MortalLedger.__getattr__, Tip.start
    first_unread_before = History._first_unread

    async def start(self: Tip, stored: Any) -> None:
        await start_before(self, stored and replace(stored, proved_block=stored.last_processed_block))

    async def first_unread(self: History, job: Any) -> int:
        first = await first_unread_before(self, job)
        row = await self._cursors.cursor(CursorScope(leader_address=job.leader.address))
        return first if row is None else job.last + 1

    def attribute(self: MortalLedger, name: str) -> Any:
        call = call_before(self, name)
        if name != "ingest":
            return call

        async def ingest(seen: Any, *, now_ms: int) -> Any:
            if seen.cursor is not None:
                await call(replace(seen, sightings=()), now_ms=now_ms)
            if seen.cursor is not None and seen.sightings:
                await asyncio.sleep(WRITTEN_AFTER_S)
            return await call(replace(seen, cursor=None, proved=()), now_ms=now_ms)

        return ingest

    patch.setattr(MortalLedger, "__getattr__", attribute)
    patch.setattr(Tip, "start", start)
    patch.setattr(History, "_first_unread", first_unread)


def nothing_is_ever_confirmed(patch: pytest.MonkeyPatch) -> None:
    """Do not tell what is final."""

    async def confirm(self: Any, confirmed: Any) -> int:
        return 0

    patch.setattr(MortalLedger, "confirm", confirm, raising=False)


def what_was_not_decided_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Decide only what rings."""

    async def sweep(self: Decide) -> None:
        await asyncio.Event().wait()

    patch.setattr(Decide, "_sweep", sweep)


def old_fills_are_copied(patch: pytest.MonkeyPatch) -> None:
    """Copy while catching up."""
    for module in (guards, decision):
        patch.setattr(module, "is_too_old", lambda fill, *, now_ms, rules: False)
