"""A market (one condition) and its outcome tokens, as the decision needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Price, Ratio, Shares

UNKNOWN_CATEGORY: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeToken:
    """One outcome of a market; `token_id` is the decimal text of a uint256."""

    token_id: str
    outcome: str
    outcome_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeSchedule:
    """What a taker pays: shares x rate x (p(1-p))^exponent; rate zero means no fee."""

    rate: Ratio
    exponent: int


NO_FEES: Final = FeeSchedule(rate=0, exponent=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A market as the registry holds it.

    `condition_id` is 0x and 64 hex digits in both protocol versions (a 62-digit one is padded on the
    right). `taker_delay_ms` is how long the venue holds a marketable order before it matches.
    `payouts` are micro-USDC per share, one per token in outcome order, once resolved.
    """

    condition_id: str
    version: str
    title: str
    slug: str
    event_slug: str
    category: str
    end_date_ms: Millis | None
    enable_order_book: bool
    accepting_orders: bool
    closed: bool
    neg_risk: bool
    tick_size: Price
    min_order_size: Shares
    fees: FeeSchedule
    taker_delay_ms: Millis
    tokens: tuple[OutcomeToken, ...]
    payouts: tuple[Price, ...] | None
    updated_at_ms: Millis

    def outcome_of(self, token_id: str) -> str:
        """Return the outcome's label, or "?" for a token of another market."""
        return next((token.outcome for token in self.tokens if token.token_id == token_id), "?")
