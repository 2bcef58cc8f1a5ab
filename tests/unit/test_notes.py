"""Notes are written in order, and what does not fit is counted."""

from __future__ import annotations

import asyncio

from copytrade.domain.happenings import Noted
from copytrade.engine.notes import NOTES_WAITING_MAX, Notes
from tests.fakes import RecordingNotifier
from tests.makers import NOW_MS
from tests.virtual_time import VirtualClock, run_virtual


class Events:
    def __init__(self) -> None:
        self.codes: list[str] = []

    async def note(self, code: str, detail: object, *, at_ms: int) -> None:
        del detail, at_ms
        self.codes.append(code)


def test_a_note_is_a_row_and_then_told_unless_it_is_routine() -> None:
    async def main() -> None:
        events, told = Events(), RecordingNotifier()
        notes = Notes(ledger=events, notifier=told, clock=VirtualClock())
        running = asyncio.create_task(notes.run())
        notes.take("RECONNECTED", {"seconds": 3})
        notes.take("FIGURES", {"tracked": 7})
        await asyncio.sleep(0.1)
        running.cancel()

        assert events.codes == ["RECONNECTED", "FIGURES"]
        assert told.told == [Noted(code="RECONNECTED", detail={"seconds": 3}, at_ms=NOW_MS)]

    run_virtual(main, epoch_ms=NOW_MS)


def test_notes_beyond_the_bound_are_counted_not_kept() -> None:
    async def main() -> None:
        events = Events()
        notes = Notes(ledger=events, notifier=RecordingNotifier(), clock=VirtualClock())
        for _ in range(NOTES_WAITING_MAX + 7):
            notes.take("RESYNC", {})
        running = asyncio.create_task(notes.run())
        await asyncio.sleep(0.1)
        running.cancel()

        assert events.codes.count("RESYNC") == NOTES_WAITING_MAX
        assert events.codes[-1] == "NOTES_LOST"

    run_virtual(main, epoch_ms=NOW_MS)
