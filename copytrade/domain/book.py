"""A token's order book at one instant, and how far it may be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from copytrade.domain.fills import Side
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from copytrade.domain.units import Millis, Price, Shares


class Level(NamedTuple):
    """One price and the shares resting there."""

    price: Price
    size: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot:
    """A book as it stood: bids and asks best first, sizes above zero.

    `revision` grows with each settled state of this token's book and never repeats within a process;
    `at_ms` is when we applied the state (our clock), `venue_ts_ms` the venue's own stamp.
    """

    token_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    revision: int
    at_ms: Millis
    venue_ts_ms: Millis

    @property
    def best_bid(self) -> Price | None:
        """The highest bid, None on an empty side."""
        return self.bids[0].price if self.bids else None

    @property
    def best_ask(self) -> Price | None:
        """The lowest ask, None on an empty side."""
        return self.asks[0].price if self.asks else None

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask."""
        return bool(self.bids and self.asks) and self.bids[0].price >= self.asks[0].price

    def mirrored(self, token_id: str) -> BookSnapshot:
        """Return the same state as the market's other outcome, `token_id`, has it: a bid at p is an ask at 1 - p."""
        return replace(self, token_id=token_id, bids=_mirrored(self.asks), asks=_mirrored(self.bids))

    def opposite(self, side: Side) -> tuple[Level, ...]:
        """Return the levels an order of `side` would trade against, best first."""
        return self.asks if side is Side.BUY else self.bids


def _mirrored(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    return tuple(Level(MICRO - price, size) for price, size in levels)


class QuoteTier(StrEnum):
    """How long ago the book was last known true: FRESH, then SOFT_STALE (refresh first), then HARD_STALE."""

    FRESH = "FRESH"
    SOFT_STALE = "SOFT_STALE"
    HARD_STALE = "HARD_STALE"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """A book and its age: time since it was last known true, not since its prices last moved."""

    book: BookSnapshot
    age_ms: Millis
    tier: QuoteTier


def tier_of(age_ms: Millis, *, fresh_ms: Millis, stale_ms: Millis) -> QuoteTier:
    """Return the tier of a book `age_ms` old: FRESH up to `fresh_ms`, HARD_STALE beyond `stale_ms`."""
    if age_ms <= fresh_ms:
        return QuoteTier.FRESH
    return QuoteTier.SOFT_STALE if age_ms <= stale_ms else QuoteTier.HARD_STALE
