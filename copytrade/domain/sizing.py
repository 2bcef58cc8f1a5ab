"""How much to copy and at what limit: pure arithmetic on micro-units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from copytrade.domain.fills import Side
from copytrade.domain.units import BPS, LOT, MICRO, ceil_to, floor_to, scaled_down, shares_for_down

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
    """A target size in whole lots and the names of the caps that cut it."""

    shares: Shares
    cut_by: tuple[str, ...]


def limit_price(side: Side, *, leader_price: Price, slippage_bps: int, tick: Price) -> Price:
    """Return leader price x (1 +/- slippage), on the tick in our favour, within [tick, 1 - tick].

    A BUY limit is rounded down and a SELL limit up, so that the limit never allows more than the slippage.
    """
    if side is Side.BUY:
        wanted = floor_to(leader_price * (BPS + slippage_bps) // BPS, tick)
    else:
        wanted = ceil_to(-(-leader_price * (BPS - slippage_bps) // BPS), tick)
    return max(tick, min(MICRO - tick, wanted))


def copy_size(*, leader_size: Shares, ratio: Ratio, cap: Usdc, limit: Price, held: Shares | None) -> Size:
    """Return the leader's size times `ratio` in whole lots, cut by `cap` at the limit and by what is `held`.

    `held` is None for a BUY.
    """
    return _cut(floor_to(scaled_down(leader_size, ratio), LOT), cap=cap, limit=limit, held=held)


def exit_size(*, leader_sold: Shares, leader_held: Shares, cap: Usdc, limit: Price, held: Shares) -> Size:
    """Return what is `held` times the fraction of his position the leader sold, at most all of it, in whole lots.

    `leader_held` is what he held before he sold, above zero.
    """
    wanted = held * min(leader_sold, leader_held) // leader_held
    return _cut(floor_to(wanted, LOT), cap=cap, limit=limit, held=held)


def fixed_size(*, ratio: Ratio, cap: Usdc, limit: Price) -> Size:
    """Return what `cap` times `ratio` (but no more than `cap`) buys at the limit, in whole lots."""
    return _cut(
        floor_to(shares_for_down(scaled_down(cap, ratio), limit), LOT),
        cap=cap,
        limit=limit,
        held=None,
    )


def _cut(wanted: Shares, *, cap: Usdc, limit: Price, held: Shares | None) -> Size:
    cuts = []
    size = wanted
    affordable = floor_to(shares_for_down(cap, limit), LOT)
    if affordable < size:
        size = affordable
        cuts.append("MAX_USDC_PER_TRADE")
    if held is not None and floor_to(held, LOT) < size:
        size = floor_to(held, LOT)
        cuts.append("HELD")
    return Size(shares=size, cut_by=tuple(cuts))
