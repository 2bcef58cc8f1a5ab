"""What was at stake at an earlier time, kept so that a start need not count a long history again from its beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from copytrade.ports.risk import CopiedExecution

if TYPE_CHECKING:
    from copytrade.domain.exposure import LineStake
    from copytrade.domain.settlement import PositionSettlement
    from copytrade.domain.units import Millis, Shares, Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptStakes:
    """A position after its first entries, up to the one numbered `ordinal`, and whose money stood on it.

    Nothing that a start counts one by one is among them if it looks back no further than to `before_ms`.
    """

    strategy_id: str
    account_id: str
    token_id: str
    ordinal: int
    before_ms: Millis
    shares: Shares
    cost_usdc: Usdc
    at_stake_usdc: Usdc
    """What the position counts as, which roundings keep from being its cost."""
    parts: tuple[LineStake, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedMove:
    """Something that moved a position, and its place among all that did."""

    ordinal: int
    move: CopiedExecution | PositionSettlement


class StakeMemory(Protocol):
    """Makes starts short; all of it can be made again from executions and settlements."""

    async def kept_stakes(self, strategy_id: str, account_id: str, *, since_ms: Millis) -> tuple[KeptStakes, ...]:
        """Return what is kept of the positions that are open or were moved since then, if it is of before then."""

    async def moves_to_keep(
        self, strategy_id: str, account_id: str, token_id: str, *, after: int, before_ms: Millis, limit: int
    ) -> tuple[NumberedMove, ...]:
        """Return the first moves of a position numbered above `after`, in order and without gaps, that may be kept.

        They end before the first that happened at `before_ms` or later, and before the first of an attempt that is
        open or has another execution as late as that. Executions that failed to settle are left out.
        """

    async def keep_stakes(self, kept: KeptStakes) -> None:
        """Keep a position as it was, in place of what was kept of it.

        It is forgotten when one of its executions turns out to have failed.
        """
