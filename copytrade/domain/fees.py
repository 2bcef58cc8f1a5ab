"""The venue's taker fee; makers pay none."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from copytrade.domain.matching import Match
from copytrade.domain.units import MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from copytrade.domain.market import FeeSchedule
    from copytrade.domain.units import Price, Shares, Usdc

_FEE_STEP: Final[Usdc] = 10
"""Fees are charged in steps of 0.00001 USDC and the rest is dropped (docs/adr)."""


def taker_fee_down(schedule: FeeSchedule, *, shares: Shares, price: Price) -> Usdc:
    """Return the fee of a trade at one price, floored to five decimals."""
    return _steps_down(schedule, shares=shares, paid=price * shares) * _FEE_STEP


def sweep_fees_down(schedule: FeeSchedule, matches: Sequence[Match]) -> tuple[Usdc, ...]:
    """Return what each match bears of the one fee that an order pays for everything it takes at once.

    The sum is shares x rate x (p(1-p))^exponent at the average price p of all matches, floored to five
    decimals: docs.polymarket.com "Fees", and the recorded logs that tell an average from a sum. It is
    shared out in whole steps, by what each match would pay alone. Prices are between 0 and 1, shares above 0.
    """
    if not matches or schedule.rate == 0:
        return (0,) * len(matches)
    steps = _steps_down(
        schedule,
        shares=sum(match.shares for match in matches),
        paid=sum(match.price * match.shares for match in matches),
    )
    weights = list(accumulate((shares * _curve(price, schedule.exponent) for price, shares in matches), initial=0))
    return tuple(
        (steps * after // weights[-1] - steps * before // weights[-1]) * _FEE_STEP
        for before, after in pairwise(weights)
    )


def _steps_down(schedule: FeeSchedule, *, shares: Shares, paid: int) -> int:
    """Return the fee in whole steps; `paid` is the sum of price times shares, in millionths of micro-USDC."""
    if schedule.rate == 0 or shares == 0:
        return 0
    whole = shares * MICRO
    curve: int = (paid * (whole - paid)) ** schedule.exponent
    scale: int = MICRO * whole ** (2 * schedule.exponent)
    return shares * schedule.rate * curve // (scale * _FEE_STEP)


def _curve(price: Price, exponent: int) -> int:
    curve: int = (price * (MICRO - price)) ** exponent
    return curve
