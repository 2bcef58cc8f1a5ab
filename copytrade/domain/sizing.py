"""How much to copy and at what limit: pure arithmetic on micro-units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from copytrade.domain.fills import Side
from copytrade.domain.units import BPS, LOT, MICRO, ceil_to, floor_to, shares_for_down

if TYPE_CHECKING:
    from copytrade.domain.units import Price, Ratio, Shares, Usdc


class SizingMode(StrEnum):
    """What an entry is sized by: the leader's size, a fixed notional, or our bankroll against his."""

    RATIO = "ratio"
    FIXED_USDC = "fixed_usdc"
    BANKROLL = "bankroll"


class ExitMode(StrEnum):
    """What an exit is sized by: the fraction of his position the leader sold, or his size times the ratio.

    `fraction` is `ratio` while the leader's position is not known.
    """

    FRACTION = "fraction"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A size in whole lots and the names of the caps that cut it."""

    shares: Shares
    cut_by: tuple[str, ...]


def limit_price(
    side: Side, *, leader_price: Price, slippage_bps: int, tick: Price, slippage_ticks: int | None = None
) -> Price:
    """Return the leader's price moved by the slippage, on the tick in our favour, within [tick, 1 - tick].

    The slippage is the smaller of bps of his price and of so many ticks. A BUY limit is rounded down and a SELL
    limit up, so that the limit never allows more than that, but where no price of the grid does.
    """
    if side is Side.BUY:
        wanted = floor_to(
            most_paid(leader_price, slippage_bps=slippage_bps, tick=tick, slippage_ticks=slippage_ticks), tick
        )
    else:
        wanted = ceil_to(-(-leader_price * (BPS - slippage_bps) // BPS), tick)
        if slippage_ticks is not None:
            wanted = max(wanted, ceil_to(leader_price - slippage_ticks * tick, tick))
    return max(tick, min(MICRO - tick, wanted))


def most_paid(leader_price: Price, *, slippage_bps: int, tick: Price, slippage_ticks: int | None = None) -> Price:
    """Return the highest price that the slippage lets a BUY pay, whether it is on the grid or not."""
    by_bps = leader_price * (BPS + slippage_bps) // BPS
    return by_bps if slippage_ticks is None else min(by_bps, leader_price + slippage_ticks * tick)


def by_bankroll(leader_size: Shares, *, ratio: Ratio, ours: Usdc, his: Usdc) -> Shares:
    """Return `ratio` times the leader's size as if his bankroll were ours, rounded down; `his` is above zero."""
    return leader_size * ratio * ours // (MICRO * his)


def by_fraction(*, leader_sold: Shares, leader_held: Shares, held: Shares) -> Shares:
    """Return what is `held` times the fraction of his position the leader sold, at most all of it, rounded down.

    `leader_held` is what he held before he sold, above zero.
    """
    return held * min(leader_sold, leader_held) // leader_held


def cut(wanted: Shares, *, limit: Price, cap: Usdc | None = None, held: Shares | None = None) -> Size:
    """Return what of `wanted` is allowed, in whole lots: worth no more than `cap` at the limit, no more than is `held`.

    None stands for no such bound.
    """
    size, cut_by = floor_to(wanted, LOT), []
    if cap is not None and (affordable := floor_to(shares_for_down(cap, limit), LOT)) < size:
        size = affordable
        cut_by.append("CAP")
    if held is not None and floor_to(held, LOT) < size:
        size = floor_to(held, LOT)
        cut_by.append("HELD")
    return Size(shares=size, cut_by=tuple(cut_by))
