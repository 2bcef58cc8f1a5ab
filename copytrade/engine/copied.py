"""What was copied lately, as far as the next decision depends on it: a copy of the ledger's, in step with it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from copytrade.domain import carry as carrying
from copytrade.domain.attempts import Decision
from copytrade.domain.copy_rules import AGE_MAX_MS
from copytrade.domain.fills import Side
from copytrade.domain.leader_orders import NOTHING_YET, OrderSoFar, order_keys
from copytrade.domain.units import notional_up

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionAttempt
    from copytrade.domain.carry import Carry
    from copytrade.domain.fills import LeaderFill, RecordedFill
    from copytrade.domain.units import Millis, Usdc
    from copytrade.ports.copy_memory import CopyMemory

CARRIES_MAX: Final = 20_000
"""What waits at most, one for a leader and token; beyond it a copy that is too small is a plain SKIP."""
EVENTS_MAX: Final = 100_000
"""Events of leaders' orders remembered at most; beyond it the oldest are forgotten before their time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One event of a leader's order that was copied, or waits to be."""

    attempt_id: UUID
    key: str
    usdc: Usdc
    at_ms: Millis


class Copied:
    """What waits to be enough for an order, what each order of a leader was copied with, when he was last followed."""

    def __init__(self, *, strategy_id: str, account_id: str, order_window_ms: Millis) -> None:
        self._owner = {"strategy_id": strategy_id, "account_id": account_id}
        self._order_window_ms = order_window_ms
        self._carries: dict[tuple[UUID, str], Carry] = {}
        self._events: dict[str, deque[_Event]] = {}
        self._oldest_first: deque[_Event] = deque()
        self._last_entries: dict[UUID, Millis] = {}

    async def load(self, memory: CopyMemory, *, now_ms: Millis) -> None:
        """Read what earlier lives of the process left."""
        for carry in await memory.carries(**self._owner):
            self._carries[carry.leader_id, carry.token_id] = carry
        self._last_entries = dict(await memory.last_entries(now_ms - AGE_MAX_MS, **self._owner))
        for recorded, attempt in await memory.decided_since(now_ms - self._order_window_ms, **self._owner):
            self._remember(recorded.fill, attempt)

    def carry_of(self, recorded: RecordedFill) -> Carry | None:
        """Return what waits of the leader's fills of the token, on either side."""
        return self._carries.get((recorded.leader_id, recorded.fill.token_id))

    def may_carry(self, recorded: RecordedFill) -> bool:
        """Tell whether there is room for one more that waits."""
        return len(self._carries) < CARRIES_MAX or self.carry_of(recorded) is not None

    def order_so_far(self, fill: LeaderFill, *, now_ms: Millis) -> OrderSoFar:
        """Return what other events of the fill's order were copied with within the window that ends now."""
        if not self._order_window_ms:
            return NOTHING_YET
        self._forget_before(now_ms - self._order_window_ms)
        events = {event.attempt_id: event for key in order_keys(fill) for event in self._events.get(key, ())}
        return OrderSoFar(events=len(events), usdc=sum(event.usdc for event in events.values()))

    def last_entry_ms(self, recorded: RecordedFill) -> Millis | None:
        """Return when the leader was last followed into a position."""
        return self._last_entries.get(recorded.leader_id)

    def expect(self, recorded: RecordedFill, attempt: ExecutionAttempt) -> Millis | None:
        """Count an entry from before it is stored, so that no other token's fill is decided without it.

        Returns what `forget` needs to undo that.
        """
        before = self._last_entries.get(recorded.leader_id)
        if _is_entry(attempt):
            self._last_entries[recorded.leader_id] = attempt.decided_at_ms
        return before

    def forget(self, recorded: RecordedFill, attempt: ExecutionAttempt, before: Millis | None) -> None:
        """Undo `expect`: the attempt was not stored."""
        if not _is_entry(attempt) or self._last_entries.get(recorded.leader_id) != attempt.decided_at_ms:
            return
        if before is None:
            del self._last_entries[recorded.leader_id]
        else:
            self._last_entries[recorded.leader_id] = before

    def follow(self, recorded: RecordedFill, attempt: ExecutionAttempt, carry: Carry | None) -> None:
        """Take an attempt that was just committed, and what waits after it if that changed."""
        if carry is not None:
            key = (carry.leader_id, carry.token_id)
            if carry.shares:
                self._carries[key] = carry
            else:
                self._carries.pop(key, None)
        self._remember(recorded.fill, attempt)

    def _remember(self, fill: LeaderFill, attempt: ExecutionAttempt) -> None:
        is_trade = attempt.decision is Decision.TRADE
        if not is_trade and not any(one.code == carrying.CARRIED for one in attempt.reasons):
            return
        usdc = notional_up(attempt.size_shares_target, attempt.limit_price)
        event = _Event(attempt_id=attempt.id, key=order_keys(fill)[0], usdc=usdc, at_ms=attempt.decided_at_ms)
        self._events.setdefault(event.key, deque()).append(event)
        self._oldest_first.append(event)
        if len(self._oldest_first) > EVENTS_MAX:
            self._drop(self._oldest_first[0])

    def _forget_before(self, oldest_ms: Millis) -> None:
        while self._oldest_first and self._oldest_first[0].at_ms < oldest_ms:
            self._drop(self._oldest_first[0])

    def _drop(self, event: _Event) -> None:
        self._oldest_first.popleft()
        of_order = self._events[event.key]
        of_order.popleft()
        if not of_order:
            del self._events[event.key]


def _is_entry(attempt: ExecutionAttempt) -> bool:
    return attempt.decision is Decision.TRADE and attempt.side is Side.BUY
