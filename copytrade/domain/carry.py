"""Copies too small for an order: they wait for the next fill of the same leader, token and side.

Every attempt that moves the sum says so in its reasons, so that it can be counted again from them: what CARRIED
added, less what RELEASED and CARRY_DROPPED took away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from copytrade.domain.attempts import Reason, reason
from copytrade.domain.units import format_micro, price_half_up

if TYPE_CHECKING:
    from uuid import UUID

    from copytrade.domain.fills import LeaderFill, Side
    from copytrade.domain.units import Millis, Shares, Usdc

CARRIED: Final = "CARRIED"
RELEASED: Final = "RELEASED"
DROPPED: Final = "CARRY_DROPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """What waits of one leader's fills of one token, all on one side.

    `shares` are exact, not in lots; `usdc` is what they cost at the leader's prices; `since_ms` is the time of the
    oldest of the `fills` they come from.
    """

    leader_id: UUID
    token_id: str
    side: Side
    shares: Shares
    usdc: Usdc
    fills: int
    since_ms: Millis

    def emptied(self) -> Carry:
        """Return the same with nothing waiting."""
        return replace(self, shares=0, usdc=0, fills=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits when a fill is decided: `usable` goes with it; `dropped` says what has ended, and why.

    `is_taken` if what waits is of the other side and stays: then the fill cannot wait itself.
    """

    usable: Carry | None = None
    dropped: Reason | None = None
    is_taken: bool = False


def waiting(carry: Carry | None, fill: LeaderFill, *, now_ms: Millis, age_max_ms: Millis) -> Waiting:
    """Tell what becomes of what waits as the leader fills again: it ends with its age, or when he turns round."""
    if carry is None or not carry.shares:
        return Waiting()
    if carry.side is not fill.side:
        # A fill reported late, from before he did what waits, does not undo it.
        if fill.fill_ts_ms < carry.since_ms:
            return Waiting(is_taken=True)
        return Waiting(dropped=_drop(carry, now_ms, why="he traded the other way"))
    if now_ms - carry.since_ms > age_max_ms:
        return Waiting(dropped=_drop(carry, now_ms, why="too old", age_max_ms=age_max_ms))
    return Waiting(usable=carry)


def add(carry: Carry | None, fill: LeaderFill, shares: Shares, *, leader_id: UUID, usdc: Usdc) -> Carry:
    """Return what waits once a fill's `shares`, which cost `usdc` at his price, wait too."""
    if carry is None:
        return Carry(
            leader_id=leader_id,
            token_id=fill.token_id,
            side=fill.side,
            shares=shares,
            usdc=usdc,
            fills=1,
            since_ms=fill.fill_ts_ms,
        )
    return replace(
        carry,
        shares=carry.shares + shares,
        usdc=carry.usdc + usdc,
        fills=carry.fills + 1,
        since_ms=min(carry.since_ms, fill.fill_ts_ms),
    )


def carried(after: Carry, shares: Shares, *, lacking: Reason) -> Reason:
    """Say that a fill's `shares` wait, what waits in all, and what that is `lacking` to be an order."""
    return reason(
        CARRIED,
        size=format_micro(shares),
        waiting=format_micro(after.shares),
        fills=after.fills,
        lacking=lacking.code,
        minimum=dict(lacking.numbers)["minimum"],
    )


def released(carry: Carry, now_ms: Millis) -> Reason:
    """Say what waited and goes with an order now, at which of the leader's prices."""
    return reason(RELEASED, **_numbers(carry, now_ms))


def _drop(carry: Carry, now_ms: Millis, *, why: str, **limits: object) -> Reason:
    return reason(DROPPED, why=why, side=carry.side, **_numbers(carry, now_ms), **limits)


def _numbers(carry: Carry, now_ms: Millis) -> dict[str, object]:
    return {
        "size": format_micro(carry.shares),
        "fills": carry.fills,
        "leader_price": format_micro(price_half_up(carry.usdc, carry.shares)),
        "age_ms": now_ms - carry.since_ms,
    }
