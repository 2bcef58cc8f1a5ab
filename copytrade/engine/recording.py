"""Writing a session down while it runs, at the places where the world comes in and where what we did becomes known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from copytrade.domain.orders import OrderType
from copytrade.engine.session import Closed, Filled, Gathered, Held, Made, Placed, Remembered, Removed, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from copytrade.domain.attempts import AttemptStatus, ExecutionAttempt, ExecutionFill, Reason
    from copytrade.domain.carry import Carry
    from copytrade.domain.closing import Closing
    from copytrade.domain.fills import RecordedFill
    from copytrade.domain.positions import Position
    from copytrade.domain.settlement import Resolution
    from copytrade.domain.units import Millis
    from copytrade.domain.venue_orders import VenueOrder
    from copytrade.engine.book_recording import BookRecorder
    from copytrade.engine.tape_recording import TapeRecorder
    from copytrade.ports import accounts
    from copytrade.ports.clock import Clock
    from copytrade.ports.execution import OrderDone
    from copytrade.ports.leader_fills import FillsRemoved
    from copytrade.ports.ledger import Booked, Ledger, Orphaned
    from copytrade.ports.recording import Chronicle
    from copytrade.strategies.copy import CopyFacts

E = TypeVar("E")


class Scribe:
    """Writes entries with the time, which never goes back even if the host's clock does."""

    def __init__(self, chronicle: Chronicle, clock: Clock) -> None:
        self._chronicle = chronicle
        self._clock = clock
        self._last_ms: Millis = 0

    def write(self, entry: Callable[..., E], **facts: Any) -> None:
        """Write an entry of that kind, now."""
        self._last_ms = max(self._last_ms, self._clock.now_ms())
        self._chronicle.write(entry(at_ms=self._last_ms, **facts))


class FactsRecorder:
    """Writes down what each decision is made from, and has the market's books and tape followed from then on."""

    def __init__(self, scribe: Scribe, books: BookRecorder, tapes: TapeRecorder) -> None:
        self._scribe = scribe
        self._books = books
        self._tapes = tapes

    def gathered(self, recorded: RecordedFill, facts: CopyFacts) -> None:
        """Take the facts of one decision at the moment it is made."""
        self._scribe.write(Gathered, recorded=recorded, facts=facts)
        self._books.follow(recorded.fill.token_id, facts.market)
        if facts.market is not None:
            self._tapes.follow(facts.market.condition_id)


