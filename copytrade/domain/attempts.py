"""What we did about a fill: one attempt, its states and the moves allowed between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from copytrade.domain.fills import Side
    from copytrade.domain.orders import OrderType
    from copytrade.domain.units import Millis, Price, Ratio, Shares, Usdc


class ExecutionMode(StrEnum):
    """Whether orders are simulated or sent."""

    PAPER = "paper"
    LIVE = "live"


class Decision(StrEnum):
    """The verdict on a fill."""

    TRADE = "TRADE"
    SKIP = "SKIP"


class AttemptStatus(StrEnum):
    """Where an attempt stands; it moves only along ALLOWED."""

    SKIPPED = "SKIPPED"
    PENDING = "PENDING"
    SUBMITTED = "SUBMITTED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    FAILED = "FAILED"


_ENDS: Final = frozenset({AttemptStatus.FILLED, AttemptStatus.CANCELED, AttemptStatus.FAILED})
ALLOWED: Final[Mapping[AttemptStatus, frozenset[AttemptStatus]]] = {
    AttemptStatus.PENDING: frozenset({AttemptStatus.SUBMITTED, AttemptStatus.CANCELED, AttemptStatus.FAILED}),
    AttemptStatus.SUBMITTED: _ENDS | {AttemptStatus.PARTIAL},
    AttemptStatus.PARTIAL: _ENDS | {AttemptStatus.PARTIAL},
    AttemptStatus.SKIPPED: frozenset(),
    AttemptStatus.FILLED: frozenset(),
    AttemptStatus.CANCELED: frozenset(),
    AttemptStatus.FAILED: frozenset(),
}
OPEN_STATUSES: Final = frozenset({AttemptStatus.PENDING, AttemptStatus.SUBMITTED, AttemptStatus.PARTIAL})

OVERDUE_MS: Final = 60_000
"""An order may live so long beyond its time."""


def may_become(current: AttemptStatus, wanted: AttemptStatus) -> bool:
    """Tell whether the transition table lets `current` become `wanted`."""
    return wanted in ALLOWED[current]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a decision or an ending was what it was: a code and the numbers it compared, as text."""

    code: str
    numbers: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, str]:
        """Return the reason as one flat object with the code first."""
        return {"code": self.code, **dict(self.numbers)}


def reason(code: str, **numbers: object) -> Reason:
    """Build a reason; each number is kept as its text."""
    return Reason(code=code, numbers=tuple((name, str(value)) for name, value in numbers.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionAttempt:
    """One decision about one fill, and the order it became if it was TRADE.

    A SKIP has `decided_at_ms` and reasons, size and limit zero, and none of the later times. `order_type` and
    `order_hash` are None until it is sent.
    `filled_shares` is the sum of its execution fills.
    """

    id: UUID
    strategy_id: str
    account_id: str
    leader_fill_id: UUID
    mode: ExecutionMode
    decision: Decision
    reasons: tuple[Reason, ...]
    ratio: Ratio
    token_id: str
    side: Side
    size_shares_target: Shares
    limit_price: Price
    ttl_ms: Millis
    status: AttemptStatus
    order_hash: str | None
    decided_at_ms: Millis
    placed_at_ms: Millis | None
    first_fill_at_ms: Millis | None
    done_at_ms: Millis | None
    created_at_ms: Millis
    filled_shares: Shares = 0
    order_type: OrderType | None = None

    @property
    def over_ms(self) -> Millis:
        """When its order has had its time, and OVERDUE_MS beyond it."""
        began_ms = self.decided_at_ms if self.placed_at_ms is None else self.placed_at_ms
        return began_ms + self.ttl_ms + OVERDUE_MS


class Liquidity(StrEnum):
    """Whether our order took liquidity or provided it."""

    TAKER = "taker"
    MAKER = "maker"


class Settlement(StrEnum):
    """How far a trade has come on its way to the chain, in the venue's words; paper is confirmed at once."""

    MATCHED = "matched"
    MINED = "mined"
    CONFIRMED = "confirmed"
    RETRYING = "retrying"
    FAILED = "failed"


FINAL_SETTLEMENTS: Final = frozenset({Settlement.CONFIRMED, Settlement.FAILED})
"""What stays, whatever is told later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFill:
    """One execution on our account; `venue_trade_id` is unique within the account."""

    id: UUID
    attempt_id: UUID
    strategy_id: str
    account_id: str
    venue_trade_id: str
    token_id: str
    side: Side
    shares: Shares
    price: Price
    fee_usdc: Usdc
    liquidity: Liquidity
    settlement: Settlement
    fill_at_ms: Millis

    @property
    def is_settled(self) -> bool:
        """Whether it is final that it counts, or that it does not."""
        return self.settlement in FINAL_SETTLEMENTS

    def told(self) -> dict[str, object]:
        """Return what a row of the audit trail says of it."""
        return {
            "attempt": str(self.attempt_id),
            "trade": self.venue_trade_id,
            "token_id": self.token_id,
            "side": self.side,
            "shares": self.shares,
            "price": self.price,
        }


def advanced(stored: ExecutionFill, told: ExecutionFill) -> ExecutionFill | None:
    """Return a stored execution as far as a later report of it goes; None if that says nothing new.

    What is final stays, but for the fee: what the chain says of it takes the place of what was computed. A
    trade that is on its way does not go back to being just matched. What an execution was never changes.
    """
    settlement, fee = stored.settlement, stored.fee_usdc
    if not stored.is_settled and told.settlement is not Settlement.MATCHED:
        settlement = told.settlement
    if stored.settlement is not Settlement.FAILED and told.settlement is Settlement.CONFIRMED:
        fee = told.fee_usdc
    after = replace(stored, settlement=settlement, fee_usdc=fee)
    return None if after == stored else after
