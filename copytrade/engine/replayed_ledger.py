"""A ledger for replays: it answers about our own doing when the session knew of it.

What the worker came to know of its own doing (an order written down, an execution booked) it knew a moment after it
happened, and what it decided next depends on that moment. So wherever the replay does what the session did, it
waits for the place at which the session knew; where it does something else, it knows at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from copytrade.domain.attempts import OPEN_STATUSES
from copytrade.domain.orders import OrderType
from copytrade.engine.session import Closed, Filled, Made, Placed, Remembered

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.units import Millis
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.engine.session import Outcome
    from copytrade.ports.execution import OrderDone
    from copytrade.ports.ledger import Booked
    from copytrade.ports.recording import PlayedLedger

NEVER_SENT: Final = frozenset({"HALTED", "LADDER", "NOT_SENT"})
"""Why an order ended that never left: at the moment at which the worker came to it, on no schedule of the venue."""
KNOWN_WITHIN_MS: Final = 5
"""How long a replay of the unchanged session waits for what the session knew at this place."""


def key_of(outcome: Outcome) -> Hashable:
    """Return what an outcome is about: the same in the session and in the replay."""
    kind = type(outcome).__name__
    match outcome:
        case Made(attempt=attempt):
            return (kind, attempt.id)
        case Filled(fill=fill):
            return (kind, fill.venue_trade_id)
        case Placed(attempt_id=attempt_id) | Closed(attempt_id=attempt_id):
            return (kind, attempt_id)


def timeless(outcome: Outcome) -> Outcome:
    """Return an outcome without the time at which it was written down."""
    return replace(outcome, at_ms=0)


class Gates:
    """Lets what the session did too through at the place where the session knew of it, everything else at once."""

    def __init__(self, recorded: Iterable[Outcome], *, is_unchanged: bool) -> None:
        self._recorded = {key_of(outcome): _as_tried(timeless(outcome)) for outcome in recorded}
        self._closed = {key[1] for key in self._recorded if isinstance(key, tuple) and key[0] == Closed.__name__}
        self._open: dict[Hashable, asyncio.Event] = {}
        self._known: dict[Hashable, asyncio.Event] = {}
        self._is_unchanged = is_unchanged

    async def passing(self, outcome: Outcome, attempt_id: UUID) -> None:
        """Wait until the session knew of this outcome; for ever if it ended before it did."""
        key = key_of(outcome)
        expected = self._recorded.get(key)
        if expected == timeless(outcome):
            await _event(self._open, key).wait()
        elif expected is None and self._is_unchanged and attempt_id not in self._closed:
            await asyncio.Event().wait()

    def at_its_time(self, closed: Closed) -> Closed:
        """Return an ending at the time at which it was in the session, if only the worker's pace decided that."""
        then = self._recorded.get(key_of(closed))
        if not isinstance(then, Closed) or closed.reason is None or closed.reason.code not in NEVER_SENT:
            return closed
        return then if replace(closed, done_at_ms=then.done_at_ms) == then else closed

    def passed(self, outcome: Outcome) -> None:
        """Say that the replay knows of it now."""
        _event(self._known, key_of(outcome)).set()

    async def open(self, outcome: Outcome) -> None:
        """Let an outcome of the session through, and in the unchanged session wait until it is."""
        key = key_of(outcome)
        _event(self._open, key).set()
        if self._is_unchanged:
            try:
                async with asyncio.timeout(KNOWN_WITHIN_MS / 1000):
                    await _event(self._known, key).wait()
            except TimeoutError:
                return


class ReplayedLedger:
    """A ledger whose answers about our own doing come when the session had them; keeps what came of it.

    Everything else of a ledger goes through unchanged.
    """

    def __init__(self, ledger: PlayedLedger, gates: Gates) -> None:
        self._ledger = ledger
        self._gates = gates
        self.outcomes: list[Outcome] = []
        self._remembered = Remembered(at_ms=0, carries=(), last_entries={}, decided=())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def remember(self, remembered: Remembered) -> None:
        """Answer from now on what decisions of earlier lives left."""
        self._remembered = remembered

    async def carries(self, *, strategy_id: str, account_id: str) -> tuple[Carry, ...]:
        """Return what waited when the session began."""
        return self._remembered.carries

    async def last_entries(self, since_ms: Millis, *, strategy_id: str, account_id: str) -> Mapping[UUID, Millis]:
        """Return when leaders had last been followed when the session began."""
        return self._remembered.last_entries

    async def decided_since(
        self, since_ms: Millis, *, strategy_id: str, account_id: str
    ) -> tuple[tuple[RecordedFill, ExecutionAttempt], ...]:
        """Return what had been decided lately when the session began."""
        return self._remembered.decided

    async def record_attempt(self, attempt: ExecutionAttempt, *, carry: Carry | None = None) -> bool:
        """Store an attempt."""
        made = Made(at_ms=0, attempt=attempt, carry=carry)
        await self._gates.passing(made, attempt.id)
        is_new = await self._ledger.record_attempt(attempt, carry=carry)
        return self._note(made, is_new=is_new)

    async def submit_attempt(
        self,
        attempt_id: UUID,
        *,
        order_hash: str,
        placed_at_ms: Millis,
        order_type: OrderType = OrderType.GTC,
        venue_order: VenueOrder | None = None,
    ) -> bool:
        """Move an attempt to SUBMITTED."""
        sent = Placed(at_ms=0, attempt_id=attempt_id, placed_at_ms=placed_at_ms, is_sent=True)
        await self._gates.passing(sent, attempt_id)
        is_sent = await self._ledger.submit_attempt(
            attempt_id,
            order_hash=order_hash,
            placed_at_ms=placed_at_ms,
            order_type=order_type,
            venue_order=venue_order,
        )
        self._note(replace(sent, is_sent=is_sent), is_new=True)
        return is_sent

    async def book_execution(self, fill: ExecutionFill) -> Booked | None:
        """Book an execution."""
        filled = Filled(at_ms=0, fill=fill)
        await self._gates.passing(filled, fill.attempt_id)
        booked = await self._ledger.book_execution(fill)
        self._note(filled, is_new=booked is not None)
        return booked

    async def close_attempt(
        self, attempt_id: UUID, *, status: AttemptStatus, reason: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        """End an attempt; one that its last execution ended already has no ending of its own."""
        known = await self._ledger.attempt(attempt_id)
        closed = Closed(at_ms=0, attempt_id=attempt_id, status=status, reason=reason, done_at_ms=at_ms)
        closed = self._gates.at_its_time(closed)
        is_open = known is not None and known.status in OPEN_STATUSES
        if is_open:
            await self._gates.passing(closed, attempt_id)
        ended = await self._ledger.close_attempt(attempt_id, status=status, reason=reason, at_ms=closed.done_at_ms)
        self._note(closed, is_new=ended is not None)
        return ended

    async def close_attempts(self, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
        """End attempts one after the other."""
        closed = [
            await self.close_attempt(one.attempt_id, status=one.status, reason=one.reason, at_ms=one.at_ms)
            for one in endings
        ]
        return tuple(attempt for attempt in closed if attempt is not None)

    def _note(self, outcome: Outcome, *, is_new: bool) -> bool:
        if is_new:
            self.outcomes.append(outcome)
            self._gates.passed(outcome)
        return is_new


def _as_tried(outcome: Outcome) -> Outcome:
    """Return an outcome as it looks before it is known whether it can be."""
    return replace(outcome, is_sent=True) if isinstance(outcome, Placed) else outcome


def _event(events: dict[Hashable, asyncio.Event], key: Hashable) -> asyncio.Event:
    return events.setdefault(key, asyncio.Event())
