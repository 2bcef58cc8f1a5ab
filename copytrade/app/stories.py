"""What is noted of each copy while the worker runs, and what can be told of it afterwards."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from copytrade.app.ledgers import open_database
from copytrade.engine.attribution import Attributions
from copytrade.engine.markouts import Markouts
from copytrade.engine.past_books import PastBooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from copytrade.adapters.sql.statistics import SqlStatistics
    from copytrade.adapters.sql.stories import SqlStories
    from copytrade.engine.worker import Onlooker, Worker
    from copytrade.settings import Settings


def build_stories(settings: Settings, worker: Worker) -> Mapping[str, Onlooker]:
    """Return who notes what copies cost, and who marks their fills later; both listen from now on."""
    past, note = PastBooks(worker.books, stale_ms=settings.quote_stale_ms), worker.notes.take
    attributions = Attributions(ledger=worker.ledger, books=past, clock=worker.clock, note=note)
    markouts = Markouts(ledger=worker.ledger, books=past, clock=worker.clock, note=note)
    worker.listeners.add(attributions, markouts)
    return {"attribution": attributions, "markouts": markouts}


@asynccontextmanager
async def open_stories(settings: Settings) -> AsyncIterator[SqlStories]:
    """Open the stories of fills, as `open_database` does the database."""
    from copytrade.adapters.sql.stories import SqlStories

    async with open_database(settings) as database:
        yield SqlStories(database)


@asynccontextmanager
async def open_statistics(settings: Settings) -> AsyncIterator[SqlStatistics]:
    """Open the figures of copying, as `open_database` does the database."""
    from copytrade.adapters.sql.statistics import SqlStatistics

    async with open_database(settings) as database:
        yield SqlStatistics(database)
