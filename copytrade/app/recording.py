"""Recording a session: the file, and the places of the worker that write to it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from copytrade.adapters.recording.codec import plain
from copytrade.domain.ids import COPY_STRATEGY_ID
from copytrade.engine.book_recording import BookRecorder, RecordingBooks
from copytrade.engine.recording import FactsRecorder, RecordingLedger, Scribe
from copytrade.engine.session import FORMAT, Began, Ended
from copytrade.engine.steady_chronicle import SteadyChronicle
from copytrade.engine.tape_recording import TapeRecorder
from copytrade.settings import ConfigurationError
from copytrade.settings.replayed import replayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from copytrade.engine.worker import Onlooker, Worker
    from copytrade.ports.books import BookStore
    from copytrade.ports.clock import Clock
    from copytrade.ports.ledger import Ledger
    from copytrade.ports.recording import Chronicle
    from copytrade.settings import Settings


class Recording:
    """One session being written down."""

    def __init__(self, chronicle: Chronicle, settings: Settings, clock: Clock) -> None:
        self._chronicle = SteadyChronicle(chronicle, clock, self.failed)
        self._settings = settings
        self._clock = clock
        self._scribe = Scribe(self._chronicle, clock)
        self._books: BookRecorder | None = None
        self._tapes: TapeRecorder | None = None
        self._note: Callable[[str, Mapping[str, object]], None] | None = None

    def traded_books(self, books: BookStore) -> BookStore:
        """Have books recorded, and return them as whoever trades on them sees them."""
        self._books = BookRecorder(books, self._chronicle, self._clock)
        self._tapes = TapeRecorder(books, self._chronicle, self._clock)
        return RecordingBooks(books, self._chronicle, self._clock)

    def ledger(self, ledger: Ledger) -> Ledger:
        """Return the ledger as it is recorded from now on."""
        books, _ = self._followed
        return cast("Ledger", RecordingLedger(ledger, self._scribe, books))

    def begin(self, worker: Worker) -> dict[str, Onlooker]:
        """Write who records, have each decision's facts written, and return who writes the rest."""
        self._scribe.write(
            Began,
            format=FORMAT,
            program=version("copytrade"),
            mode=str(worker.executor.mode),
            strategy_id=COPY_STRATEGY_ID,
            account_id=worker.executor.account_id,
            settings={name: json.dumps(plain(value)) for name, value in replayed(self._settings).items()},
        )
        self._note = worker.notes.take
        books, tapes = self._followed
        worker.decide.on_facts = FactsRecorder(self._scribe, books, tapes).gathered
        worker.leader_values.asks_about_all = True
        return {"record-books": books, "record-tapes": tapes}

    def failed(self, why: str) -> None:
        """Leave a note that the recording ended early; the worker goes on."""
        if self._note is not None:
            self._note("RECORDING_STOPPED", {"why": why})

    def end(self) -> None:
        """Write what is left, and that nothing is missing."""
        for followed in (self._books, self._tapes):
            if followed is not None:
                followed.catch_up()
        self._scribe.write(Ended, entries=self._chronicle.entries)

    @property
    def _followed(self) -> tuple[BookRecorder, TapeRecorder]:
        if self._books is None or self._tapes is None:
            raise LookupError("the books are recorded first")
        return self._books, self._tapes


@asynccontextmanager
async def open_recording(
    path: Path | None, settings: Settings, clock: Clock, *, warn: Callable[[str], None]
) -> AsyncIterator[Recording | None]:
    """Create the file of a recording; None without a path. `warn` is told if it has to end early.

    :raises ConfigurationError: it cannot be created, or is there already.
    """
    if path is None:
        yield None
        return
    from copytrade.adapters.recording.files import FileChronicle, RecordingError

    def failed(why: str) -> None:
        warn(f"the recording ended early: {why}")
        recording.failed(why)

    try:
        chronicle = FileChronicle(path, clock, failed)
    except RecordingError as error:
        raise ConfigurationError(str(error)) from error
    recording = Recording(chronicle, settings, clock)
    flushing = asyncio.create_task(chronicle.run(), name="recording")
    try:
        yield recording
    finally:
        recording.end()
        flushing.cancel()
        await chronicle.close()
