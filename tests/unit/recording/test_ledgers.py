"""The ledgers of recordings and replays stand in for any other: they take what a ledger takes."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from typing import Any, cast

import pytest

from copytrade.adapters.memory import MemoryLedger
from copytrade.domain.attempts import AttemptStatus
from copytrade.domain.settlement import Resolution, ResolutionSource
from copytrade.engine.book_recording import BookRecorder
from copytrade.engine.recording import RecordingLedger, Scribe
from copytrade.engine.replayed_ledger import Gates, ReplayedLedger
from copytrade.engine.session import Closed, Filled, Held, Made, Placed, Remembered, Removed, Settled
from copytrade.ports.execution import OrderDone
from copytrade.ports.ledger import Ledger
from tests.fakes import FakeBooks
from tests.ledger_facts import a_log, a_stored_fill, an_attempt, an_execution, removed
from tests.makers import NOW_MS, a_market, micro
from tests.recordings import MemoryChronicle
from tests.virtual_time import VirtualClock, run_virtual

OWNER = {"strategy_id": "copy", "account_id": "paper"}


def wrapped(kind: type) -> list[str]:
    """Return the methods of a ledger that a stand-in answers itself."""
    return [name for name, method in vars(kind).items() if inspect.iscoroutinefunction(method) and name[0] != "_"]


@pytest.mark.parametrize("kind", [RecordingLedger, ReplayedLedger])
def test_what_a_stand_in_answers_itself_takes_what_the_ledger_takes(kind: type) -> None:
    names = wrapped(kind)

    assert len(names) > 5
    for name in names:
        given, wanted = (inspect.signature(getattr(one, name)) for one in (kind, Ledger))
        assert str(given.replace(return_annotation=None)) == str(wanted.replace(return_annotation=None)), name


def test_what_becomes_of_an_attempt_is_written_once_in_its_order() -> None:
    async def main() -> list[Any]:
        chronicle, clock = MemoryChronicle(), VirtualClock()
        recorder = BookRecorder(FakeBooks(), chronicle, clock)
        ledger = cast("Ledger", RecordingLedger(MemoryLedger(), Scribe(chronicle, clock), recorder))
        await ledger.save_markets([a_market()])
        recorded = await a_stored_fill(ledger)
        for _ in range(2):
            await ledger.positions()
            await ledger.open_attempts()
            await ledger.carries(**OWNER)
            await ledger.last_entries(0, **OWNER)
            await ledger.decided_since(0, **OWNER)
        attempt = an_attempt(recorded)
        for _ in range(2):
            await ledger.record_attempt(attempt)
        await ledger.submit_attempt(attempt.id, order_hash="0x1", placed_at_ms=NOW_MS + 150)
        for _ in range(2):
            await ledger.book_execution(an_execution(attempt))
        for _ in range(2):
            await ledger.close_attempt(attempt.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS)
        ended = OrderDone(attempt_id=attempt.id, status=AttemptStatus.CANCELED, reason=None, at_ms=NOW_MS)
        await ledger.close_attempts([ended])
        left_open = an_attempt(await a_stored_fill(ledger, tx_hash="0x" + "02" * 32))
        await ledger.record_attempt(left_open)
        await ledger.close_attempts([replace(ended, attempt_id=left_open.id)])
        paid = Resolution(
            condition_id=a_market().condition_id,
            payouts=(micro("1"), 0),
            source=ResolutionSource.CHAIN,
            at_ms=NOW_MS,
        )
        for _ in range(2):
            await ledger.settle(paid)
        await ledger.orphan(removed(a_log(1)), now_ms=NOW_MS)
        return chronicle.read()

    entries = run_virtual(main, epoch_ms=NOW_MS)

    assert [type(entry) for entry in entries] == [
        Held,
        Remembered,
        Made,
        Placed,
        Filled,
        Closed,
        Made,
        Closed,
        Settled,
        Removed,
    ]
    assert {entry.at_ms for entry in entries} == {NOW_MS}


@pytest.mark.parametrize(("size", "known_ms"), [("100", 100), ("7", 0)])
def test_what_the_session_did_too_is_known_where_it_knew_and_all_else_at_once(size: str, known_ms: int) -> None:
    async def main() -> int:
        clock, memory = VirtualClock(), MemoryLedger()
        recorded = await a_stored_fill(memory)
        made = Made(at_ms=5, attempt=an_attempt(recorded))
        gates = Gates([made], is_unchanged=False)
        ledger = ReplayedLedger(memory, gates)

        async def record() -> int:
            await ledger.record_attempt(an_attempt(recorded, size_shares_target=micro(size)))
            return clock.now_ms() - NOW_MS

        recording = asyncio.create_task(record())
        await clock.sleep_ms(100)
        await gates.open(made)
        return await recording

    assert run_virtual(main, epoch_ms=NOW_MS) == known_ms


def test_what_the_unchanged_session_ended_before_it_knew_is_never_known() -> None:
    async def main() -> bool:
        memory = MemoryLedger()
        attempt = an_attempt(await a_stored_fill(memory))
        ledger = ReplayedLedger(memory, Gates([], is_unchanged=True))
        recording = asyncio.create_task(ledger.record_attempt(attempt))
        await VirtualClock().sleep_ms(60_000)
        recording.cancel()
        return recording.done()

    assert run_virtual(main, epoch_ms=NOW_MS) is False
