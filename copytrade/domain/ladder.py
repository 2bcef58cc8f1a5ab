"""The ladder to real orders: how far an account may go, and by what is measured whether it goes up or comes down.

Everything measured is of the time since the rung was reached. An order is measured against its shadow, the same
attempt on paper: paper is what one expects, so where real orders do much worse, something is not understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from copytrade.domain.risk import LimitName
from copytrade.domain.shadow import mean_difference_bps
from copytrade.domain.units import MICRO, half_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from copytrade.domain.shadow import Run, ShadowedAttempt
    from copytrade.domain.units import Millis, Usdc


class Rung(StrEnum):
    """How far an account may go, from nowhere to its whole caps."""

    PAPER = "paper"
    SHADOW = "shadow"
    TINY = "tiny"
    RAMP_25 = "ramp-25"
    RAMP_50 = "ramp-50"
    FULL = "full"

    @property
    def above(self) -> Rung | None:
        """The next one up, None above the last."""
        rungs = list(Rung)
        return next(iter(rungs[rungs.index(self) + 1 :]), None)

    @property
    def below(self) -> Rung | None:
        """The next one down, None below the first."""
        rungs = list(Rung)
        return None if self is Rung.PAPER else rungs[rungs.index(self) - 1]

    def is_below(self, other: Rung) -> bool:
        """Whether less is allowed here than there."""
        rungs = list(Rung)
        return rungs.index(self) < rungs.index(other)

    @property
    def enters(self) -> bool:
        """Whether entries are real; exits of what is held always are."""
        return self not in {Rung.PAPER, Rung.SHADOW}


PERCENT: Final[Mapping[Rung, int]] = {Rung.RAMP_25: 25, Rung.RAMP_50: 50, Rung.FULL: 100}
"""How much of each cap holds; on the rungs below none of it, but for what is tiny."""
TINY_USDC: Final[Mapping[LimitName, Usdc]] = {
    LimitName.MAX_USDC_PER_TRADE: 5 * MICRO,
    LimitName.MAX_USDC_PER_MARKET: 10 * MICRO,
    LimitName.MAX_USDC_PER_DAY: 50 * MICRO,
    LimitName.MAX_OPEN_USDC: 50 * MICRO,
}
"""What every rung may spend, where the caps themselves are not lower. An order is at least five shares (the venue's
`minimum_order_size`), which cost less than five USDC at any price: a lower cap would choose cheap outcomes."""

ORDERS_MIN: Final = 20
"""So many orders tell something; fewer take nobody up."""
HOURS_MIN: Final = 24
JUDGED_MIN: Final = 10
"""After so many orders one may be taken down."""
WORSE_BPS_MAX: Final = 100
UNFILLED_POINTS_MAX: Final = 15
"""By how much of all that was wanted real orders may get less than paper, in hundredths."""
FALL_FACTOR: Final = 2
"""Twice as far off as takes nobody up takes one down."""
ALARMS: Final = ("ACCOUNT_DIFFERS",)
"""Notes after which an account comes down."""
MOVED: Final = "RUNG_MOVED"
"""The code under which a move is kept and told."""
HOUR_MS: Final[Millis] = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an account stands: since when, by whose hand and why. `revision` grows with each move."""

    account_id: str
    rung: Rung
    revision: int
    moved_by: str
    why: str
    since_ms: Millis

    def told(self) -> dict[str, object]:
        """Return what a row and a message say of a move."""
        return {
            "account": self.account_id,
            "rung": self.rung,
            "by": self.moved_by,
            "why": self.why,
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """What was measured: `shadows` that are over, `orders` among them that were real, filled shares in hundredths.

    `worse_bps` is how much worse real prices were than those on paper, None while no order was filled on both.
    """

    shadows: int
    orders: int
    live_filled: int
    paper_filled: int
    worse_bps: int | None
    alarms: int

    @property
    def unfilled_points(self) -> int:
        """How much less real orders got than paper, of what was wanted; below 0 if they got more."""
        return self.paper_filled - self.live_filled


def ceiling(rung: Rung, name: LimitName, cap: Usdc | None) -> Usdc | None:
    """Return how much of a cap holds on a rung; None is no cap."""
    tiny = TINY_USDC.get(name)
    if tiny is None or rung is Rung.FULL:
        return cap
    if cap is None:
        return tiny
    return min(cap, max(tiny, cap * PERCENT.get(rung, 0) // 100))


def measure(shadowed: Sequence[ShadowedAttempt], *, alarms: int) -> Divergence:
    """Return what attempts and their shadows show once both are over."""
    over = [one for one in shadowed if one.is_over]
    real = [one for one in over if one.is_sent]
    return Divergence(
        shadows=len(over),
        orders=len(real),
        live_filled=_filled(real, [one.live for one in real]),
        paper_filled=_filled(real, [one.paper for one in real]),
        worse_bps=mean_difference_bps(real),
        alarms=alarms,
    )


def _filled(attempts: Sequence[ShadowedAttempt], runs: Sequence[Run]) -> int:
    wanted = sum(one.target_shares for one in attempts)
    return half_up(100 * sum(run.filled_shares for run in runs), wanted) if wanted else 0


def lacking(standing: Standing, found: Divergence, *, now_ms: Millis) -> tuple[str, ...]:
    """Return what is missing before an account may go up, each in words; nothing is missing from paper to shadow."""
    if standing.rung is Rung.PAPER:
        return ()
    hours = (now_ms - standing.since_ms) // HOUR_MS
    seen, kind = (found.orders, "orders") if standing.rung.enters else (found.shadows, "shadows")
    missing = []
    if seen < ORDERS_MIN:
        missing.append(f"{seen} {kind} are over; {ORDERS_MIN} are needed")
    if hours < HOURS_MIN:
        missing.append(f"{hours} hours on this rung; {HOURS_MIN} are needed")
    return (*missing, *_faults(found, factor=1))


def fault(standing: Standing, found: Divergence) -> str | None:
    """Return why an account must come down, None if it may stay."""
    if not standing.rung.enters:
        return None
    if found.orders < JUDGED_MIN and not found.alarms:
        return None
    return next(iter(_faults(found, factor=FALL_FACTOR)), None)


def _faults(found: Divergence, *, factor: int) -> tuple[str, ...]:
    faults = []
    if found.alarms:
        faults.append(f"{found.alarms} x {' or '.join(ALARMS)}")
    if found.worse_bps is not None and found.worse_bps > WORSE_BPS_MAX * factor:
        faults.append(f"prices were {found.worse_bps} bps worse than on paper; at most {WORSE_BPS_MAX * factor}")
    if found.unfilled_points > UNFILLED_POINTS_MAX * factor:
        faults.append(
            f"{found.live_filled} % of the shares were filled, on paper {found.paper_filled} %; "
            f"at most {UNFILLED_POINTS_MAX * factor} points less"
        )
    return tuple(faults)
