"""One order of a leader may be filled in several events; what it is copied with counts as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from copytrade.domain.fills import LeaderFill
    from copytrade.domain.units import Usdc


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSoFar:
    """What earlier events of a leader's order were copied with lately.

    `events` were traded, or wait to be; `usdc` is what their orders may cost at their limits.
    """

    events: int = 0
    usdc: Usdc = 0


NOTHING_YET: Final = OrderSoFar()


def transaction_key(fill: LeaderFill) -> str:
    """Return what stands for the order while only an API has told of a fill: transaction, owner, token and side."""
    return f"{fill.tx_hash}|{fill.leader}|{fill.token_id}|{fill.side}"


def order_keys(fill: LeaderFill) -> tuple[str, ...]:
    """Return the keys under which earlier events of the fill's order are found, its own first.

    An event that an API told of first is found by its transaction even when the chain names the order.
    """
    in_transaction = transaction_key(fill)
    return (in_transaction,) if fill.place is None else (fill.place.order_hash, in_transaction)
