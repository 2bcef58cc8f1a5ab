"""A market (one condition) and its outcome tokens, as the decision needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Price, Ratio, Shares

UNKNOWN_CATEGORY: Final = "unknown"

TOKEN_ID_DIGITS_MAX: Final = 78
RESERVED_BITS: Final = ((1 << 64) - 1) << 40
"""Zero in Protocol V2 position ids, and in no v1 token id but by a chance of one in 2^64."""
MODULE_SHIFT: Final = 248
COMBO_MODULE: Final = 3


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
    `payouts` are micro-USDC per share, one per token in outcome order, once resolved; until then
    `resolution_status` is how far that has come in the venue's words (proposed, disputed), empty while it
    says nothing. `former_token_ids` are the tokens these took the place of, in outcome order, where it tells.
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
    resolution_status: str = ""
    former_token_ids: tuple[str, ...] = ()

    def outcome_of(self, token_id: str) -> str:
        """Return the outcome's label, or "?" for a token of another market."""
        return next((token.outcome for token in self.tokens if token.token_id == token_id), "?")

    def payout_of(self, token_id: str) -> Price | None:
        """Return what a share of a token pays, None while that is not known."""
        if self.payouts is None:
            return None
        payouts = zip(self.tokens, self.payouts, strict=False)
        return next((payout for token, payout in payouts if token.token_id == token_id), None)

    def twin_of(self, token_id: str) -> str | None:
        """Return the other token of a market of two outcomes, whose book is the mirror of this one's; else None."""
        first, *others = (token.token_id for token in self.tokens)
        if len(others) != 1 or token_id not in (first, *others):
            return None
        return first if token_id == others[0] else others[0]


def is_token_id(text: str) -> bool:
    """Whether a text is the decimal of a uint256 above zero."""
    return text.isascii() and text.isdecimal() and len(text) <= TOKEN_ID_DIGITS_MAX and 0 < int(text) < 2**256


def is_position_id(token_id: str) -> bool:
    """Whether a token is of Protocol V2 (the official client's rule)."""
    return is_token_id(token_id) and int(token_id) & RESERVED_BITS == 0


def is_combo(token_id: str) -> bool:
    """Whether a token stands for several markets at once: a V2 position of the combo module, with no book here."""
    return is_position_id(token_id) and int(token_id) >> MODULE_SHIFT == COMBO_MODULE


def condition_of_position(token_id: str) -> str:
    """Return the condition in a Protocol V2 position id: all its bits but the outcome's, as 64 digits."""
    return f"0x{int(token_id) >> 8:062x}00"
