"""What shows that a run met trouble and came through it: notes, skips and repairs, by name."""

from __future__ import annotations

from tests.simulation.stage import Stage

OWED = ("RECONNECTED", "REORG", "GAP_FILLED", "QUARANTINED", "UNREACHABLE", "INTERRUPTED", "TOO_OLD", "orphaned")
"""What a run over many seeds must have come through, or it proved nothing."""


def signs_of(stage: Stage) -> frozenset[str]:
    """Return every code that was noted, given as a reason, or can be read off the rows."""
    kept = stage.storage.kept()
    signs = {code for _, code, _ in stage.storage.events()}
    signs |= {one.code for attempt in kept.attempts.values() for one in attempt.reasons}
    if any(stored.orphaned_at_ms is not None for stored in kept.fills.values()):
        signs.add("orphaned")
    return frozenset(signs)
