"""Bugs planted on purpose, one at a time: the simulation must find each within some seeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import structs

from copytrade.adapters.memory import MemoryLedger
from copytrade.adapters.polygon import decode
from copytrade.adapters.polygon.node import LogFilter
from copytrade.adapters.polygon.proof import Prover
from copytrade.adapters.polygon.reading import LogReader
from copytrade.domain import dedupe
from copytrade.domain.attempts import ExecutionAttempt
from copytrade.domain.exposure import Exposure
from copytrade.domain.fills import Side
from copytrade.engine.decide import Decide
from copytrade.engine.execute import Execute
from copytrade.engine.portfolio import Portfolio
from copytrade.ports.ledger import Orphaned
from copytrade.strategies.copy import decision, guards
from tests.simulation.story import play

SEEDS_MAX = 40

Plant = Callable[[pytest.MonkeyPatch], None]


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

    async def orphan(self: MemoryLedger, removed: Any, *, now_ms: int) -> Orphaned:
        return Orphaned(fills=(), cancelled=(), already_sent=())

    patch.setattr(MemoryLedger, "orphan", orphan)


def a_restart_sends_open_orders_again(patch: pytest.MonkeyPatch) -> None:
    """Place what an earlier life left open."""

    async def recover(self: Execute, attempts: tuple[ExecutionAttempt, ...]) -> None:
        by_token = {token.token_id: market for market in await self._ledger.markets() for token in market.tokens}
        for attempt in attempts:
            order = self._executor.prepare(attempt, by_token[attempt.token_id])
            await self._ledger.submit_attempt(attempt.id, order_hash=order.order_hash, placed_at_ms=order.placed_at_ms)
            await self._executor.submit(order)

    patch.setattr(Execute, "recover", recover)


def a_restart_forgets_open_orders(patch: pytest.MonkeyPatch) -> None:
    """Leave what an earlier life left open as it is."""

    async def recover(self: Execute, attempts: tuple[ExecutionAttempt, ...]) -> None:
        return

    patch.setattr(Execute, "recover", recover)


def what_was_not_decided_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Decide only what rings."""

    async def sweep(self: Decide) -> None:
        await asyncio.Event().wait()

    patch.setattr(Decide, "_sweep", sweep)


def sells_are_not_capped(patch: pytest.MonkeyPatch) -> None:
    """Sell as much as the leader does, whatever is held."""
    patch.setattr(Portfolio, "sellable", lambda self, token_id: 10**12)


def old_fills_are_copied(patch: pytest.MonkeyPatch) -> None:
    """Copy while catching up."""
    for module in (decision, guards):
        patch.setattr(module, "is_too_old", lambda fill, *, now_ms, rules: False)


def open_orders_count_for_nothing(patch: pytest.MonkeyPatch) -> None:
    """Judge a limit by what is held alone."""
    patch.setattr(Exposure, "open_order", lambda *_, **__: None)


PLANTS: tuple[Plant, ...] = (
    the_cursor_moves_on_an_empty_lie,
    a_fill_is_known_by_its_log_index_alone,
    a_transaction_holds_one_fill,
    the_taker_topic_counts,
    every_fill_is_a_buy,
    a_reorg_deletes,
    a_reorg_is_not_noticed,
    a_restart_sends_open_orders_again,
    a_restart_forgets_open_orders,
    what_was_not_decided_is_forgotten,
    sells_are_not_capped,
    old_fills_are_copied,
    open_orders_count_for_nothing,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """After how many seeds a planted bug was found, and by which breach; an empty one if it was not."""

    plant: str
    seeds: int
    breach: str


def find(plant: Plant, *, first: int = 0, seeds_max: int = SEEDS_MAX) -> Found:
    """Play seeds with the bug planted until one of them breaks a rule."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for count, seed in enumerate(range(first, first + seeds_max), start=1):
            breaches = play(seed).breaches
            if breaches:
                return Found(plant=plant.__name__, seeds=count, breach=breaches[0])
    return Found(plant=plant.__name__, seeds=seeds_max, breach="")


def find_all(*, seeds_max: int = SEEDS_MAX) -> int:
    """Look for every planted bug and tell after how many seeds each was found; 1 if one was not."""
    missed = 0
    for plant in PLANTS:
        found = find(plant, seeds_max=seeds_max)
        told = f"found by seed {found.seeds}: {found.breach}" if found.breach else f"NOT FOUND in {found.seeds} seeds"
        print(f"{found.plant:<40} {told}"[:180], flush=True)
        missed += not found.breach
    print(f"{len(PLANTS) - missed} of {len(PLANTS)} planted bugs found")
    return 1 if missed else 0
