"""Health gates: what closes each, what it refuses, when it halts, and what opens it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import Decision
from copytrade.domain.book import QuoteTier
from copytrade.domain.fills import Side, Source
from copytrade.domain.gates import GateName, GateState
from copytrade.domain.happenings import Noted
from copytrade.ports.leader_fills import Cursor, CursorScope, FillsSeen, SourceNote
from tests.flow.guarding import HALT_AFTER_MS
from tests.flow.stage import START_MS, Stage, live
from tests.makers import a_book, a_fill, a_leader, a_place
from tests.virtual_time import run_virtual

SETTLED_S = 11.0
HALT_S = HALT_AFTER_MS / 1000 + 2.0


def play(script: Callable[[Stage], Any], *, ledger: MemoryLedger | None = None, reads_chain: bool = False) -> None:
    async def main() -> None:
        stage = Stage(ledger=ledger or MemoryLedger(), reads_chain=reads_chain)
        await stage.ledger.add_leader(a_leader())
        await stage.books.show(a_book())
        await live(stage, script)

    run_virtual(main, epoch_ms=START_MS)


class Fills:
    """Trades of the leader, each another one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._number = 0

    async def codes(self, side: Side = Side.BUY) -> list[str]:
        """Let the leader trade now; return why we did not follow, nothing if we did."""
        self._number += 1
        fill = a_fill(
            size="20",
            price="0.51" if side is Side.BUY else "0.49",
            side=side,
            tx_hash=f"0x{self._number:064x}",
            place=a_place(log_index=self._number),
            fill_ts_ms=self._stage.clock.now_ms(),
        )
        await self._stage.sees(fill)
        await asyncio.sleep(0.3)
        attempt = (await self._stage.attempts())[-1]
        return [one.code for one in attempt.reasons] if attempt.decision is Decision.SKIP else []


def noted(stage: Stage) -> list[str]:
    codes = [happening.code for happening in stage.notifier.of(Noted)]
    return [code for code in codes if code.startswith(("GATE_", "HALTED", "RESUMED"))]


