"""Where orders go: simulated or real, the engine cannot tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from copytrade.domain.attempts import (
        AttemptStatus,
        ExecutionAttempt,
        ExecutionFill,
        ExecutionMode,
        Reason,
    )
    from copytrade.domain.market import Market
    from copytrade.domain.orders import OrderType
    from copytrade.domain.units import Millis, Shares
    from copytrade.domain.venue_orders import VenueOrder


class NotSentError(Exception):
    """The order provably never left; it may be sent again."""


class OutcomeUnknownError(Exception):
    """The order may rest on the book: ask `find`, never send again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedOrder:
    """An order with its identity fixed, before anything is sent.

    `order_hash` is the same for the same attempt; `placed_at_ms` is when the venue is expected to have it.
    `venue_order` is what will be signed, None on paper.
    """

    attempt: ExecutionAttempt
    market: Market
    order_type: OrderType
    order_hash: str
    placed_at_ms: Millis
    venue_order: VenueOrder | None = None


class OrderState(StrEnum):
    """What is known of an order; UNKNOWN says only that there is no trace of it, not that it never was."""

    OPEN = "OPEN"
    FILLED = "FILLED"
    ENDED = "ENDED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOrder:
    """An order as it was looked up; `filled_shares` is None where that is not known."""

    state: OrderState
    filled_shares: Shares | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """Part or all of an order was filled; told again, with the same trade id, as its settlement advances."""

    fill: ExecutionFill
    at_ms: Millis | None = None
    """When this was learnt; None for the instant of the fill itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDone:
    """An order ended: `status` is FILLED, CANCELED or FAILED. Comes after each execution of it was told once."""

    attempt_id: UUID
    status: AttemptStatus
    reason: Reason | None
    at_ms: Millis


ExecutionEvent: TypeAlias = Executed | OrderDone


class ExecutionAdapter(Protocol):
    """The account that our orders belong to."""

    @property
    def mode(self) -> ExecutionMode:
        """Whether orders are simulated or real."""

    @property
    def account_id(self) -> str:
        """The account on whose behalf orders are made."""

    def prepare(self, attempt: ExecutionAttempt, market: Market) -> PreparedOrder:
        """Fix the order's identity and expected placement; local and repeatable."""

    async def submit(self, order: PreparedOrder) -> None:
        """Send a prepared order once; returns when it is on its way, its fate comes by `events`.

        :raises NotSentError: it never left.
        :raises OutcomeUnknownError: it may have arrived.
        """

    async def cancel(self, attempt_id: UUID) -> None:
        """Ask for the rest of an order to be cancelled; nothing happens if it is not open."""

    async def find(self, attempt: ExecutionAttempt) -> FoundOrder:
        """Look an attempt's order up; changes nothing, and may be asked before, while and after it lives."""

    async def recover(self, attempt: ExecutionAttempt) -> OrderDone | None:
        """Settle an attempt found open at start; never sends a new order.

        Returns its ending if that is certain at once; otherwise its fate comes by `events`.
        """

    def events(self) -> AsyncIterator[ExecutionEvent]:
        """Yield executions and endings, in order per attempt, at least once."""

    async def run(self) -> None:
        """Work open orders until cancelled."""
