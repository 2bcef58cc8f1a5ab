"""What following has cost us, from our own executions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, select

from copytrade.adapters.sql.views import attempt_summary as a
from copytrade.domain.fills import LeaderRole, Side
from copytrade.domain.ranking import Estimate, FollowCost, ratio_estimate
from copytrade.domain.units import MICRO, notional_down
from copytrade.ports.histories import FollowCosts

if TYPE_CHECKING:
    from copytrade.adapters.sql.engine import Database
    from copytrade.domain.units import Ratio, Usdc

ATTEMPTS_READ_MAX: Final = 20_000
"""Executions looked at, the newest."""
SAMPLES_MIN: Final = 5
"""With fewer of his own the figure of everybody's is the better guess."""

Pair = tuple["Usdc", "Usdc"]


class SqlFollowCosts(FollowCosts):
    """Fees and the distance from the leader's price, for each USDC at his price."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    async def follow_cost(self, leader: str, *, maker_share: Ratio | None) -> FollowCost | None:
        pairs = await self._database.read(partial(_pairs, leader=leader))
        if len(pairs) >= SAMPLES_MIN and (own := ratio_estimate([pair for _, pair in pairs])) is not None:
            return FollowCost(cost=own, measured_on="his")
        everybody = await self._database.read(partial(_pairs, leader=None))
        mixed = _mixed(everybody, maker_share)
        return None if mixed is None else FollowCost(cost=mixed, measured_on="all")


def _mixed(pairs: list[tuple[str, Pair]], maker_share: Ratio | None) -> Estimate | None:
    """Weigh the cost of following makers and takers as this leader mixes them; each alone where only it is known."""
    if len(pairs) < SAMPLES_MIN:
        return None
    makers = ratio_estimate([pair for role, pair in pairs if role == LeaderRole.MAKER])
    takers = ratio_estimate([pair for role, pair in pairs if role != LeaderRole.MAKER])
    if makers is None or takers is None or maker_share is None:
        return ratio_estimate([pair for _, pair in pairs])
    rest = MICRO - maker_share
    return Estimate(
        ratio=(makers.ratio * maker_share + takers.ratio * rest) // MICRO,
        half_width=(makers.half_width * maker_share + takers.half_width * rest) // MICRO,
        samples=makers.samples + takers.samples,
    )


def _pairs(connection: Connection, *, leader: str | None) -> list[tuple[str, Pair]]:
    """Return (role, (cost, value at his price)) of each attempt that filled."""
    wanted = select(a.c.leader_role, a.c.side, a.c.leader_price, a.c.avg_fill_price, a.c.filled_shares, a.c.fee_usdc)
    wanted = wanted.where(a.c.filled_shares > 0).order_by(a.c.decided_at.desc()).limit(ATTEMPTS_READ_MAX)
    if leader is not None:
        wanted = wanted.where(a.c.leader_address == leader)
    found = []
    for role, side, his, ours, shares, fee in connection.execute(wanted):
        worse = ours - his if side == Side.BUY else his - ours
        found.append((role, (notional_down(shares, worse) + fee, notional_down(shares, his))))
    return found