class RecordingLedger:
    """A ledger that writes down, in the very moment the worker knows of it, what became of decisions and orders.

    Everything else of a ledger goes through unchanged.
    """

    def __init__(self, ledger: Ledger, scribe: Scribe, books: BookRecorder) -> None:
        self._ledger = ledger
        self._scribe = scribe
        self._books = books
        self._open_at_start: tuple[ExecutionAttempt, ...] | None = None
        self._held_at_start: tuple[Position, ...] | None = None
        self._remembered: dict[str, Any] | None = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def positions(self) -> tuple[Position, ...]:
        """Return what is held; the first answer is what the session starts from."""
        held = await self._ledger.positions()
        if self._held_at_start is None:
            self._held_at_start = held
            self._write_start()
        return held

    async def open_attempts(self) -> tuple[ExecutionAttempt, ...]:
        """Return what is open; the first answer is what the session starts from."""
        found = await self._ledger.open_attempts()
        if self._open_at_start is None:
            self._open_at_start = found
            self._write_start()
        return found

    async def carries(self, *, strategy_id: str, account_id: str) -> tuple[Carry, ...]:
        """Return what waits; the first answer is what the session starts from."""
        found = await self._ledger.carries(strategy_id=strategy_id, account_id=account_id)
        return self._remember("carries", found)

    async def last_entries(self, since_ms: Millis, *, strategy_id: str, account_id: str) -> Mapping[UUID, Millis]:
        """Return when leaders were last followed; the first answer is what the session starts from."""
        found = await self._ledger.last_entries(since_ms, strategy_id=strategy_id, account_id=account_id)
        return self._remember("last_entries", found)

    async def decided_since(
        self, since_ms: Millis, *, strategy_id: str, account_id: str
    ) -> tuple[tuple[RecordedFill, ExecutionAttempt], ...]:
        """Return what was decided lately; the first answer is what the session starts from."""
        found = await self._ledger.decided_since(since_ms, strategy_id=strategy_id, account_id=account_id)
        return self._remember("decided", found)

    async def record_attempt(self, attempt: ExecutionAttempt, *, carry: Carry | None = None) -> bool:
        """Store an attempt and write it down if it is new."""
        is_new = await self._ledger.record_attempt(attempt, carry=carry)
        if is_new:
            self._scribe.write(Made, attempt=attempt, carry=carry)
        return is_new

    async def submit_attempt(
        self,
        attempt_id: UUID,
        *,
        order_hash: str,
        placed_at_ms: Millis,
        order_type: OrderType = OrderType.GTC,
        venue_order: VenueOrder | None = None,
    ) -> bool:
        """Move an attempt to SUBMITTED, or not, and write down which; what was signed stays in the ledger."""
        is_sent = await self._ledger.submit_attempt(
            attempt_id,
            order_hash=order_hash,
            placed_at_ms=placed_at_ms,
            order_type=order_type,
            venue_order=venue_order,
        )
        self._scribe.write(Placed, attempt_id=attempt_id, placed_at_ms=placed_at_ms, is_sent=is_sent)
        return is_sent

    async def book_execution(self, fill: ExecutionFill) -> Booked | None:
        """Book an execution and write it down if it is new."""
        booked = await self._ledger.book_execution(fill)
        if booked is not None:
            self._books.keep(fill.token_id)
            self._scribe.write(Filled, fill=fill)
        return booked

    async def settle_execution(self, fill: ExecutionFill, *, at_ms: Millis) -> Booked | None:
        """Advance an execution, and write it down again once it is final whether it counts."""
        advanced = await self._ledger.settle_execution(fill, at_ms=at_ms)
        if advanced is not None and fill.is_settled:
            self._scribe.write(Filled, fill=fill)
        return advanced

    async def close_attempt(
        self, attempt_id: UUID, *, status: AttemptStatus, reason: Reason | None, at_ms: Millis
    ) -> ExecutionAttempt | None:
        """End an attempt and write it down if it had not ended."""
        closed = await self._ledger.close_attempt(attempt_id, status=status, reason=reason, at_ms=at_ms)
        if closed is not None:
            self._scribe.write(Closed, attempt_id=attempt_id, status=status, reason=reason, done_at_ms=at_ms)
        return closed

    async def close_attempts(self, endings: Sequence[OrderDone]) -> tuple[ExecutionAttempt, ...]:
        """End attempts and write down those that had not ended."""
        closed = await self._ledger.close_attempts(endings)
        told = {done.attempt_id: done for done in reversed(endings)}
        for one in (told[attempt.id] for attempt in closed):
            self._scribe.write(
                Closed, attempt_id=one.attempt_id, status=one.status, reason=one.reason, done_at_ms=one.at_ms
            )
        return closed

    async def settle(self, resolution: Resolution) -> accounts.Settled:
        """Settle a market and write down what that moved."""
        settled = await self._ledger.settle(resolution)
        self._write_closings(settled.closings)
        return settled

    async def merge_sets(
        self, condition_id: str, *, strategy_id: str, account_id: str, at_ms: Millis
    ) -> tuple[Closing, ...]:
        """Merge complete sets and write down what that moved."""
        closings = await self._ledger.merge_sets(
            condition_id, strategy_id=strategy_id, account_id=account_id, at_ms=at_ms
        )
        self._write_closings(closings)
        return closings

    async def rename_token(
        self, old_token_id: str, new_token_id: str, *, condition_id: str, source: str, at_ms: Millis
    ) -> accounts.Settled:
        """Move positions to a token's new name and write down what that moved."""
        renamed = await self._ledger.rename_token(
            old_token_id, new_token_id, condition_id=condition_id, source=source, at_ms=at_ms
        )
        self._write_closings(renamed.closings)
        return renamed

    async def orphan(self, removed: FillsRemoved, *, now_ms: Millis) -> Orphaned:
        """Mark what a reorg took away and write it down."""
        orphaned = await self._ledger.orphan(removed, now_ms=now_ms)
        self._scribe.write(Removed, removed=removed)
        return orphaned

    def _write_start(self) -> None:
        if self._held_at_start is not None and self._open_at_start is not None:
            self._scribe.write(Held, positions=self._held_at_start, open_attempts=self._open_at_start)

    def _write_closings(self, closings: Iterable[Closing]) -> None:
        settlements = tuple(closing.settlement for closing in closings)
        if settlements:
            self._scribe.write(Settled, settlements=settlements)

    def _remember(self, name: str, found: E) -> E:
        """Keep the first answer to each question about earlier lives, and write them once all are there."""
        if self._remembered is not None:
            self._remembered.setdefault(name, found)
            if self._remembered.keys() == {"carries", "last_entries", "decided"}:
                self._scribe.write(Remembered, **self._remembered)
                self._remembered = None
        return found
