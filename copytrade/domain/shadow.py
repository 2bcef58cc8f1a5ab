"""The shadow of a real order: the same attempt on paper, kept to see how far paper is from what really happens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from copytrade.domain.attempts import OPEN_STATUSES, AttemptStatus
from copytrade.domain.fills import Side
from copytrade.domain.units import BPS, half_up, notional_down, notional_up, price_half_up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from copytrade.domain.attempts import ExecutionFill, Reason
    from copytrade.domain.units import Millis, Price, Shares, Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one order went, real or on paper; `filled_usdc` is before fees."""

    status: AttemptStatus
    filled_shares: Shares = 0
    filled_usdc: Usdc = 0
    first_fill_at_ms: Millis | None = None

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return self.status in OPEN_STATUSES

    @property
    def price(self) -> Price | None:
        """The average price, None of nothing."""
        return price_half_up(self.filled_usdc, self.filled_shares) if self.filled_shares else None

    def with_fill(self, fill: ExecutionFill) -> Run:
        """Return the run after one more execution; what it paid is rounded up, what it got down."""
        notional = notional_up if fill.side is Side.BUY else notional_down
        first = fill.fill_at_ms if self.first_fill_at_ms is None else min(self.first_fill_at_ms, fill.fill_at_ms)
        return replace(
            self,
            filled_shares=self.filled_shares + fill.shares,
            filled_usdc=self.filled_usdc + notional(fill.shares, fill.price),
            first_fill_at_ms=first,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowOrder:
    """An attempt's order on paper as it stands; nothing of it is in a position or in cash."""

    attempt_id: UUID
    placed_at_ms: Millis
    run: Run
    reason: Reason | None = None
    done_at_ms: Millis | None = None

    def filled(self, fill: ExecutionFill) -> ShadowOrder:
        """Return the order after one more execution."""
        return replace(self, run=replace(self.run.with_fill(fill), status=AttemptStatus.PARTIAL))

    def ended(self, status: AttemptStatus, reason: Reason | None, *, at_ms: Millis) -> ShadowOrder:
        """Return the order once it is over."""
        return replace(self, run=replace(self.run, status=status), reason=reason, done_at_ms=at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedAttempt:
    """An attempt beside its shadow; `is_sent` says whether it became a real order."""

    attempt_id: UUID
    token_id: str
    is_sent: bool
    side: Side
    decided_at_ms: Millis
    target_shares: Shares
    live: Run
    paper: Run

    @property
    def is_over(self) -> bool:
        """Whether neither can get more."""
        return not (self.live.is_open or self.paper.is_open)

    @property
    def price_difference_bps(self) -> int | None:
        """How much worse the real price was than that on paper, minus if better; None unless both were filled."""
        live, paper = self.live.price, self.paper.price
        if live is None or not paper:
            return None
        worse = live - paper if self.side is Side.BUY else paper - live
        return half_up(worse * BPS, paper)

    def first_fill_after_ms(self, run: Run) -> Millis | None:
        """Return how long after the decision a run was first filled; 0 where the venue's whole second is before it."""
        return None if run.first_fill_at_ms is None else max(0, run.first_fill_at_ms - self.decided_at_ms)


def mean_difference_bps(shadowed: Iterable[ShadowedAttempt]) -> int | None:
    """Return the mean price difference, each weighted by what was really paid or got; None of nothing."""
    weighed = [(one.live.filled_usdc, bps) for one in shadowed if (bps := one.price_difference_bps) is not None]
    whole = sum(usdc for usdc, _ in weighed)
    return half_up(sum(usdc * bps for usdc, bps in weighed), whole) if whole else None
