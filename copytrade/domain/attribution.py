"""Why a copy cost what it cost: the way from the leader's price to ours, each stretch with its loss.

leader's price -> mid when we decided -> touch when we decided -> touch when our order was placed -> what it got,
and the fee. The touch is the best price of the side our order trades against.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Liquidity, Settlement
from copytrade.domain.fills import Side
from copytrade.domain.positions import cash_flow
from copytrade.domain.units import notional_down, notional_up, price_half_up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionFill
    from copytrade.domain.book import BookSnapshot, Level
    from copytrade.domain.units import Millis, Price, Shares, Usdc

BOOK_LEVELS_KEPT: Final = 10
"""Levels of each side that are kept of a book, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookTop:
    """The best levels of a book as it stood at one instant; `at_ms` is when it came to stand so."""

    at_ms: Millis
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def touch(self, side: Side) -> Price | None:
        """Return the best price an order of `side` trades against, None on an empty side."""
        levels = self.asks if side is Side.BUY else self.bids
        return levels[0].price if levels else None

    @property
    def mid(self) -> Price | None:
        """The middle of best bid and best ask, halves of a micro-unit up; None if a side is empty."""
        if not self.bids or not self.asks:
            return None
        return (self.bids[0].price + self.asks[0].price + 1) // 2


def top_of(book: BookSnapshot) -> BookTop:
    """Return the part of a book that is kept."""
    return BookTop(at_ms=book.at_ms, bids=book.bids[:BOOK_LEVELS_KEPT], asks=book.asks[:BOOK_LEVELS_KEPT])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was lost against the leader's price, stretch by stretch; plus is worse for us. In USDC or per share.

    None: an end of that stretch is not known; what such stretches cost together is in `unknown`, so that the
    parts always add up to `total` exactly. `rest` is what waiting at our limit changed: most often a gain.
    """

    decision_delay: int | None
    spread: int | None
    placement_delay: int | None
    depth: int | None
    rest: int | None
    unknown: int
    fee: int

    @property
    def total(self) -> int:
        """Everything that was lost, the fee included."""
        known = (self.decision_delay, self.spread, self.placement_delay, self.depth, self.rest)
        return sum(part for part in known if part is not None) + self.unknown + self.fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The prices on the way to an order; None where a book or a side of it was not known."""

    leader: Price
    mid_at_decision: Price | None = None
    touch_at_decision: Price | None = None
    touch_at_placement: Price | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an order got so far: `usdc` is the cash that moved for its shares, the fee beside it."""

    shares: Shares
    usdc: Usdc
    fee: Usdc
    lost_usdc: Loss
    lost_price: Loss

    @property
    def price(self) -> Price:
        """The average price, to the nearest micro-unit."""
        return price_half_up(self.usdc, self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """What one rule said of a fill: `passed`, `refused` or `applied`, with the numbers it compared."""

    rule: str
    verdict: str
    numbers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """All of this for one attempt; `missing` says by name why something is not known and never will be.

    `is_final` once its order is over and its cost counted.
    """

    attempt_id: UUID
    way: Way
    book_at_decision: BookTop | None
    book_at_placement: BookTop | None
    outcome: Outcome | None
    verdicts: tuple[RuleVerdict, ...]
    missing: tuple[tuple[str, str], ...]
    is_final: bool


def outcome_of(side: Side, way: Way, fills: Iterable[ExecutionFill]) -> Outcome | None:
    """Return what an order's executions cost against the leader, None while there are none.

    A stretch costs what the same shares are worth at its two ends, each rounded as our cash is, so that the
    stretches add up to the micro-unit. Failed settlements did not happen.
    """
    counted = [fill for fill in fills if fill.settlement is not Settlement.FAILED]
    if not counted:
        return None
    shares = sum(fill.shares for fill in counted)
    fee = sum(fill.fee_usdc for fill in counted)
    paid = [abs(cash_flow(fill) + fill.fee_usdc) for fill in counted]
    taken = sum(usdc for fill, usdc in zip(counted, paid, strict=True) if fill.liquidity is Liquidity.TAKER)
    rested = sum(fill.shares for fill in counted if fill.liquidity is Liquidity.MAKER)
    swept = None if way.touch_at_placement is None else taken + worth(side, rested, way.touch_at_placement)
    prices = (way.leader, way.mid_at_decision, way.touch_at_decision, way.touch_at_placement)
    values = [None if price is None else worth(side, shares, price) for price in prices]
    swept_price = None if swept is None else price_half_up(swept, shares)
    return Outcome(
        shares=shares,
        usdc=sum(paid),
        fee=fee,
        lost_usdc=_loss(side, [*values, swept, sum(paid)], fee=fee),
        lost_price=_loss(
            side, [*prices, swept_price, price_half_up(sum(paid), shares)], fee=price_half_up(fee, shares)
        ),
    )


def worth(side: Side, shares: Shares, price: Price) -> Usdc:
    """Return the cash that shares at a price are: what a BUY pays, rounded up, or a SELL brings, rounded down."""
    return notional_up(shares, price) if side is Side.BUY else notional_down(shares, price)


def markout(side: Side, *, price: Price, mark: Price) -> Price:
    """Return what a fill has gained per share when the market is at `mark`; plus is good for us."""
    return mark - price if side is Side.BUY else price - mark


def _loss(side: Side, points: list[int | None], *, fee: int) -> Loss:
    """Turn the points on the way into what each stretch between two of them lost."""
    sign = 1 if side is Side.BUY else -1
    stretches = [
        None if before is None or after is None else sign * (after - before) for before, after in pairwise(points)
    ]
    first, last = points[0] or 0, points[-1] or 0
    known = sum(stretch for stretch in stretches if stretch is not None)
    decision_delay, spread, placement_delay, depth, rest = stretches
    return Loss(
        decision_delay=decision_delay,
        spread=spread,
        placement_delay=placement_delay,
        depth=depth,
        rest=rest,
        unknown=sign * (last - first) - known,
        fee=fee,
    )
