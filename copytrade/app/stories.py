"""What is noted of each copy while the worker runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from copytrade.engine.attribution import Attributions
from copytrade.engine.markouts import Markouts
from copytrade.engine.past_books import PastBooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from copytrade.engine.worker import Onlooker, Worker
    from copytrade.settings import Settings


def build_stories(settings: Settings, worker: Worker) -> Mapping[str, Onlooker]:
    """Return who notes what copies cost, and who marks their fills later; both listen from now on."""
    past, note = PastBooks(worker.books, stale_ms=settings.quote_stale_ms), worker.notes.take
    attributions = Attributions(ledger=worker.ledger, books=past, clock=worker.clock, note=note)
    markouts = Markouts(ledger=worker.ledger, books=past, clock=worker.clock, note=note)
    worker.listeners.add(attributions, markouts)
    return {"attribution": attributions, "markouts": markouts}