async def read_chain(stage: Stage, seconds: float, *, head: int, lags: int = 0, unproved: int = 0) -> int:
    """Read a block every two seconds, `lags` blocks behind the head; return the last head."""
    for _ in range(int(seconds // 2)):
        head += 1
        cursor = Cursor(scope=CursorScope(), last_processed_block=head - lags, proved_block=head - lags - unproved)
        await stage.chain.queue.put(FillsSeen(source=Source.POLYGON, sightings=(), cursor=cursor, head_block=head))
        await asyncio.sleep(2)
    return head


def test_a_chain_that_stands_still_closes_its_gate_and_opens_it_when_it_moves() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        head = await read_chain(stage, 20, head=100)
        assert await fills.codes() == []

        await asyncio.sleep(16)
        assert await fills.codes() == ["GATE_CHAIN_LAG"]
        assert await fills.codes(Side.SELL) == []

        await read_chain(stage, 4, head=head)
        assert await fills.codes() == []
        assert noted(stage) == ["GATE_CHAIN_LAG", "GATE_HEALTHY"]

    play(script, reads_chain=True)


def test_a_chain_that_is_read_far_behind_its_head_closes_the_gate() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        await read_chain(stage, 20, head=100, lags=7)
        assert await fills.codes() == []
        await read_chain(stage, 4, head=200, lags=8)

        assert await fills.codes() == ["GATE_CHAIN_LAG"]
        reason = (await stage.attempts())[-1].reasons[0]
        assert dict(reason.numbers)["value"].endswith("8 blocks behind the head")

    play(script, reads_chain=True)


def test_a_chain_without_proof_closes_its_gate() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        await read_chain(stage, 4, head=1_000, unproved=300)
        assert await fills.codes() == []
        await read_chain(stage, 4, head=2_000, unproved=301)
        assert await fills.codes() == ["GATE_PROVED_LAG"]

    play(script, reads_chain=True)


def test_books_that_are_all_stale_close_the_gate() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        assert await fills.codes() == []
        stage.books.tier = QuoteTier.HARD_STALE
        await asyncio.sleep(6)
        assert noted(stage) == ["GATE_BOOKS"]
        stage.books.tier = QuoteTier.FRESH
        assert await fills.codes() == ["GATE_BOOKS"]
        await asyncio.sleep(1)
        assert await fills.codes() == []

    play(script)


def test_a_registry_that_is_not_listed_any_more_closes_its_gate() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        stage.registry.age = 2_700_000
        await asyncio.sleep(1)
        assert await fills.codes() == []
        stage.registry.age = 2_700_001
        await asyncio.sleep(1)
        assert await fills.codes() == ["GATE_REGISTRY_AGE"]

    play(script)


def test_a_slow_database_closes_its_gate_also_while_a_write_is_under_way() -> None:
    class SlowDisk(MemoryLedger):
        """Writes of gates take so many seconds."""

        takes_s = 0.0

        async def save_gates(self, states: Sequence[GateState], *, at_ms: int) -> None:
            await asyncio.sleep(self.takes_s)
            await super().save_gates(states, at_ms=at_ms)

    disk = SlowDisk()

    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        assert await fills.codes() == []
        disk.takes_s = 30.0
        await asyncio.sleep(7)
        assert await fills.codes() == ["GATE_DATABASE"]
        disk.takes_s = 0.1
        await asyncio.sleep(40)
        assert await fills.codes() == []

    play(script, ledger=disk)


@pytest.mark.parametrize("skew_ms", [5_001, -5_001])
def test_a_clock_that_is_not_the_venues_closes_its_gate(skew_ms: int) -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        stage.guard.venue_time.skew = 5_000
        await asyncio.sleep(31)
        assert await fills.codes() == []
        stage.guard.venue_time.skew = skew_ms
        await asyncio.sleep(31)
        assert await fills.codes() == ["GATE_CLOCK_SKEW"]
        stage.guard.venue_time.skew = None
        await asyncio.sleep(31)
        assert await fills.codes() == ["GATE_CLOCK_SKEW"]

    play(script)


@pytest.mark.parametrize("code", ["DISAGREEMENT", "DRIFT_TOPIC"])
def test_sources_that_contradict_each_other_close_the_gate_for_a_while(code: str) -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        await stage.chain.queue.put(SourceNote(source=Source.POLYGON, code=code, detail={"block": 7}))
        await asyncio.sleep(1)
        assert await fills.codes() == ["GATE_SOURCES"]
        await asyncio.sleep(60)
        assert await fills.codes() == []

    play(script)


def test_a_gate_that_stays_closed_halts_and_ends_its_halt_itself_once_it_is_settled() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        stage.registry.age = 9_000_000
        await asyncio.sleep(HALT_S)
        assert await fills.codes() == ["HALTED", "GATE_REGISTRY_AGE"]
        [halt] = await stage.ledger.open_halts()
        assert halt.cause == "gate REGISTRY_AGE"
        assert "listed for 9000000 ms (limit 2700000 ms)" in halt.why

        stage.registry.age = 0
        await asyncio.sleep(5)
        assert await fills.codes() == ["HALTED"]
        await asyncio.sleep(SETTLED_S)
        assert await fills.codes() == []
        assert noted(stage) == ["GATE_REGISTRY_AGE", "HALTED", "GATE_HEALTHY", "RESUMED"]

    play(script)


def test_a_halt_of_a_gate_that_needs_a_person_waits_for_one() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        stage.guard.venue_time.skew = 60_000
        await asyncio.sleep(30 + HALT_S)
        stage.guard.venue_time.skew = 0
        await asyncio.sleep(300)
        assert await fills.codes() == ["HALTED"]

        await stage.ledger.resume(None, by="ann", at_ms=stage.clock.now_ms())
        await asyncio.sleep(1)
        assert await fills.codes() == []

    play(script)


def test_what_lasts_halts_again_after_somebody_resumed_but_not_at_once() -> None:
    async def script(stage: Stage) -> None:
        fills = Fills(stage)
        stage.registry.age = 9_000_000
        await asyncio.sleep(HALT_S)
        await stage.ledger.resume(None, by="ann", at_ms=stage.clock.now_ms())
        await asyncio.sleep(5)
        assert await fills.codes() == ["GATE_REGISTRY_AGE"]
        await asyncio.sleep(HALT_S)
        assert await fills.codes() == ["HALTED", "GATE_REGISTRY_AGE"]

    play(script)


def test_a_halt_that_a_gate_left_behind_ends_after_a_restart_once_the_gate_is_healthy() -> None:
    async def main() -> None:
        ledger = MemoryLedger()
        await ledger.add_leader(a_leader())
        first = Stage(ledger=ledger)
        first.registry.age = 9_000_000

        async def lasts(stage: Stage) -> None:
            await asyncio.sleep(HALT_S)

        async def recovers(stage: Stage) -> None:
            await stage.books.show(a_book())
            fills = Fills(stage)
            assert await fills.codes() == ["HALTED"]
            await asyncio.sleep(SETTLED_S)
            assert await fills.codes() == []

        await live(first, lasts)
        await live(Stage(ledger=ledger), recovers)

    run_virtual(main, epoch_ms=START_MS)


def test_the_ledger_knows_what_every_gate_says() -> None:
    async def script(stage: Stage) -> None:
        stage.registry.age = 9_000_000
        await asyncio.sleep(6)

        states = {state.name: state.reading for state in stage.ledger.gates}
        assert set(states) == set(GateName)
        assert not states[GateName.REGISTRY_AGE].is_healthy
        assert states[GateName.DATABASE].is_healthy

    play(script, reads_chain=True)


def test_a_chain_that_is_read_for_nobody_is_not_late() -> None:
    async def main() -> None:
        stage = Stage(reads_chain=True)

        async def script(stage: Stage) -> None:
            await asyncio.sleep(60)
            assert noted(stage) == []
            await stage.ledger.add_leader(a_leader())
            await asyncio.sleep(10)
            assert noted(stage) == []
            await asyncio.sleep(10)
            assert noted(stage) == ["GATE_CHAIN_LAG"]

        await live(stage, script)

    run_virtual(main, epoch_ms=START_MS)
